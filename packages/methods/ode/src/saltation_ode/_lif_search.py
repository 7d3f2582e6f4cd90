"""The search for the spikes of a layer of leaky integrate-and-fire neurons: one walk through its arrivals."""

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array

import saltation as st

from ._chunks import in_chunks, scan_in_chunks
from ._found import Flags
from ._lif_layer import CHUNK, LIFFound, LIFLayer, LIFReached
from ._record import iota


def search_lif(layer: LIFLayer, room: int, t1: float) -> tuple[LIFFound, LIFReached]:
    """All spikes up to `t1`: a scan over the intervals between arrivals, and in each as many passes as spikes."""
    n, dtype = layer.v.shape[0], layer.v.dtype
    slots = iota(room)[None, :]
    constants = layer.drive, layer.tau_mem, layer.tau_syn

    def interval(carry, x):
        v, i, *spikes = carry
        start, end, kick, e, _ = x

        def spikes_ahead(v, i, left, full):
            return st.lif_hits(v, i, left, layer.drive, layer.theta, layer.tau_mem, layer.tau_syn) & ~full

        def unfinished(inner):
            return st.anywhere(jnp.any(inner[-1]))

        def one_spike(inner):
            v, i, v_end, i_end, base, left, times, segment, count, min_slope, flat, full, hit = inner
            u = st.lif_root(v, i, left, hit, layer.drive, layer.theta, layer.tau_mem, layer.tau_syn)
            u = jnp.where(hit, u, 0.0)
            when = base + u
            i = jnp.where(hit, st.lif_flow(v, i, u, *constants)[1], i)
            v = jnp.where(hit, jnp.zeros_like(v) + layer.v_reset, v)
            slope = (layer.drive + i - layer.theta) / layer.tau_mem
            min_slope = jnp.where(hit, jnp.minimum(min_slope, slope), min_slope)
            flat = flat + (hit & (slope <= 0)).astype(jnp.int32)
            here = hit[:, None] & (slots == count[:, None])
            times = jnp.where(here, when[:, None], times)
            segment = jnp.where(here, e, segment)
            full = full | (hit & (count >= room))
            count = count + (hit & (count < room)).astype(jnp.int32)
            base = jnp.where(hit, when, base)
            left = jnp.where(hit, jnp.maximum(end - when, 0.0), left)
            later = st.lif_flow(v, i, left, *constants)
            v_end, i_end = (jnp.where(hit, new, old) for new, old in zip(later, (v_end, i_end), strict=True))
            hit = hit & spikes_ahead(v, i, left, full)
            return v, i, v_end, i_end, base, left, times, segment, count, min_slope, flat, full, hit

        # Neurons that do not spike in this interval share its few exponentials.
        gap = end - start
        nothing = jnp.zeros(n, dtype)
        v_end, i_end = st.lif_flow(v, i, gap, *constants)
        hit = spikes_ahead(v, i, gap, spikes[-1])
        inner = (v, i, v_end, i_end, nothing + start, nothing + gap, *spikes, hit)
        _, _, v, i, _, _, *spikes, _ = lax.while_loop(unfinished, one_spike, inner)
        return (v, i + kick, *spikes), None

    carry = (
        layer.v,
        layer.i,
        jnp.full((n, room), jnp.inf, dtype),
        jnp.zeros((n, room), jnp.int32),
        jnp.zeros(n, jnp.int32),
        jnp.full(n, jnp.inf, dtype),
        jnp.zeros(n, jnp.int32),
        jnp.zeros(n, bool),
    )
    v, i, times, segment, count, min_slope, flat, full = _over_intervals(interval, carry, layer, t1)
    flags = _flags(layer, jnp.any(full[: n - layer.spare]))  # a spare neuron is not inhibited
    return LIFFound(times, segment, count), LIFReached(v[None], i[None], min_slope, flat, flags)


def search_lif_once(layer: LIFLayer, t1: float) -> tuple[LIFFound, LIFReached]:
    """The first spikes up to `t1`, where a neuron has no other: a walk without resets, and one root for each neuron."""
    n, dtype = layer.v.shape[0], layer.v.dtype
    constants = layer.drive, layer.tau_mem, layer.tau_syn
    nothing = jnp.zeros(n, dtype)

    def interval(carry, x):
        v, i, spiked, at = carry
        start, end, kick, e, _ = x
        gap = end - start
        hit = st.lif_hits(v, i, gap, layer.drive, layer.theta, layer.tau_mem, layer.tau_syn) & ~spiked
        here = v, i, nothing + start, nothing + gap, jnp.full(n, e)
        at = tuple(jnp.where(hit, new, old) for new, old in zip(here, at, strict=True))
        v, i = st.lif_flow(v, i, gap, *constants)
        return (v, i + kick, spiked | hit, at), None

    at = (nothing, nothing, nothing, nothing, jnp.zeros(n, jnp.int32))
    carry = layer.v, layer.i, jnp.zeros(n, bool), at
    v_free, i_end, spiked, (v, i, start, gap, segment) = _over_intervals(interval, carry, layer, t1)

    u = st.lif_root(v, i, gap, spiked, layer.drive, layer.theta, layer.tau_mem, layer.tau_syn)
    times = jnp.where(spiked, start + u, jnp.inf)
    _, i = st.lif_flow(v, i, u, *constants)
    slope = (layer.drive + i - layer.theta) / layer.tau_mem
    # What the reset takes from the potential decays from then on.
    since = jnp.where(spiked, t1 - times, 0.0)
    taken = jnp.where(spiked, (layer.theta - layer.v_reset) * jnp.exp(-since / layer.tau_mem), 0.0)
    found = LIFFound(times[:, None], segment[:, None], spiked.astype(jnp.int32))
    min_slope = jnp.where(spiked, slope, jnp.inf)
    flat = (spiked & (slope <= 0)).astype(jnp.int32)
    flags = _flags(layer, jnp.zeros((), bool))
    return found, LIFReached((v_free - taken)[None], i_end[None], min_slope, flat, flags)


def _over_intervals(interval, carry, layer: LIFLayer, t1: float):
    """The carry after `interval(carry, (start, end, kick, number, matters))` of all intervals between arrivals.

    They are clamped to `t1`; an arrival after it delivers nothing.
    """
    arrives = layer.time <= t1
    clamped = jnp.minimum(layer.time, t1)
    shape = (1, *layer.time.shape[1:])
    starts = jnp.concatenate([jnp.zeros(shape, clamped.dtype), clamped])
    ends = jnp.concatenate([clamped, jnp.full(shape, t1, clamped.dtype)])
    # The interval after the last arrival counts too.
    matters = (starts < t1) | jnp.concatenate([arrives, jnp.zeros(shape, bool)])
    return scan_in_chunks(
        interval,
        carry,
        in_chunks((starts, ends, layer.delivered(t1, after=1), iota(starts.shape[0]), matters), CHUNK),
        active=lambda _, x: jnp.any(x[-1]),
        prepare=lambda x: (*x[:2], layer.rows(x[2]), *x[3:]),
    )[0]


def _flags(layer: LIFLayer, overflow: Array) -> Flags:
    no = jnp.zeros((), bool)
    above = jnp.any(layer.v >= layer.theta) | jnp.any(layer.v_reset >= layer.theta)
    return Flags(overflow, no, no, above)
