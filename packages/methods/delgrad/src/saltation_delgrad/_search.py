"""The search for first spikes in plain JAX: what is reached between arrivals, and one root for each neuron.

The causal set of a spike is the shortest prefix of the arrivals, in order of time, after which the potential reaches
the threshold before the next arrival. A chunk of arrivals is looked at in one piece: the states after each of them are
sums over those before, which neither overflow nor cancel, however late and however far apart they are.
"""

from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array

import saltation as st

from ._membrane import over_rows

if TYPE_CHECKING:
    from ._layer import Layer

# Arrivals in a chunk: the work in it grows with the square. Neurons with an order of their own need it for each neuron.
_CHUNK, _CHUNK_OWN = 32, 16
_AT_ONCE = 2  # chunks that are walked through without a look at whether all neurons have spiked


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
    found = _walk(layer, t1, drive)
    u = membrane.root(found.v, found.i, found.duration, found.hit, drive)
    _, i = membrane.flow(found.v, found.i, u, drive)
    times = found.start + u
    fires = found.hit & (times <= t1)
    theta = jnp.zeros_like(found.v) + membrane.theta
    return jnp.where(fires, times, jnp.inf), jnp.where(fires, membrane.slope(theta, i + drive), jnp.inf)


def _walk(layer: "Layer", t1: float, drive: Any) -> Interval:
    """The first interval between arrivals (the last one ends at `t1`) in which the threshold is reached."""
    n = layer.weight.shape[1]
    times, sources = _in_order(layer, t1)
    number = times.shape[0]
    # As even as the chunks can be.
    most = _CHUNK if times.ndim == 1 else _CHUNK_OWN
    chunks = -(-number // most)
    size = -(-number // chunks)
    missing = chunks * size - number
    times = jnp.concatenate([times, jnp.full((missing, *times.shape[1:]), t1, times.dtype)])
    sources = jnp.concatenate([sources, jnp.full((missing, *sources.shape[1:]), -1, sources.dtype)])
    nothing = jnp.zeros(n, layer.weight.dtype)
    state = nothing, nothing, jnp.zeros(times.shape[1:], times.dtype)
    found = Interval(jnp.zeros(n, bool), nothing, nothing, nothing, nothing)

    def visit(chunk, carry):
        state, found = carry
        part = [lax.dynamic_slice_in_dim(x, chunk * size, size) for x in (times, sources)]
        return _look(layer, state, found, *part, drive)

    if chunks <= _AT_ONCE:
        carry = state, found
        for chunk in range(chunks):
            carry = visit(chunk, carry)
        return carry[1]

    def unfinished(carry):
        chunk, ((_, _, start), found) = carry
        return (chunk < chunks) & st.anywhere(~jnp.all(found.hit) & jnp.any(start < t1))

    def step(carry):
        chunk, carry = carry
        return chunk + 1, visit(chunk, carry)

    return lax.while_loop(unfinished, step, (jnp.zeros((), jnp.int32), (state, found)))[1][1]


def _in_order(layer: "Layer", t1: float) -> tuple[Array, Array]:
    """Times `[N + 1]` or `[N + 1, n]` in order, the last one `t1`, and their sources, -1 for none."""
    time, source = layer.time, jnp.where(layer.time < t1, layer.source, -1)
    if layer.delay is not None:
        late = layer.delay.at[source].get(mode="fill", fill_value=0.0, wrap_negative_indices=False)
        time, source = time[:, None] + late, jnp.broadcast_to(source[:, None], late.shape)
    time = jnp.minimum(time, t1)
    if not (layer.ordered and time.ndim == 1):
        sort = st.argsort_times if time.ndim == 1 else jax.vmap(st.argsort_times, in_axes=1, out_axes=1)
        order = sort(time)
        time, source = (jnp.take_along_axis(x, order, axis=0) for x in (time, source))
    end = jnp.full((1, *time.shape[1:]), t1, time.dtype)
    return jnp.concatenate([time, end]), jnp.concatenate([source, jnp.full(end.shape, -1, source.dtype)])


def _look(layer: "Layer", state, found: Interval, ends: Array, sources: Array, drive: Any):
    """The state after the arrivals at `ends`, and the first interval before one of them in which the threshold is hit."""
    v, i, start = state
    membrane, drive = over_rows(layer.membrane), over_rows(drive)
    rows = layer.kicks(sources)
    elapsed = ends - start
    size = ends.shape[0]
    # Between each arrival (first axis) and each one up to it (second axis).
    since = ends[:, None] - ends[None, :]
    past = jnp.tril(jnp.ones((size, size), bool)).reshape(size, size, *[1] * (ends.ndim - 1))
    each = layer.membrane if ends.ndim == 1 else over_rows(membrane)
    if ends.ndim == 1 and _has_arrays(layer.membrane):
        # Constants of each neuron: responses differ although times do not.
        each, since, past = over_rows(membrane), since[:, :, None], past[:, :, None]
    kappa, left = (jnp.where(past, x, 0.0) for x in each.kernel(jnp.where(past, since, 0.0)))
    wide = elapsed[:, None] if ends.ndim == 1 else elapsed
    v_free, i_free = membrane.flow(v[None], i[None], wide, drive)
    sum_up = (lambda x: x @ rows) if kappa.ndim == 2 else (lambda x: jnp.sum(x * rows[None], axis=1))
    v_after, i_after = v_free + sum_up(kappa), i_free + sum_up(left)

    begin = jnp.concatenate([start[None], ends[:-1]])
    v_begin, i_begin = jnp.concatenate([v[None], v_after[:-1]]), jnp.concatenate([i[None], i_after[:-1]])
    duration = ends - begin
    wide = duration[:, None] if ends.ndim == 1 else duration
    _, i_end = membrane.flow(v_begin, i_begin, wide, drive)
    rises = membrane.slope(v_begin, i_begin + drive) > 0
    falls = membrane.slope(v_after, i_end + drive) < 0
    hits = (v_after >= membrane.theta) | (rises & falls & membrane.peaks(v_begin, i_begin, drive))
    hits &= v_begin < membrane.theta

    position = jnp.argmax(hits, axis=0)[None]
    pick = lambda x: jnp.take_along_axis(x, position, axis=0)[0]  # noqa: E731
    times = [x if x.ndim == 2 else jnp.broadcast_to(x[:, None], hits.shape) for x in (begin, duration)]
    new = Interval(jnp.any(hits, axis=0) | found.hit, *(pick(x) for x in (v_begin, i_begin, *times)))
    found = jax.tree.map(lambda old, new: jnp.where(found.hit, old, new), found, new)
    return (v_after[-1], i_after[-1], ends[-1]), found


def _has_arrays(membrane) -> bool:
    return membrane.form() is None
