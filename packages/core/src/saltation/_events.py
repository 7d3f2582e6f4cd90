"""Events of cameras and cochleas, in the structured arrays that tonic and others use, as spikes and back."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ._spikes import Spikes

_MICROSECOND = 1e-6


def spikes_from_events(events: np.ndarray, shape: Sequence[int], *, time_unit: float) -> Spikes:
    """Events as a spike train of an image.

    **Arguments:**

    - `events`: a structured array `[K]` with fields `t` (microseconds) and, of `x`, `y`, `p`, those that it has: `x,
      y, t, p` of an event camera, `x, t, p` of a cochlea. In any order of time.
    - `shape`: (height, width, polarities) of the sensor; one row, or one polarity, where there is no `y` or `p`.
    - `time_unit`: the network's unit of time, in seconds: `1e-3` for ms.

    **Returns** `Spikes` of `height * width * polarities` units, numbered as an image of that shape is, channels last.

    **Raises:** `ValueError` for an array without these fields, events outside of the sensor, or negative times.

    ```python
    events = np.array([(3, 1, 2500, 1)], dtype=[("x", int), ("y", int), ("t", int), ("p", int)])
    st.spikes_from_events(events, (34, 34, 2), time_unit=1e-3)      # one spike at 2.5 ms
    ```
    """
    height, width, polarities = _checked(shape, time_unit)
    names = events.dtype.names or ()
    if "t" not in names or "x" not in names:
        raise ValueError(
            f"spikes_from_events got an array with the fields {list(names)}; expected x and t, and y and p if there "
            "are any."
        )
    none = np.zeros(len(events), np.int64)
    place = {name: events[name].astype(np.int64) if name in names else none for name in "xyp"}
    for name, limit in (("x", width), ("y", height), ("p", polarities)):
        outside = (place[name] < 0) | (place[name] >= limit)
        if outside.any():
            first = int(np.argmax(outside))
            raise ValueError(
                f"spikes_from_events got {name} = {place[name][first]} in event {first}; expected 0 .. {limit - 1} "
                f"for a sensor of shape (height, width, polarities) = {tuple(shape)}."
            )
    index = (place["y"] * width + place["x"]) * polarities + place["p"]
    time = events["t"].astype(np.float64) * (_MICROSECOND / time_unit)
    order = np.argsort(time, kind="stable")
    return Spikes(time[order], index[order].astype(np.int32), height * width * polarities)


def spikes_to_events(spikes: Spikes, shape: Sequence[int], *, time_unit: float) -> np.ndarray:
    """A spike train of an image as a structured array with fields `x`, `y`, `t` (microseconds, rounded) and `p`.

    **Arguments:** as of `spikes_from_events`; `spikes` of one sample.

    **Raises:** `ValueError` for a shape with another number of units, or a batch.
    """
    height, width, polarities = _checked(shape, time_unit)
    if spikes.time.ndim != 1 or spikes.size != math.prod((height, width, polarities)):
        raise ValueError(
            f"spikes_to_events got spikes of {spikes.size} units and shape {spikes.time.shape}; expected one sample "
            f"[K] of {math.prod((height, width, polarities))} units, for shape={tuple(shape)}."
        )
    time, index = np.asarray(spikes.time, np.float64), np.asarray(spikes.index)
    time, index = time[index >= 0], index[index >= 0]
    events: Any = np.zeros(len(time), [("x", np.int16), ("y", np.int16), ("t", np.int64), ("p", np.int8)])
    events["t"] = np.round(time * (time_unit / _MICROSECOND))
    events["p"] = index % polarities
    events["x"] = index // polarities % width
    events["y"] = index // (polarities * width)
    return events


def _checked(shape: Sequence[int], time_unit: float) -> tuple[int, int, int]:
    if len(shape) != 3 or min(shape) < 1:
        raise ValueError(f"got shape={tuple(shape)}; expected (height, width, polarities) of the sensor.")
    if not time_unit > 0:
        raise ValueError(f"got time_unit={time_unit}; expected a positive number of seconds, 1e-3 for ms.")
    return (int(shape[0]), int(shape[1]), int(shape[2]))
