"""The search for first spikes: one walk through the sorted arrivals, and one root for each neuron.

The causal set of a spike is the shortest prefix of the arrivals, in order of time, after which the potential reaches
the threshold before the next arrival. The walk carries the potential and the current from arrival to arrival, which
neither overflows nor cancels, however late and however far apart they are; sums of `exp(t / tau)` do both in float32.
"""

from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array

import saltation as st

if TYPE_CHECKING:
    from ._layer import Layer

_AT_ONCE = 64  # arrivals up to which the walk is one piece
_CHUNK = 32  # arrivals between two looks at whether all neurons have spiked


class Interval(NamedTuple):
    """The interval in which a neuron spikes, and its state at the start of it; arrays `[n]`."""

    hit: Array
    v: Array
    i: Array
    start: Array
    duration: Array


def search(layer: "Layer", t1: float) -> tuple[Array, Array]:
    """The first spike times `[n]`, `inf` for none, and the slope of the potential there."""
    membrane, drive = layer.membrane, 0.0 if layer.drive is None else layer.drive
    time, rows = _in_order(layer)
    found = _walk(layer, jnp.minimum(time, t1), rows, t1, drive)
    u = membrane.root(found.v, found.i, found.duration, found.hit, drive)
    _, i = membrane.flow(found.v, found.i, u, drive)
    times = found.start + u
    if layer.shift is not None:
        times = times + layer.shift
    fires = found.hit & (times <= t1)
    theta = jnp.zeros_like(found.v) + membrane.theta
    return jnp.where(fires, times, jnp.inf), jnp.where(fires, membrane.slope(theta, i + drive), jnp.inf)


def _in_order(layer: "Layer") -> tuple[Array, Array]:
    if layer.ordered:
        return layer.time, layer.rows
    if layer.time.ndim == 1:
        order = st.argsort_times(layer.time)
        return layer.time[order], layer.rows[order]
    order = jax.vmap(st.argsort_times, in_axes=1, out_axes=1)(layer.time)
    return jnp.take_along_axis(layer.time, order, axis=0), jnp.take_along_axis(layer.rows, order, axis=0)


def _walk(layer: "Layer", ends: Array, rows: Array, t1: float, drive: Any) -> Interval:
    """The first interval between arrivals (the last one ends at `t1`) in which the threshold is reached."""
    number, n = rows.shape
    nothing = jnp.zeros(n, rows.dtype)

    def visit(state, end, row):
        v, i, start, found = state
        gap = end - start
        hit = layer.membrane.hits(v, i, gap, drive) & ~found.hit
        new = Interval(hit | found.hit, v, i, nothing + start, nothing + gap)
        found = jax.tree.map(lambda new, old: jnp.where(hit, new, old), new, found)
        v, i = layer.membrane.flow(v, i, gap, drive)
        return v, i + row, end, found

    start = jnp.zeros(ends.shape[1:], ends.dtype)
    state = (nothing, nothing, start, Interval(jnp.zeros(n, bool), nothing, nothing, nothing, nothing))
    last = jnp.full_like(start, t1)
    if number <= _AT_ONCE:
        state, _ = lax.scan(lambda state, x: (visit(state, *x), None), state, (ends, rows))
        return visit(state, last, nothing)[3]

    missing = -number % _CHUNK
    ends = jnp.concatenate([ends, jnp.full((missing, *ends.shape[1:]), t1, ends.dtype)])
    rows = jnp.concatenate([rows, jnp.zeros((missing, n), rows.dtype)])

    def unfinished(carry):
        chunk, (_, _, start, found) = carry
        waiting = ~jnp.all(found.hit) & jnp.any(start < t1)
        return (chunk < ends.shape[0] // _CHUNK) & st.anywhere(waiting)

    def one_chunk(carry):
        chunk, state = carry
        part = [lax.dynamic_slice_in_dim(x, chunk * _CHUNK, _CHUNK) for x in (ends, rows)]
        state, _ = lax.scan(lambda state, x: (visit(state, *x), None), state, tuple(part))
        return chunk + 1, state

    _, state = lax.while_loop(unfinished, one_chunk, (jnp.zeros((), jnp.int32), state))
    return visit(state, last, nothing)[3]
