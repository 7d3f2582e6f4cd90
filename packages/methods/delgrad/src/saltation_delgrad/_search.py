"""The search for first spikes in plain JAX: what is reached between arrivals, and one root for each neuron.

The causal set of a spike is the shortest prefix of the arrivals, in order of time, after which the potential reaches
the threshold before the next arrival. The state after an arrival is a sum over those before it, which neither overflows
nor cancels, however late and however far apart they are. Few arrivals are compared all with all, which needs no sort;
many are sorted and gone through in chunks, so that work and memory grow with their number and not with its square.
"""

from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array

import saltation as st

from ._membrane import AbstractMembrane, over_rows

if TYPE_CHECKING:
    from ._layer import Layer

_FEW = 40  # arrivals that are compared all with all
_CHUNK, _CHUNK_OWN = 32, 16  # arrivals in a chunk; neurons with an order of their own need the work each


class Interval(NamedTuple):
    """Intervals without an arrival: the state at the start of each, when it starts, and how long it is."""

    v: Array
    i: Array
    start: Array
    duration: Array


def search(layer: "Layer", t1: float) -> tuple[Array, Array]:
    """The first spike times `[n]`, `inf` for none, and the slope of the potential there."""
    membrane, drive = layer.membrane, 0.0 if layer.drive is None else layer.drive
    few = layer.time.shape[0] <= _FEW
    hit, found = (_compare if few else _walk)(layer, t1, drive)
    u = membrane.root(found.v, found.i, found.duration, hit, drive)
    _, i = membrane.flow(found.v, found.i, u, drive)
    times = found.start + u
    fires = hit & (times <= t1)
    theta = jnp.zeros_like(found.v) + membrane.theta
    return jnp.where(fires, times, jnp.inf), jnp.where(fires, membrane.slope(theta, i + drive), jnp.inf)


def _compare(layer: "Layer", t1: float, drive: Any) -> tuple[Array, Interval]:
    """Whether each neuron spikes, and the interval in which it does; of arrivals in any order."""
    n = layer.weight.shape[1]
    times, sources = _clamped(layer, t1)
    # Something that does nothing at time 0 starts the interval before the first arrival.
    begin = jnp.concatenate([jnp.zeros((1, *times.shape[1:]), times.dtype), times])
    since = begin[:, None] - times[None, :]
    nothing = jnp.zeros((1, n), layer.weight.dtype)
    v, i = _states(layer, since, since >= 0, layer.kicks(sources), nothing, nothing, begin, drive)
    later = times[None, :] > begin[:, None]
    end = jnp.min(jnp.where(later, times[None, :], t1), axis=1, initial=t1)
    return _first(layer.membrane, Interval(v, i, begin, end - begin), drive)


def _walk(layer: "Layer", t1: float, drive: Any) -> tuple[Array, Interval]:
    """The same, of arrivals that are sorted first."""
    n = layer.weight.shape[1]
    times, sources = _in_order(layer, t1)
    size = _CHUNK if times.ndim == 1 else _CHUNK_OWN
    chunks = -(-times.shape[0] // size)
    missing = chunks * size - times.shape[0]
    times = jnp.concatenate([times, jnp.full((missing, *times.shape[1:]), t1, times.dtype)])
    sources = jnp.concatenate([sources, jnp.full((missing, *sources.shape[1:]), -1, sources.dtype)])
    nothing = jnp.zeros(n, layer.weight.dtype)
    start = jnp.zeros(times.shape[1:], times.dtype)
    found = jnp.zeros(n, bool), Interval(nothing, nothing, nothing, nothing)

    def unfinished(carry):
        chunk, (_, _, start), (hit, _) = carry
        return (chunk < chunks) & st.anywhere(~jnp.all(hit) & jnp.any(start < t1))

    def step(carry):
        chunk, (v, i, begin), (hit, old) = carry
        part = [lax.dynamic_slice_in_dim(x, chunk * size, size) for x in (times, sources)]
        state, (new_hit, new) = _chunk(layer, v, i, begin, part[0], part[1], drive)
        found = hit | new_hit, jax.tree.map(lambda old, new: jnp.where(hit, old, new), old, new)
        return chunk + 1, state, found

    return lax.while_loop(unfinished, step, (jnp.zeros((), jnp.int32), (nothing, nothing, start), found))[2]


def _chunk(layer: "Layer", v: Array, i: Array, start: Array, ends: Array, sources: Array, drive: Any):
    """The state after the arrivals at `ends`, and the first of the intervals before them in which there is a spike."""
    size = ends.shape[0]
    since = ends[:, None] - ends[None, :]
    past = jnp.tril(jnp.ones((size, size), bool)).reshape(size, size, *[1] * (ends.ndim - 1))
    after = _states(layer, since, past, layer.kicks(sources), v[None], i[None], ends - start[None], drive)
    v_begin, i_begin, begin = (
        jnp.concatenate([old[None], new[:-1]]) for old, new in zip((v, i, start), (*after, ends), strict=True)
    )
    found = _first(layer.membrane, Interval(v_begin, i_begin, begin, ends - begin), drive)
    return (after[0][-1], after[1][-1], ends[-1]), found


def _states(layer: "Layer", since: Array, past: Array, rows: Array, v: Array, i: Array, elapsed: Array, drive: Any):
    """The states `[k, n]` after some arrivals, from `v` and `i` before them and the kicks `rows[l, n]` in between.

    `since[k, l]` or `[k, l, n]` is how long before `k` the kick `l` was, and `past` whether it was.
    """
    own = since.ndim == 3
    if not own and layer.membrane.form() is None:
        # Constants of each neuron: the responses differ although the times do not.
        own, since, past = True, since[:, :, None], past[:, :, None]
    response = over_rows(layer.membrane, since.ndim - 1).kernel(jnp.where(past, since, 0.0))
    kappa, left = (jnp.where(past, x, 0.0) for x in response)
    v_free, i_free = over_rows(layer.membrane).flow(v, i, _wide(elapsed), over_rows(drive))
    sum_up = (lambda x: jnp.sum(x * rows[None], axis=1)) if own else (lambda x: x @ rows)
    return v_free + sum_up(kappa), i_free + sum_up(left)


def _first(membrane: AbstractMembrane, intervals: Interval, drive: Any) -> tuple[Array, Interval]:
    """Whether the threshold is reached in one of the intervals `[k, n]`, and the first in which it is."""
    membrane, drive = over_rows(membrane), over_rows(drive)
    v, i = intervals.v, intervals.i
    v_end, i_end = membrane.flow(v, i, _wide(intervals.duration), drive)
    turns = (membrane.slope(v, i + drive) > 0) & (membrane.slope(v_end, i_end + drive) < 0)
    hits = (v_end >= membrane.theta) | (turns & membrane.peaks(v, i, drive))
    hits &= _wide(intervals.duration) > 0
    start = jnp.broadcast_to(_wide(intervals.start), hits.shape)
    position = jnp.argmin(jnp.where(hits, start, jnp.inf), axis=0)[None]

    def pick(x: Array) -> Array:
        return jnp.take_along_axis(jnp.broadcast_to(_wide(x), hits.shape), position, axis=0)[0]

    return jnp.any(hits, axis=0), jax.tree.map(pick, intervals)


def _wide(x: Array) -> Array:
    """Times that all neurons share, or those of each, as they combine with `[k, n]`."""
    return x[:, None] if x.ndim == 1 else x


def _clamped(layer: "Layer", t1: float) -> tuple[Array, Array]:
    """When arrivals are at the neurons, `[N]` or `[N, n]`, those that come too late at `t1`, from source -1."""
    assert layer.source is not None
    # A NaN is not in time either: it would stop the clock.
    in_time = layer.time < t1
    time, source = jnp.where(in_time, layer.time, t1), jnp.where(in_time, layer.source, -1)
    if layer.delay is not None:
        time = jnp.where(source >= 0, time, t1)[:, None] + layer.lateness(source)
    return jnp.minimum(time, t1), source


def _in_order(layer: "Layer", t1: float) -> tuple[Array, Array]:
    """Times in order, the last one `t1`, and their sources, both `[N + 1]` or `[N + 1, n]`."""
    time, source = _clamped(layer, t1)
    if time.ndim == 2:
        source = jnp.broadcast_to(source[:, None], time.shape)
    if not (layer.ordered and time.ndim == 1):
        sort = st.argsort_times if time.ndim == 1 else jax.vmap(st.argsort_times, in_axes=1, out_axes=1)
        order = sort(time)
        time, source = (jnp.take_along_axis(x, order, axis=0) for x in (time, source))
    end = jnp.full((1, *time.shape[1:]), t1, time.dtype)
    return jnp.concatenate([time, end]), jnp.concatenate([source, jnp.full(end.shape, -1, source.dtype)])
