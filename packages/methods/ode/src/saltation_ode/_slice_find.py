"""The search of a slice: which neurons spike in it first, and when. It carries no gradient."""

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array

import saltation as st

from ._record import iota
from ._slice_advance import Incoming
from ._slice_layer import Constants

_WIDTH = 32  # neurons that are searched side by side


def first_spikes(
    constants: Constants, v: Array, i: Array, length: Array, incoming: Incoming, silent: Array, once: Array
) -> tuple[Array, Array]:
    """The first spike of each neuron in the slice, times since its start `[n]` (`inf`: none), and an end for the slice
    before which no neuron spikes again.

    Times of `incoming` are since the start, too. `silent` neurons do not spike, those of `once` not again.
    """
    n, dtype = v.shape[0], v.dtype
    width = min(n, _WIDTH)
    never = jnp.full((), jnp.inf, dtype)
    time, kicks = jnp.where(incoming.valid, incoming.time, jnp.inf), incoming.kicks
    shared = time.ndim == 1
    if shared:
        time, kicks = _sorted(time, kicks)

    def some(carry):
        """Search the next few neurons that are waiting."""
        waiting, first, cut = carry
        lane = st.argsort_times(jnp.where(waiting, 0.0, never))[:width]
        here = waiting[lane]
        order = (time, kicks[:, lane]) if shared else jax.vmap(_sorted, 1, 1)(time[:, lane], kicks[:, lane])
        found, again = _walk(constants.of(lane), v[lane], i[lane], length, *order, here, once[lane])
        place = jnp.where(here, lane, n)
        first = first.at[place].set(found, mode="drop")
        return waiting.at[place].set(False, mode="drop"), first, jnp.minimum(cut, jnp.min(again))

    waiting = _within_reach(constants, v, i, length, incoming) & ~silent
    carry = waiting, jnp.full(n, jnp.inf, dtype), never
    _, first, cut = lax.while_loop(lambda carry: st.anywhere(jnp.any(carry[0])), some, carry)
    return first, cut


def _sorted(time: Array, kicks: Array) -> tuple[Array, Array]:
    """Arrivals in order, and the end after them."""
    order = st.argsort_times(time)
    end = [(0, 1)] + [(0, 0)] * (kicks.ndim - 1)
    return jnp.pad(time[order], (0, 1), constant_values=jnp.inf), jnp.pad(kicks[order], end)


def _within_reach(constants: Constants, v: Array, i: Array, length: Array, incoming: Incoming) -> Array:
    """Who may reach the threshold at all: `v` stays below what it would do if all positive kicks came at once and
    stayed. Most neurons of a slice need no search.
    """
    kicks = jnp.maximum(incoming.kicks, 0.0)
    valid = incoming.valid if incoming.valid.ndim == 2 else incoming.valid[:, None]
    most = jnp.maximum(i, 0.0) + jnp.sum(jnp.where(valid, kicks, 0.0), axis=0)
    rate = length / constants.tau_mem
    w, theta = v - constants.drive, constants.theta - constants.drive
    reach = jnp.maximum(w, w * jnp.exp(-rate) - most * jnp.expm1(-rate))
    rounding = 32 * jnp.finfo(v.dtype).eps * (jnp.abs(w) + most + jnp.abs(theta))
    return reach >= theta - rounding


def _walk(constants, v, i, length, time, kicks, live, once):
    """Through the arrivals in order, `time` `[A]` or `[A, w]` and `kicks` `[A, w]`, of a few neurons, one event of each
    after the other up to its second spike.

    **Returns:** when each spikes first, and for those that spike again, when the slice had better end.
    """
    c = constants
    theta = jnp.zeros_like(v) + c.theta
    below = jnp.nextafter(theta, jnp.full_like(theta, -jnp.inf))
    never = jnp.full_like(v, jnp.inf)
    lanes = iota(v.shape[0])

    def event(carry):
        u, v, i, passed, first, cut, live = carry
        following = time[passed] if time.ndim == 1 else time[passed, lanes]
        stop = jnp.minimum(following, length)
        gap = jnp.maximum(stop - u, 0.0)
        hit = live & st.lif_hits(v, i, gap, c.drive, c.theta, c.tau_mem, c.tau_syn)
        root = lax.cond(
            st.anywhere(jnp.any(hit)),
            lambda: jnp.where(hit, st.lif_root(v, i, gap, hit, c.drive, c.theta, c.tau_mem, c.tau_syn), 0.0),
            lambda: jnp.zeros_like(gap),
        )
        again = hit & jnp.isfinite(first)
        cut = jnp.where(again, 0.5 * (first + u + root), cut)
        first = jnp.where(hit & ~again, u + root, first)
        after, i = st.lif_flow(v, i, jnp.where(hit, root, gap), c.drive, c.tau_mem, c.tau_syn)
        # Equal to rounding is below: the crossing is that of the next interval.
        after = jnp.where(~hit & (v < theta), jnp.minimum(after, below), after)
        v = jnp.where(hit, c.v_reset, after)
        arriving = live & ~hit & (following <= length)
        i = i + jnp.where(arriving, kicks[passed, lanes], 0.0)
        passed = passed + arriving.astype(passed.dtype)
        live = (hit & ~again & ~once) | arriving
        return jnp.where(hit, u + root, stop), v, i, passed, first, cut, live

    carry = jnp.zeros_like(v), v, i, jnp.zeros(v.shape, jnp.int32), never, never, live
    *_, first, cut, _ = lax.while_loop(lambda carry: st.anywhere(jnp.any(carry[-1])), event, carry)
    return first, cut
