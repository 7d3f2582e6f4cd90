"""Spike trains: what populations send to each other."""

from collections.abc import Sequence

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Bool, Float, Int

from ._floats import as_floats
from ._sorting import argsort_times


class Spikes(eqx.Module):
    """A spike train of `size` units, sorted by time and padded with `time=inf, index=-1`.

    **Arguments:**

    - `time`: spike times `[K]`, ascending, not negative, in the network's unit of time; `inf` marks padding.
    - `index`: the unit that sent each spike, `[K]`, in `0 .. size - 1`; `-1` where `time` is `inf`.
    - `size`: how many units the train has.

    **Raises:** `ValueError` where the values are known (outside `jit`) and are NaN, negative, unsorted, of unequal
    shapes, or name a unit that does not exist. Inside `jit`, a method reports bad times in `Solution.result`.

    The layout is the one of the Neuromorphic Intermediate Representation (NIR).

    ```python
    spikes = Spikes.from_dense(jnp.array([[1.0, 12.5], [3.0, jnp.inf]]))
    spikes.first()   # Array([1., 3.])
    spikes.count()   # Array([2, 1])
    ```
    """

    time: Float[Array, "*batch K"]
    index: Int[Array, "*batch K"]
    size: int = eqx.field(static=True)

    def __init__(self, time, index, size: int):
        time, index = as_floats(time), jnp.asarray(index)
        if not jnp.issubdtype(index.dtype, jnp.integer):
            raise ValueError(
                f"Spikes got an index of dtype {index.dtype}; expected integers, such as jnp.array([0, 2])."
            )
        index = index.astype(jnp.int32)
        if time.shape != index.shape or time.ndim == 0:
            raise ValueError(
                f"Spikes got time of shape {time.shape} and index of shape {index.shape}; expected two arrays of one "
                "shape [K]. To build a train from times per unit, use Spikes.from_dense(times[n, k])."
            )
        _check_values(time, index, size)
        self.time = time
        self.index = index
        self.size = int(size)

    @classmethod
    def from_dense(cls, times) -> "Spikes":
        """From times per unit: `times[n, k]` (or `[n]` for one spike each), in any order, `inf` where there is none."""
        times = as_floats(times)
        if times.ndim == 1:
            times = times[:, None]
        if times.ndim != 2:
            raise ValueError(
                f"Spikes.from_dense got an array of shape {times.shape}; expected [n, k]: k spike times for each of "
                "n units. For a batch, use jax.vmap(Spikes.from_dense)."
            )
        _check_dense(times)
        n, k = times.shape
        flat = times.reshape(n * k)
        order = argsort_times(flat)
        time = flat[order]
        index = jnp.where(jnp.isfinite(time), order // max(k, 1), -1)
        return _unchecked(cls, time, index, n)

    @classmethod
    def empty(cls, size: int) -> "Spikes":
        """A silent train."""
        return cls(jnp.zeros((0,)), jnp.zeros((0,), jnp.int32), size)

    def valid(self) -> Bool[Array, " K"]:
        """Which entries `[K]` are spikes and not padding."""
        return self.index >= 0

    def count(self) -> Int[Array, " n"]:
        """How many spikes each unit `[n]` sends."""
        return jnp.zeros(self.size, jnp.int32).at[self._safe_index()].add(1, mode="drop")

    def first(self) -> Float[Array, " n"]:
        """Each unit's first spike time `[n]`, `inf` where it is silent.

        The gradient goes to that one spike, also when several share its time.
        """
        length = self.time.shape[0]
        if length == 0:
            return jnp.full(self.size, jnp.inf, self.time.dtype)
        position = jnp.arange(length, dtype=jnp.int32)
        # The position is an integer, so the choice carries no gradient: a minimum over times would split ties.
        earliest = jnp.full(self.size, length, jnp.int32).at[self._safe_index()].min(position, mode="drop")
        return self.time.at[earliest].get(mode="fill", fill_value=jnp.inf)

    def to_dense(self, k: int, *, throw: bool = True) -> Float[Array, "n k"]:
        """Times per unit `[n, k]`, ascending, `inf` where there is none.

        **Raises:** a run-time error when a unit has more than `k` spikes: nothing is dropped. A caller that reports
        them itself, by `count() > k`, passes `throw=False`.
        """
        by_unit = jnp.argsort(jnp.where(self.valid(), self.index, self.size), stable=True)
        index = jnp.where(self.valid(), self.index, self.size)[by_unit]
        start = jnp.searchsorted(index, jnp.arange(self.size, dtype=jnp.int32))
        slot = jnp.arange(index.shape[0], dtype=jnp.int32) - start.at[index].get(mode="fill", fill_value=0)
        dense = jnp.full((self.size, k), jnp.inf, self.time.dtype)
        dense = dense.at[index, slot].set(self.time[by_unit], mode="drop")
        if not throw:
            return dense
        return eqx.error_if(
            dense,
            jnp.any(self.count() > k),
            f"Spikes.to_dense({k}): a unit has more than {k} spikes. Ask for more room: to_dense(k) with a larger k.",
        )

    def shift(self, by) -> "Spikes":
        """The same train, later by the number `by`.

        **Raises:** `ValueError` where `by` is not one number, or is known to be negative.
        """
        if jnp.ndim(by) != 0:
            raise ValueError(
                f"Spikes.shift got a shift of shape {jnp.shape(by)}; expected one number. A shift for each unit can "
                "change the order: use Spikes.from_dense(train.to_dense(k) + by[:, None])."
            )
        if not isinstance(by, Tracer) and by < 0:
            raise ValueError(f"Spikes.shift got {by}; expected a number >= 0: times of spikes are not negative.")
        return _unchecked(Spikes, self.time + by, self.index, self.size)

    def _safe_index(self) -> Int[Array, " K"]:
        # -1 would wrap around to the last unit, even with mode="drop": send padding out of range instead.
        return jnp.where(self.valid(), self.index, self.size)


def merge(trains: Sequence[Spikes]) -> Spikes:
    """One train of the same units that holds the spikes of all `trains`."""
    sizes = {train.size for train in trains}
    if len(sizes) != 1:
        raise ValueError(f"merge got trains of {sorted(sizes)} units; expected trains of one and the same size.")
    time = jnp.concatenate([train.time for train in trains])
    index = jnp.concatenate([train.index for train in trains])
    order = argsort_times(time)
    return _unchecked(Spikes, time[order], index[order], sizes.pop())


def _unchecked(cls: type[Spikes], time: Array, index: Array, size: int) -> Spikes:
    # Sorted by construction: the checks of __init__ would cost a copy to the host.
    spikes = object.__new__(cls)
    object.__setattr__(spikes, "time", time)
    object.__setattr__(spikes, "index", index.astype(jnp.int32))
    object.__setattr__(spikes, "size", size)
    return spikes


def _known(*arrays: Array) -> bool:
    return not any(isinstance(array, Tracer) for array in arrays)


def _check_dense(times: Array) -> None:
    if not _known(times):
        return
    values = np.asarray(times)
    if np.isnan(values).any() or (values < 0).any():
        unit, slot = (int(i) for i in np.argwhere(np.isnan(values) | (values < 0))[0])
        raise ValueError(
            f"Spikes.from_dense got times[{unit}, {slot}] = {values[unit, slot]}; expected times >= 0, with inf where "
            "there is no spike. Replace NaN by inf, and shift negative times."
        )


def _check_values(time: Array, index: Array, size: int) -> None:
    if not _known(time, index):
        return
    times, indices = np.asarray(time), np.asarray(index)
    padded = np.isinf(times)
    if np.isnan(times).any() or (times < 0).any():
        bad = int(np.argmax((np.isnan(times) | (times < 0)).ravel()))
        raise ValueError(
            f"Spikes got time = {times.ravel()[bad]} at position {bad}; expected times >= 0 (inf: no spike)."
        )
    if times.shape[-1] and (times[..., 1:] < times[..., :-1]).any():
        raise ValueError(
            "Spikes got times that are not sorted; expected ascending times. "
            "To build a train from times in any order, use Spikes.from_dense(times[n, k])."
        )
    outside = (indices >= size) | (indices < -1)
    if outside.any():
        raise ValueError(f"Spikes got index {indices[outside][0]} for {size} units; expected -1 .. {size - 1}.")
    if (padded != (indices == -1)).any():
        raise ValueError(
            "Spikes got padding in only one of time and index; expected index = -1 exactly where time is inf."
        )
