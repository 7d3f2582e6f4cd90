"""A layer of leaky integrate-and-fire neurons along events that are known: no search, differentiable."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array

import saltation as st

from ._chunks import in_chunks, scan_in_chunks
from ._follow import difference
from ._found import Flags
from ._lif_layer import CHUNK, LIFFound, LIFLayer, LIFReached
from ._record import iota

_UNROLLED = 4  # spikes a neuron
_CARRIED = 4  # moments of a neuron


def observe_lif(layer: LIFLayer, times: Array, t1: float) -> tuple[LIFFound, LIFReached]:
    """Spikes that are given, `[n, room]`: where they stand among the arrivals. An arrival at a spike comes after it."""
    count = jnp.sum(jnp.isfinite(times), axis=1, dtype=jnp.int32)
    arrivals = (
        layer.time.T if layer.time.ndim == 2 else jnp.broadcast_to(layer.time, (times.shape[0], *layer.time.shape))
    )
    segment = jax.vmap(lambda a, t: jnp.searchsorted(a, t, side="left"))(arrivals, times)
    found = LIFFound(times, segment.astype(jnp.int32), count)
    _, v, i, slope = follow_lif(layer, found, t1, True)
    flat = jnp.sum(slope <= 0, axis=1, dtype=jnp.int32)
    no = jnp.zeros((), bool)
    return found, LIFReached(v, i, jnp.min(slope, axis=1), flat, Flags(no, no, no, no))


def follow_lif(layer: LIFLayer, found: LIFFound, t1: float, given: bool) -> tuple[Array, Array, Array, Array]:
    """The layer at events that are known, without a search.

    **Returns:** spike times `[n, room]`, `v` and `i` `[S + 1, n]` at the samples and at `t1`, and the slope of `v` at
    each spike `[n, room]` (`inf` where there is none), which has no derivative. With `given` spikes `v` need not be at
    the threshold there; it is still the condition `v = theta` that moves them.
    """
    # Spikes as [room, n]: the layer is the axis that vectorises.
    finite = jnp.isfinite(found.times).T
    spikes = jnp.where(finite, found.times.T, 0.0)
    lanes = iota(layer.v.shape[0])

    moments = jnp.concatenate([layer.samples, jnp.full(1, t1, layer.v.dtype)])
    last = jax.vmap(lambda when: jnp.sum(layer.time <= when, axis=0, dtype=jnp.int32))(moments)
    last = jnp.broadcast_to(last if last.ndim == 2 else last[:, None], (moments.shape[0], lanes.shape[0]))

    # The free potential and the current at all spikes and moments, from the last arrival before each.
    when = jnp.concatenate([spikes, jnp.broadcast_to(moments[:, None], last.shape)])
    entry = jnp.concatenate([found.segment.T, last])
    start, v, i = _free_response(layer, t1, entry)
    tau_mem, tau_syn = _over_rows(layer.tau_mem), _over_rows(layer.tau_syn)
    v, i = st.lif_flow(v, i, when - start, layer.drive[None], tau_mem, tau_syn)
    room = spikes.shape[0]
    v, i, v_at, i_at = v[:room], i[:room], v[room:], i[room:]
    gaps = jnp.diff(spikes, axis=0, prepend=jnp.zeros_like(spikes[:1]))
    decay = jnp.exp(-jnp.where(finite, gaps, 0.0) / tau_mem)

    def spike(taken, x):
        """One spike of each neuron; `taken` is what the resets so far take from `v`."""
        v, i, decay, finite = x
        held = taken * decay
        above = lax.stop_gradient(v - held - layer.theta) if given else 0.0
        slope = lax.stop_gradient((layer.drive + i - layer.theta - above) / layer.tau_mem)
        safe = finite & (slope > 0)
        # v - held = theta, by one step of Newton's iteration at the time that is known: zero in value.
        steepness = jnp.where(safe, jnp.maximum(slope, layer.slope_floor), 1.0)
        later = -difference(jnp.where(safe, v - held - layer.theta, 0.0)) / steepness
        jump = jnp.zeros_like(v) + (layer.theta - layer.v_reset + above)
        return held + jump * (1.0 + later / layer.tau_mem), (later, jnp.where(finite, slope, jnp.inf), jump)

    # Unrolled while that is small: compilation would grow with the room, and the loop costs little beside the rest.
    nothing = jnp.zeros_like(layer.v)
    unroll = room if room <= _UNROLLED else 1
    _, (later, slopes, jumps) = lax.scan(spike, nothing, (v, i, decay, finite), unroll=unroll)
    times = jnp.where(finite, spikes + later, jnp.inf)
    exact = jnp.where(finite, times, 0.0)

    def taken_at(when):
        """What the resets before `when` have taken from `v` by then."""
        before = finite & (lax.stop_gradient(exact) <= when)
        left = jnp.where(before, jnp.exp(-jnp.where(before, when - exact, 0.0) / tau_mem), 0.0)
        return jnp.sum(jumps * left, axis=0)

    return times.T, v_at - jax.vmap(taken_at)(moments), i_at, slopes.T


def _over_rows(tau: Any) -> Any:
    """A constant as it combines with arrays of `[rows, n]`."""
    return tau[None] if eqx.is_array(tau) and tau.ndim else tau


def _free_response(layer: LIFLayer, t1: float, entry: Array) -> tuple[Array, Array, Array]:
    """When the arrivals `entry` `[rows, n]` come (entry 0: the start), and `v` and `i` `[rows, n]` just after them, if
    nothing were ever reset. None of them comes after `t1`.
    """
    time = jnp.where(layer.time <= t1, layer.time, t1)
    start = jnp.concatenate([jnp.zeros((1, *time.shape[1:]), time.dtype), time])
    # The first entry is the state at time 0: an arrival of nothing, no time after the start.
    gaps = jnp.concatenate([start[:1], jnp.diff(start, axis=0)])
    before_end = jnp.concatenate([jnp.ones_like(start[:1], bool), layer.time <= t1])
    # The flow of each gap, outside the scan: for the whole layer it is the same few numbers.
    per_neuron = any(eqx.is_array(tau) and tau.ndim for tau in (layer.tau_mem, layer.tau_syn))
    at = gaps[:, None] if per_neuron and gaps.ndim == 1 else gaps
    tau_mem, tau_syn = _over_rows(layer.tau_mem), _over_rows(layer.tau_syn)
    flow = (jnp.exp(-at / tau_mem), jnp.exp(-at / tau_syn), st.psp_kernel(at, tau_mem, tau_syn))
    lanes = iota(layer.v.shape[0])
    # A few moments are kept on the way; for many it is cheaper to store the whole way.
    few = entry.shape[0] <= _CARRIED

    def step(carry, x):
        v, i, kept = carry
        mem, syn, kernel, kick, number, _ = x
        v, i = layer.drive + (v - layer.drive) * mem + i * kernel, i * syn + kick
        if not few:
            return (v, i, kept), (v, i)
        here = entry == number
        kept = tuple(jnp.where(here, new[None], old) for new, old in zip((v, i), kept, strict=True))
        return (v, i, kept), None

    nothing = jnp.zeros(entry.shape, layer.v.dtype)
    (_, _, kept), way = scan_in_chunks(
        step,
        (layer.v, layer.i, (nothing, nothing) if few else ()),
        in_chunks((*flow, layer.delivered(t1, before=1), iota(start.shape[0]), before_end), CHUNK),
        active=lambda _, x: jnp.any(x[-1]),
        prepare=lambda x: (*x[:3], layer.rows(x[3]), *x[4:]),
    )
    v, i = kept if few else (x.reshape(-1, lanes.shape[0])[entry, lanes] for x in way)
    return start[entry] if start.ndim == 1 else start[entry, lanes], v, i
