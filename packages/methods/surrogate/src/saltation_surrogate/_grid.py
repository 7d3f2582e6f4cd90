"""The grid of time: spike trains as arrays `[steps, units]`, and what delays do to them.

A time between two grid points counts at both, in proportion to how near it is: so the error falls with the square of
the step, and input times and delays have a derivative, the difference of the two. On the grid nothing is spread.
"""

import math
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array

import saltation as st


class Grid(NamedTuple):
    """Times `0, step, ..., last step`."""

    step: float
    last: int

    @classmethod
    def of(cls, step: float | None, t1: float) -> "Grid":
        """The grid up to `t1`; with `step=None` a two-hundredth of it apart.

        **Raises:** `ValueError` for a step longer than `t1`.
        """
        if step is None:
            return cls(t1 / 200, 200)
        if step > t1:
            raise ValueError(f"Surrogate got step={step} and t1={t1}; expected a step of at most t1. Lower the step.")
        return cls(step, math.floor(t1 / step + 1e-9))

    @property
    def points(self) -> int:
        return self.last + 1

    def times(self, dtype) -> Array:
        """`[points]`."""
        return self.step * jnp.arange(self.points, dtype=dtype)


def train_of(spikes: st.Spikes, grid: Grid, dtype) -> Array:
    """A spike train as `[points, size]`; spikes after the last grid point are left out."""
    finite = jnp.isfinite(spikes.time) & (spikes.time <= grid.step * grid.points)
    place = jnp.where(finite, spikes.time, 0.0).astype(dtype) / grid.step
    before, share = _split(place)
    unit = jnp.where(finite & spikes.valid(), spikes.index, spikes.size)
    train = jnp.zeros((grid.points, spikes.size), dtype)
    return train.at[before, unit].add(1.0 - share, mode="drop").at[before + 1, unit].add(share, mode="drop")


def arrivals(train: Array, connection: st.Connection, grid: Grid) -> Array:
    """What a connection delivers `[points, post]` of its source's train `[points, pre]`."""
    (pre, post), delay = connection.synapse.sizes(), connection.delay
    if delay is None:
        return jax.vmap(connection.synapse.apply)(train)
    own = _own(delay, pre, post)
    per_source = delay.per_source(pre, post)
    if own is None:
        late = train if per_source is None else _shifted(train, per_source / grid.step)
        return jax.vmap(connection.synapse.apply)(late)
    total = own if per_source is None else own + per_source[:, None]
    kicks = all_kicks(connection.synapse).astype(train.dtype)

    # One target after the other, and again on the way back: [points, pre, post] would not fit for large layers.
    @jax.checkpoint
    def into(each: tuple[Array, Array]) -> Array:
        late, weight = each
        return _shifted(train, late / grid.step) @ weight

    return jax.lax.map(into, (total.T, kicks.T)).T


def current_of(current: st.Current, synapse: st.AbstractSynapse, grid: Grid, dtype) -> Array:
    """What a current delivers, `[post]` if it is constant, else its mean over each interval of the grid.

    That is `[points + 1, post]`: of the interval that ends at each grid point, and of the one after the last.
    """
    if current.start is None:
        return synapse.apply(current.value.astype(dtype))
    value = current.value.astype(dtype)
    change = jnp.diff(value, axis=0, prepend=jnp.zeros_like(value[:1]))
    ends = grid.step * jnp.arange(-1, grid.points + 1, dtype=dtype)
    since = jnp.maximum(ends[:, None] - current.start.astype(dtype)[None, :], 0.0)
    mean = jnp.diff(since @ change, axis=0) / grid.step
    return jax.vmap(synapse.apply)(mean)


class Recent(NamedTuple):
    """The latest spikes of a population, `[room, pre]`, the last grid point's first."""

    trains: Array

    @classmethod
    def none(cls, room: int, size: int, dtype) -> "Recent":
        return cls(jnp.zeros((room, size), dtype))

    def then(self, spikes: Array) -> "Recent":
        """With the spikes of one more grid point."""
        return Recent(jnp.concatenate([spikes[None], self.trains[:-1]]))

    def deliver(self, connection: st.Connection, step: float) -> Array:
        """What arrives now, `[post]`, of a connection that feeds back: at least one step late."""
        (pre, post), delay = connection.synapse.sizes(), connection.delay
        if delay is None:
            return connection.synapse.apply(self.trains[0])
        own, per_source = _own(delay, pre, post), delay.per_source(pre, post)
        if own is None:
            assert per_source is not None
            return connection.synapse.apply(self._at(per_source / step))
        total = own if per_source is None else own + per_source[:, None]
        late = jax.vmap(self._at, in_axes=1, out_axes=1)(total / step)
        return jnp.sum(late * all_kicks(connection.synapse).astype(late.dtype), axis=0)

    def _at(self, late: Array) -> Array:
        """The spikes `[pre]` of each unit's own number of steps ago."""
        before, share = _split(jnp.maximum(late.astype(self.trains.dtype), 1.0))
        units = jnp.arange(self.trains.shape[1], dtype=jnp.int32)
        at = lambda row: self.trains.at[row, units].get(mode="fill", fill_value=0.0)  # noqa: E731
        return (1.0 - share) * at(before - 1) + share * at(before)


def room_for(connection: st.Connection, grid: Grid) -> int:
    """How many grid points back a connection that feeds back may look: all of them if its delay is trained."""
    delay = connection.delay
    if delay is None:
        return 1
    if jax.tree.leaves(eqx.filter(delay, eqx.is_array)):
        return grid.points
    with jax.ensure_compile_time_eval():
        total = sum(float(jnp.max(part)) for part in _parts(delay, *connection.synapse.sizes()))
    return min(math.ceil(total / grid.step) + 1, grid.points)


def all_kicks(synapse: st.AbstractSynapse) -> Array:
    """What a spike of each source delivers, `[pre, post]`."""
    if isinstance(synapse, st.Dense):
        return synapse.weight
    return jax.vmap(synapse.kick)(jnp.arange(synapse.sizes()[0], dtype=jnp.int32))


def _parts(delay: st.AbstractDelay, pre: int, post: int) -> list[Array]:
    parts = (delay.per_source(pre, post), delay.per_target(pre, post), delay.per_synapse(pre, post))
    return [part for part in parts if part is not None]


def _own(delay: st.AbstractDelay, pre: int, post: int) -> Array | None:
    """The part of a delay that differs between targets, `[pre, post]`."""
    per_target, per_synapse = delay.per_target(pre, post), delay.per_synapse(pre, post)
    if per_target is None:
        return per_synapse
    spread = jnp.broadcast_to(per_target[None, :], (pre, post))
    return spread if per_synapse is None else spread + per_synapse


def _shifted(train: Array, late: Array) -> Array:
    """The train `[points, pre]` with each unit late by its own number of steps `[pre]`."""
    before, share = _split(late.astype(train.dtype))
    points, pre = train.shape
    row = jnp.arange(points, dtype=jnp.int32)[:, None] - before[None, :]
    units = jnp.broadcast_to(jnp.arange(pre, dtype=jnp.int32)[None, :], row.shape)

    def at(row: Array) -> Array:
        return train.at[row, units].get(mode="fill", fill_value=0.0, wrap_negative_indices=False)

    return (1.0 - share)[None, :] * at(row) + share[None, :] * at(row - 1)


def _split(place: Array) -> tuple[Array, Array]:
    """The grid point at or before, and the share that the next one has."""
    # What is not finite is reported in the result; as a place it has no integer.
    place = jnp.where(jnp.isfinite(place), place, 0.0)
    before = jax.lax.stop_gradient(jnp.floor(place))
    return before.astype(jnp.int32), place - before
