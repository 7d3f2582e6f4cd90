"""Layers of leaky integrate-and-fire neurons that do not feed back: the fast way, exact for every ratio of constants.

Without resets the neuron is linear: `v_free(t)` and `i(t)` are sums over the arrivals. A reset at `T` takes
`(v_threshold - v_reset) exp(-(t - T) / tau_mem)` from `v` for good, so the condition for the k-th spike is

    v_free(T_k) - sum_{l<k} (v_threshold - v_reset) exp(-(T_k - T_l) / tau_mem) = v_threshold.

The search walks once through the sorted arrivals, the whole layer and the whole batch at a time. The derivative is
that of the condition above, at the times that were found: a linear scan over the arrivals and a few operations a spike.
"""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array

import saltation as st

from ._attach import attach, freeze
from ._chunks import padded_length, scan_in_chunks
from ._component import Component
from ._follow import Values, difference
from ._record import iota
from ._search import Flags, Summary

_CHUNK = 128  # arrivals; a chunk that lies behind the end for all samples is skipped
_UNROLLED = 4  # spikes a neuron


class LIFLayer(eqx.Module):
    """A layer in the units of the formulas: potentials from the leak, the constant current `drive` among the inputs.

    `time` is `[N]`, or `[N, n]` where each neuron has its own order; constants are `[]` or `[n]`.
    """

    tau_mem: Any
    tau_syn: Any
    theta: Any
    v_reset: Any
    v: Array
    i: Array
    drive: Array
    time: Array
    kicks: Array
    samples: Array


class LIFFound(NamedTuple):
    """The spikes, arrays of `[n, max_spikes]` and `[n]`."""

    times: Array
    segment: Array  # how many arrivals came before each spike
    count: Array


class LIFReached(NamedTuple):
    """What else is known of a layer once it has been solved, without a derivative."""

    v: Array  # [S + 1, n], at the samples and at the end
    i: Array
    min_slope: Array  # [n]
    flat: Array  # [n]
    flags: Flags


def lif_layer(component: Component) -> LIFLayer | None:
    """The component as a LIF layer, `None` if it is not one."""
    (name,) = component.neurons
    constants, arrivals = component.neurons[name].lif(), component.arrivals[name]
    if constants is None or arrivals.steps is not None or set(arrivals.kicks) - {"current"}:
        return None
    if not isinstance(constants.g_leak, int | float) or constants.g_leak != 1.0:
        return None  # the formulas here are those of a leaky neuron
    state, dtype = component.state[name], component.dtype
    n = component.size(name)
    time, kicks = arrivals.time, arrivals.kicks.get("current", jnp.zeros((arrivals.time.shape[0], n), dtype))
    # Room for whole chunks, the interval after the last arrival included.
    missing = padded_length(time.shape[0] + 1, _CHUNK) - 1 - time.shape[0]
    return LIFLayer(
        constants.tau_mem,
        constants.tau_syn,
        constants.v_threshold - constants.v_leak,
        constants.v_reset - constants.v_leak,
        state.v - constants.v_leak,
        state.i,
        component.drive[name],
        jnp.concatenate([time, jnp.full((missing, *time.shape[1:]), jnp.inf, dtype)]),
        jnp.concatenate([kicks, jnp.zeros((missing, n), dtype)]),
        component.samples,
    )


def solve_lif_layer(component: Component, layer: LIFLayer) -> tuple[Values, Summary]:
    """The spikes and states of a LIF layer, differentiable."""
    (name,) = component.neurons
    neuron = component.neurons[name]
    constants = neuron.lif()
    room = 1 if constants.at_most_once else component.max_spikes
    t1 = component.t1
    given = component.observed is not None
    still = freeze(layer)
    if given:
        found, reached = _observe(still, component.observed[name][:, :room], t1)
    else:
        found, reached = _search(still, room, t1, constants.at_most_once)
        if layer.samples.shape[0]:
            # The search passes by the samples.
            _, v, i, _ = _follow(still, found, t1, given)
            v, i = jnp.concatenate([v[:-1], reached.v]), jnp.concatenate([i[:-1], reached.i])
            reached = reached._replace(v=v, i=i)

    def outputs(layer, found):
        return _follow(layer, found, t1, given)[:3]

    times, v, i = attach(outputs, layer, found, (found.times, reached.v, reached.i))
    missing = component.max_spikes - room
    times = jnp.pad(times, ((0, 0), (0, missing)), constant_values=jnp.inf)

    def state_at(when, v, i):
        spiked = jnp.any(found.times <= when, axis=1) & (found.count > 0)
        fresh, reset = component.state[name], neuron.reset(component.state[name])
        flagged = jax.tree.map(lambda new, old: jnp.where(spiked, new, old), reset, fresh)
        return constants.write(flagged, v + constants.v_leak, i)

    states = jax.vmap(state_at)(layer.samples, v[:-1], i[:-1]) if layer.samples.shape[0] else None
    final = state_at(jnp.inf, v[-1], i[-1])
    summary = Summary({name: reached.flat}, {name: found.count}, {name: reached.min_slope}, reached.flags)
    return Values({name: times}, None if states is None else {name: states}, {name: final}), summary


def _search(layer: LIFLayer, room: int, t1: float, at_most_once: bool) -> tuple[LIFFound, LIFReached]:
    """All spikes up to `t1`: a scan over the intervals between arrivals, and in each as many passes as spikes."""
    n = layer.v.shape[0]
    dtype = layer.v.dtype
    starts, ends = _intervals(layer.time, t1)
    arrives = layer.time <= t1
    kicks = jnp.where(arrives if arrives.ndim == 2 else arrives[:, None], layer.kicks, 0.0)
    kicks = jnp.concatenate([kicks, jnp.zeros((1, n), dtype)])
    # The interval after the last arrival counts too.
    matters = (starts < t1) | jnp.concatenate([arrives, jnp.zeros((1, *arrives.shape[1:]), bool)])
    slots = iota(room)[None, :]
    armed = layer.v < layer.theta

    def interval(carry, x):
        v, i, *spikes = carry
        start, end, kick, e, _ = x
        base = jnp.zeros(n, dtype) + start
        left = jnp.zeros(n, dtype) + (end - start)

        def spikes_ahead(v, i, left, count, blocked):
            exhausted = (count >= 1) if at_most_once else blocked
            return st.lif_hits(v, i, left, layer.drive, layer.theta, layer.tau_mem, layer.tau_syn) & ~exhausted

        def unfinished(inner):
            return st.anywhere(jnp.any(inner[-1]))

        def one_spike(inner):
            v, i, base, left, times, segment, count, min_slope, flat, overflow, blocked, hit = inner
            u = st.lif_root(v, i, left, hit, layer.drive, layer.theta, layer.tau_mem, layer.tau_syn)
            when = base + jnp.where(hit, u, 0.0)
            _, i_there = st.lif_flow(v, i, jnp.where(hit, u, 0.0), layer.drive, layer.tau_mem, layer.tau_syn)
            slope = (layer.drive + i_there - layer.theta) / layer.tau_mem
            min_slope = jnp.where(hit, jnp.minimum(min_slope, slope), min_slope)
            flat = flat + (hit & (slope <= 0)).astype(jnp.int32)
            here = hit[:, None] & (slots == count[:, None])
            times = jnp.where(here, when[:, None], times)
            segment = jnp.where(here, e, segment)
            overflow = overflow | jnp.any(hit & (count >= room))
            blocked = blocked | (hit & (count >= room))
            count = count + (hit & (count < room)).astype(jnp.int32)
            v = jnp.where(hit, jnp.zeros_like(v) + layer.v_reset, v)
            i = jnp.where(hit, i_there, i)
            base = jnp.where(hit, when, base)
            left = jnp.where(hit, jnp.maximum(end - when, 0.0), left)
            hit = hit & spikes_ahead(v, i, left, count, blocked)
            return v, i, base, left, times, segment, count, min_slope, flat, overflow, blocked, hit

        *_, count, _, _, _, blocked = carry
        inner = (v, i, base, left, *spikes, spikes_ahead(v, i, left, count, blocked))
        v, i, _, left, *spikes, _ = lax.while_loop(unfinished, one_spike, inner)
        v, i = st.lif_flow(v, i, left, layer.drive, layer.tau_mem, layer.tau_syn)
        return (v, i + kick, *spikes), None

    no = jnp.zeros((), bool)
    carry = (
        layer.v,
        layer.i,
        jnp.full((n, room), jnp.inf, dtype),
        jnp.zeros((n, room), jnp.int32),
        jnp.zeros(n, jnp.int32),
        jnp.full(n, jnp.inf, dtype),
        jnp.zeros(n, jnp.int32),
        no,
        jnp.zeros(n, bool),
    )
    (v, i, times, segment, count, min_slope, flat, overflow, _), _ = scan_in_chunks(
        interval,
        carry,
        (starts, ends, kicks, iota(starts.shape[0]), matters),
        active=lambda _, x: jnp.any(x[-1]),
        chunk=_CHUNK,
    )
    above = jnp.any(~armed) | jnp.any(layer.v_reset >= layer.theta)
    flags = Flags(overflow, no, no, above)
    return LIFFound(times, segment, count), LIFReached(v[None], i[None], min_slope, flat, flags)


def _observe(layer: LIFLayer, times: Array, t1: float) -> tuple[LIFFound, LIFReached]:
    """Spikes that are given, `[n, room]`: where they stand among the arrivals. An arrival at a spike comes after it."""
    count = jnp.sum(jnp.isfinite(times), axis=1, dtype=jnp.int32)
    arrivals = (
        layer.time.T if layer.time.ndim == 2 else jnp.broadcast_to(layer.time, (times.shape[0], *layer.time.shape))
    )
    segment = jax.vmap(lambda a, t: jnp.searchsorted(a, t, side="left"))(arrivals, times)
    found = LIFFound(times, segment.astype(jnp.int32), count)
    _, v, i, slope = _follow(layer, found, t1, True)
    flat = jnp.sum(slope <= 0, axis=1, dtype=jnp.int32)
    no = jnp.zeros((), bool)
    return found, LIFReached(v, i, jnp.min(slope, axis=1), flat, Flags(no, no, no, no))


def _intervals(time: Array, t1: float) -> tuple[Array, Array]:
    """Starts and ends of the intervals between arrivals, `[N + 1]` (or `[N + 1, n]`), clamped to `t1`."""
    clamped = jnp.minimum(time, t1)
    shape = (1, *time.shape[1:])
    return (
        jnp.concatenate([jnp.zeros(shape, time.dtype), clamped]),
        jnp.concatenate([clamped, jnp.full(shape, t1, time.dtype)]),
    )


def _follow(layer: LIFLayer, found: LIFFound, t1: float, given: bool) -> tuple[Array, Array, Array, Array]:
    """The layer at events that are known, without a search.

    **Returns:** spike times `[n, room]`, `v` and `i` `[S + 1, n]` at the samples and at `t1`, and the slope of `v` at
    each spike `[n, room]` (`inf` where there is none), which has no derivative. With `given` spikes `v` need not be at
    the threshold there; it is still the condition `v = theta` that moves them.
    """
    # Spikes as [room, n]: the layer is the axis that vectorises.
    finite = jnp.isfinite(found.times).T
    spikes = jnp.where(finite, found.times.T, 0.0)
    lanes = iota(layer.v.shape[0])

    # The free potential and the current just after each arrival; entry 0 is time 0.
    start, v_free, i_free = _free_response(layer, t1)

    def free_at(when, entry):
        """`v_free` and `i` `[n]` at `when`, from the last arrival before it."""
        since = when - (start[entry] if start.ndim == 1 else start[entry, lanes])
        return st.lif_flow(v_free[entry, lanes], i_free[entry, lanes], since, layer.drive, layer.tau_mem, layer.tau_syn)

    v, i = jax.vmap(free_at)(spikes, found.segment.T)
    gaps = jnp.diff(spikes, axis=0, prepend=jnp.zeros_like(spikes[:1]))
    decay = jnp.exp(-jnp.where(finite, gaps, 0.0) / _over_rows(layer.tau_mem))

    def spike(taken, x):
        """One spike of each neuron; `taken` is what the resets so far take from `v`."""
        v, i, decay, finite = x
        held = taken * decay
        above = lax.stop_gradient(v - held - layer.theta) if given else 0.0
        slope = lax.stop_gradient((layer.drive + i - layer.theta - above) / layer.tau_mem)
        safe = finite & (slope > 0)
        # v - held = theta, by one step of Newton's iteration at the time that is known: zero in value.
        later = -difference(jnp.where(safe, v - held - layer.theta, 0.0)) / jnp.where(safe, slope, 1.0)
        jump = jnp.zeros_like(v) + (layer.theta - layer.v_reset + above)
        return held + jump * (1.0 + later / layer.tau_mem), (later, jnp.where(finite, slope, jnp.inf), jump)

    # Unrolled while that is small: compilation would grow with the room, and the loop costs little beside the rest.
    nothing = jnp.zeros_like(layer.v)
    unroll = room if (room := finite.shape[0]) <= _UNROLLED else 1
    _, (later, slopes, jumps) = lax.scan(spike, nothing, (v, i, decay, finite), unroll=unroll)
    times = jnp.where(finite, spikes + later, jnp.inf)
    exact = jnp.where(finite, times, 0.0)

    def state_at(when):
        entry = jnp.sum((layer.time <= when).astype(jnp.int32), axis=0)
        entry = jnp.broadcast_to(entry, lanes.shape)
        v, i = free_at(when, entry)
        before = finite & (lax.stop_gradient(exact) <= when)
        left = jnp.where(before, jnp.exp(-jnp.where(before, when - exact, 0.0) / _over_rows(layer.tau_mem)), 0.0)
        return v - jnp.sum(jumps * left, axis=0), i

    moments = jnp.concatenate([layer.samples, jnp.full(1, t1, layer.v.dtype)])
    return times.T, *jax.vmap(state_at)(moments), slopes.T


def _over_rows(tau: Any) -> Any:
    """A constant as it combines with arrays of `[rows, n]`."""
    return tau[None] if eqx.is_array(tau) and tau.ndim else tau


def _free_response(layer: LIFLayer, t1: float) -> tuple[Array, Array, Array]:
    """Times `[N + 1]` (or `[N + 1, n]`), and `v` and `i` `[N + 1, n]` just after them, if nothing were ever reset.

    Entries of arrivals after `t1` mean nothing.
    """
    time = jnp.where(layer.time <= t1, layer.time, t1)
    start = jnp.concatenate([jnp.zeros((1, *time.shape[1:]), time.dtype), time])
    nothing = jnp.zeros_like(layer.v)

    def step(carry, x):
        v, i = carry
        mem, syn, kernel, kick, _ = x
        v, i = layer.drive + (v - layer.drive) * mem + i * kernel, i * syn + kick
        return (v, i), (v, i)

    # The first entry is the state at time 0: an arrival of nothing, no time after the start.
    gaps = jnp.concatenate([start[:1], jnp.diff(start, axis=0)])
    kicks = jnp.concatenate([nothing[None], layer.kicks])
    before_end = jnp.concatenate([jnp.ones_like(start[:1], bool), layer.time <= t1])
    # The flow of each gap, outside the scan: for the whole layer it is the same few numbers.
    per_neuron = any(eqx.is_array(tau) and tau.ndim for tau in (layer.tau_mem, layer.tau_syn))
    at = gaps[:, None] if per_neuron and gaps.ndim == 1 else gaps
    tau_mem, tau_syn = _over_rows(layer.tau_mem), _over_rows(layer.tau_syn)
    flow = (jnp.exp(-at / tau_mem), jnp.exp(-at / tau_syn), st.psp_kernel(at, tau_mem, tau_syn))
    _, (v, i) = scan_in_chunks(
        step, (layer.v, layer.i), (*flow, kicks, before_end), active=lambda _, x: jnp.any(x[-1]), chunk=_CHUNK
    )
    return start, v, i
