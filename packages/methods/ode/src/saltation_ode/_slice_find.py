"""The search of a slice: which neurons spike in it first, and when. It carries no gradient."""

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
    own = incoming.time.ndim == 2
    time = jnp.where(incoming.valid, incoming.time, jnp.inf)
    waiting = _within_reach(constants, v, i, length, incoming) & ~silent

    def some(carry):
        """Search the next few neurons that are waiting."""
        waiting, first, cut = carry
        waits, lane = lax.top_k(waiting.astype(dtype), width)
        here = waits > 0
        arrives = time[:, lane] if own else jnp.broadcast_to(time[:, None], (time.shape[0], width))
        arrives = jnp.pad(arrives, ((0, 1), (0, 0)), constant_values=jnp.inf)
        kicks = jnp.pad(incoming.kicks[:, lane], ((0, 1), (0, 0)))
        found, again = _walk(constants.of(lane), v[lane], i[lane], length, arrives, kicks, here, once[lane])
        place = jnp.where(here, lane, n)
        first = first.at[place].set(found, mode="drop")
        return waiting.at[place].set(False, mode="drop"), first, jnp.minimum(cut, jnp.min(again))

    carry = waiting, jnp.full(n, jnp.inf, dtype), jnp.full((), jnp.inf, dtype)
    _, first, cut = lax.while_loop(lambda carry: st.anywhere(jnp.any(carry[0])), some, carry)
    return first, cut


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


def _walk(constants, v, i, length, arrives, kicks, live, once):
    """Through the arrivals `[A, w]` of a few neurons, one event of each at a time, up to its second spike.

    **Returns:** when each spikes first, and for those that spike again, when the slice had better end.
    """
    c = constants
    theta = jnp.zeros_like(v) + c.theta
    below = jnp.nextafter(theta, jnp.full_like(theta, -jnp.inf))
    never = jnp.full_like(v, jnp.inf)

    def event(carry):
        u, v, i, arrives, first, cut, live = carry
        which = jnp.argmin(arrives, axis=0)
        following = jnp.min(arrives, axis=0)
        stop = jnp.minimum(following, length)
        gap = jnp.maximum(stop - u, 0.0)
        hit = live & st.lif_hits(v, i, gap, c.drive, c.theta, c.tau_mem, c.tau_syn)
        root = lax.cond(
            st.anywhere(jnp.any(hit)),
            lambda: st.lif_root(v, i, gap, hit, c.drive, c.theta, c.tau_mem, c.tau_syn),
            lambda: jnp.zeros_like(gap),
        )
        root = jnp.where(hit, root, 0.0)
        again = hit & jnp.isfinite(first)
        cut = jnp.where(again, 0.5 * (first + u + root), cut)
        first = jnp.where(hit & ~again, u + root, first)
        passed = live & ~hit
        after, i = st.lif_flow(v, i, jnp.where(hit, root, gap), c.drive, c.tau_mem, c.tau_syn)
        # Equal to rounding is below: the crossing is that of the next interval.
        after = jnp.where(passed & (v < theta), jnp.minimum(after, below), after)
        v = jnp.where(hit, c.v_reset, after)
        arriving = passed & (following <= length)
        here = iota(arrives.shape[0])[:, None] == which[None, :]
        i = i + jnp.where(arriving, jnp.sum(jnp.where(here, kicks, 0.0), axis=0), 0.0)
        arrives = jnp.where(here & arriving, jnp.inf, arrives)
        live = (hit & ~again & ~once) | arriving
        return jnp.where(hit, u + root, stop), v, i, arrives, first, cut, live

    carry = jnp.zeros_like(v), v, i, arrives, never, never, live
    *_, first, cut, _ = lax.while_loop(lambda carry: st.anywhere(jnp.any(carry[-1])), event, carry)
    return first, cut
