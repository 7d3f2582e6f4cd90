"""The integrate-and-fire neuron without a leak between two events: its exact flow, and where it reaches a threshold.

`c_mem dv/dt = i + current`, `tau_syn di/dt = -i`. Everything is elementwise.
"""

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float

from ._anywhere import anywhere
from ._traits import Number

_MAX_ITERATIONS = 80


def if_flow(v: Array, i: Array, u: Array, current: Number, c_mem: Number, tau_syn: Number) -> tuple[Array, Array]:
    """`v` and `i` after `u >= 0` without an event."""
    charge = current * u - i * tau_syn * jnp.expm1(-u / tau_syn)
    return v + charge / c_mem, i * jnp.exp(-u / tau_syn)


def if_hits(
    v: Array, i: Array, duration: Array, current: Number, threshold: Number, c_mem: Number, tau_syn: Number
) -> Bool[Array, "..."]:
    """Whether `v` rises through `threshold` in `(0, duration]`: the test of `if_crossing`, without its root."""
    charge = c_mem * (threshold - v)
    low, high = _bracket(i, current, duration, tau_syn)
    return (_gain(high, i, current, tau_syn) >= charge) & (_gain(low, i, current, tau_syn) < charge)


def if_crossing(
    v: Array, i: Array, duration: Array, current: Number, threshold: Number, c_mem: Number, tau_syn: Number
) -> Float[Array, "..."]:
    """The first time in `(0, duration]` at which `v` rises through `threshold`, `inf` if it does not.

    The charge `q(u) = current u + i tau_syn (1 - exp(-u / tau_syn))` has at most one extremum, so a crossing lies
    before a maximum, after a minimum, or anywhere, where `q` is monotone. There Newton's iteration needs no bracket:
    `q` is concave or convex, and from the proper side of the root every step goes towards it. Without a current the
    first guess, a logarithm, is the root.
    """
    hit = if_hits(v, i, duration, current, threshold, c_mem, tau_syn)
    return jnp.where(hit, if_root(v, i, duration, hit, current, threshold, c_mem, tau_syn), jnp.inf)


def if_root(
    v: Array, i: Array, duration: Array, hit: Array, current: Number, threshold: Number, c_mem: Number, tau_syn: Number
) -> Float[Array, "..."]:
    """The crossing that `if_hits` says is there; any number in `[0, duration]` where `hit` is false."""
    charge = c_mem * (threshold - v)
    low, high = _bracket(i, current, duration, tau_syn)
    low, high = jnp.where(hit, low, 0.0), jnp.where(hit, high, 0.0)

    def excess(u: Array) -> Array:
        return _gain(u, i, current, tau_syn) - charge

    def slope(u: Array) -> Array:
        return current + i * jnp.exp(-u / tau_syn)

    concave = i >= 0
    # Two first guesses, both on the proper side. The one ignores how `i` or the current go on; it is exact
    # where there is no current. The other is the parabola at `high`; it is excellent where the crossing
    # almost touches a maximum.
    remaining = charge - i * tau_syn
    without_current = -tau_syn * jnp.log1p(-jnp.clip(charge / jnp.where(i > 0, i * tau_syn, jnp.inf), 0.0, 1.0))
    first = jnp.where(current > 0, remaining / jnp.where(current > 0, current, 1.0), without_current)
    top, rise = excess(high), jnp.maximum(slope(high), 0.0)
    square = rise * rise + 2.0 * top * i * jnp.exp(-high / tau_syn) / tau_syn
    divisor = rise + jnp.where(square > 0, jnp.sqrt(jnp.maximum(square, 0.0)), rise)
    second = high - 2.0 * top / jnp.where(divisor > 0, divisor, 1.0)
    second = jnp.where(divisor > 0, second, low)
    start = jnp.clip(jnp.where(concave, jnp.maximum(first, second), jnp.minimum(first, second)), low, high)
    eps = jnp.finfo(start.dtype).eps

    def step(carry):
        u, _, count = carry
        rising = slope(u) > 0
        move = jnp.where(rising, -excess(u) / jnp.where(rising, slope(u), 1.0), 0.0)
        # A step to the other side is round-off: the root is reached.
        moving = jnp.where(concave, move, -move) > 4 * eps * jnp.abs(u)
        return jnp.clip(u + move, low, high), moving, count + 1

    def unfinished(carry):
        _, moving, count = carry
        return anywhere(jnp.any(moving)) & (count < _MAX_ITERATIONS)

    return lax.while_loop(unfinished, step, (start, hit, jnp.zeros((), jnp.int32)))[0]


def _bracket(i: Array, current: Number, duration: Array, tau_syn: Number) -> tuple[Array, Array]:
    """An interval in which `v` is monotone and which holds the crossing, if there is one."""
    turns = ((current > 0) & (i < -current)) | ((current < 0) & (i > -current))
    extremum = tau_syn * jnp.log(jnp.where(turns, -i / jnp.where(turns, current, 1.0), 1.0))
    inside = turns & (extremum < duration)
    return jnp.where(inside & (i < 0), extremum, 0.0), jnp.where(inside & (i > 0), extremum, duration)


def _gain(u: Array, i: Array, current: Number, tau_syn: Number) -> Array:
    return current * u - i * tau_syn * jnp.expm1(-u / tau_syn)
