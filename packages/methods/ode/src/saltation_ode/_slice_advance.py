"""The advance of recurrent leaky integrate-and-fire neurons through one slice whose spikes are known.

In a slice no spike reaches a neuron of the same slice, and no neuron spikes twice. So nothing has to be done in order:
the state at the end, and that at a spike, are sums over the arrivals before, `v = sum kicks kappa(t - arrival)`.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array

import saltation as st

from ._follow import difference
from ._slice_layer import Constants


class Incoming(NamedTuple):
    """The arrivals of a slice, in any order."""

    time: Array  # [A], or [A, n] where each neuron has its own
    kicks: Array  # [A, n]
    valid: Array  # like `time`, bools: what this slice takes of them


class Firing(NamedTuple):
    """The spikes of a slice, `[R]`."""

    lane: Array  # of which neuron; any where there is none
    when: Array  # `inf` where there is none


class Advanced(NamedTuple):
    v: Array  # [n], at the end of the slice
    i: Array
    when: Array  # [R], the spikes, with the derivative of their times; zero where there is none
    slope: Array  # [R], of the potential there, without a derivative; `inf` where there is none


def advance(
    constants: Constants, v: Array, i: Array, start, end, incoming: Incoming, firing: Firing, floor: float, given: bool
) -> Advanced:
    """From `start` to `end`; the condition `v = theta` moves the spikes, also where `given` ones are not at it."""
    fired = jnp.isfinite(firing.when)
    lane = jnp.where(fired, firing.lane, 0)
    when = jnp.where(fired, firing.when, start)
    v_end, i_end = st.lif_flow(v, i, end - start, constants.drive, constants.tau_mem, constants.tau_syn)
    by_v, by_i = _kernels(constants, incoming.time, incoming.valid, end)
    if by_v.ndim == 1:
        v_end, i_end = v_end + by_v @ incoming.kicks, i_end + by_i @ incoming.kicks
    else:
        v_end = v_end + jnp.sum(by_v * incoming.kicks, axis=0)
        i_end = i_end + jnp.sum(by_i * incoming.kicks, axis=0)

    # At the spikes, of the neurons that spike alone.
    its = constants.of(lane)
    v_at, i_at = st.lif_flow(v[lane], i[lane], when - start, its.drive, its.tau_mem, its.tau_syn)
    own = incoming.time.ndim == 2
    times = incoming.time[:, lane] if own else incoming.time[:, None]
    before = (incoming.valid[:, lane] if own else incoming.valid[:, None]) & (times < when[None])
    by_v, by_i = _kernels(its, times, before, when[None])
    kicks = incoming.kicks[:, lane]
    v_at, i_at = v_at + jnp.sum(by_v * kicks, axis=0), i_at + jnp.sum(by_i * kicks, axis=0)

    above = lax.stop_gradient(v_at - its.theta) if given else 0.0
    slope = lax.stop_gradient((its.drive + i_at - its.theta - above) / its.tau_mem)
    safe = fired & (slope > 0)
    steepness = jnp.where(safe, jnp.maximum(slope, floor), 1.0)
    # One step of Newton's iteration at the time that is known: zero in value.
    off = difference(jnp.where(fired, v_at - its.theta, 0.0))
    later = -jnp.where(safe, off, 0.0) / steepness
    # From wherever `v` is at the moved spike to `v_reset`.
    jump = its.theta - its.v_reset + above + off + slope * later
    left = jnp.exp(-jnp.where(fired, end - when, 0.0) / its.tau_mem)
    taken = jnp.where(fired, jump * left * (1.0 + later / its.tau_mem), 0.0)
    v_end = v_end.at[jnp.where(fired, lane, v.shape[0])].add(-taken, mode="drop")
    return Advanced(v_end, i_end, jnp.where(fired, when + later, 0.0), jnp.where(fired, slope, jnp.inf))


def _kernels(constants: Constants, time: Array, valid: Array, end: Array) -> tuple[Array, Array]:
    """What a kick at `time` is worth at `end`, in `v` and in `i`."""
    taus = constants.tau_mem, constants.tau_syn
    if time.ndim == 1 and any(jnp.ndim(tau) for tau in taus):
        time, valid = time[:, None], valid[:, None]
    tau_mem, tau_syn = (tau[None] if jnp.ndim(tau) else tau for tau in taus)
    # One at the end itself is worth nothing in `v`, but its derivative is.
    gap = jnp.where(valid, end - jnp.where(valid, time, 0.0), 0.0)
    by_v, by_i = st.psp_kernel(gap, tau_mem, tau_syn), jnp.exp(-gap / tau_syn)
    return jnp.where(valid, by_v, 0.0), jnp.where(valid, by_i, 0.0)
