"""Units: how NIR's seconds and spikes become Saltation's."""

import math
from typing import Any, NamedTuple

import nir


class Scale(NamedTuple):
    """`time_unit`: Saltation's unit of time in NIR's (seconds); `charge`: the integral of a spike over NIR's time.

    In NIR a spike is a signal. In discrete time it is 1 for one step `dt`, so its integral is `dt`; as an ideal
    impulse it has integral 1.
    """

    time_unit: float
    charge: float


def scale_of(owner: str, time_unit: float, dt: float | None) -> Scale:
    """Checks both numbers. Raises `ValueError` for one that is not positive."""
    for name, value in (("time_unit", time_unit), ("dt", dt)):
        if value is not None and not (isinstance(value, int | float) and math.isfinite(value) and value > 0):
            raise ValueError(
                f"{owner} got {name}={value!r}; expected a positive number, in NIR's unit of time (seconds)."
            )
    return Scale(float(time_unit), 1.0 if dt is None else float(dt))


def charge_in(metadata: Any) -> float | None:
    """The `dt` that `to_nir` noted in a graph, if it did."""
    noted = metadata.get("saltation_dt") if isinstance(metadata, dict) else None
    return None if noted is None else float(noted)


def note(graph: nir.NIRGraph, scale: Scale) -> None:
    """Notes in a graph what a reader needs to know."""
    graph.metadata["saltation_dt"] = scale.charge
    graph.metadata["saltation_time_unit"] = scale.time_unit
