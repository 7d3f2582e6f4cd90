"""Where a leaky integrate-and-fire neuron first reaches a threshold that decays exponentially.

The excess `g = v - threshold - a` is a sum of three exponentials and a constant: it has up to three zeros, and no
formula for them. But `(tau_adapt D + 1) g` holds no `a` any more, and `(tau_mem D + 1)` of that holds no `v`: what is
left has one zero, by a logarithm. Between the zeros of `(tau D + 1) f` the function `exp(t / tau) f` is monotone, so
each step back up brackets the zeros of the next function. That holds for all ratios of the time constants.
"""

from collections.abc import Callable

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

import saltation as st

from ._parameters import Parameter

_MAX_ITERATIONS = 80

Function = Callable[[Array], tuple[Array, Array]]  # to its value and its slope


def alif_crossing(
    v: Array,
    i: Array,
    a: Array,
    duration: Array,
    current: Array,
    threshold: Parameter,
    tau_mem: Parameter,
    tau_syn: Parameter,
    tau_adapt: Parameter,
) -> Float[Array, "..."]:
    """The first time in `(0, duration]` at which `v` rises through `threshold + a`, `inf` if it does not.

    `tau_mem dv/dt = -v + i + current`, `tau_syn di/dt = -i`, `tau_adapt da/dt = -a`, `v` measured from the leak
    potential; elementwise.
    """

    def climb(u):
        """`(tau_adapt D + 1) g` and its slope."""
        w, j = st.lif_flow(v, i, u, current, tau_mem, tau_syn)
        value = tau_adapt * (current + j - w) / tau_mem + w - threshold
        bend = (1.0 - tau_adapt / tau_syn) * j + current - threshold  # (tau_mem D + 1) of it
        return value, (bend - value) / tau_mem

    def excess(u):
        """`g` and its slope."""
        w, _ = st.lif_flow(v, i, u, current, tau_mem, tau_syn)
        value = w - threshold - a * jnp.exp(-u / tau_adapt)
        return value, (climb(u)[0] - value) / tau_adapt

    end = jnp.zeros_like(v) + duration
    start = jnp.zeros_like(end)
    # The zero of `bend`: exp(-u / tau_syn) = share.
    slope = (1.0 - tau_adapt / tau_syn) * i
    share = (threshold - current) / jnp.where(slope == 0, 1.0, slope)
    ahead = (slope != 0) & (share > 0) & (share < 1)
    bend = jnp.where(ahead, jnp.minimum(-tau_syn * jnp.log(jnp.where(ahead, share, 1.0)), end), start)

    found, root = _zero(climb, start, bend)
    first = jnp.where(found, root, start)
    found, root = _zero(climb, bend, end)
    second = jnp.where(found, root, end)

    # `g` rises through zero at most once in each of the three intervals.
    points = [start, first, second, end]
    levels = [excess(point)[0] for point in points]
    low, high, hit = start, start, jnp.zeros(end.shape, bool)
    for left, right, below, above in zip(points, points[1:], levels, levels[1:], strict=False):
        here = ~hit & (below < 0) & (above >= 0)
        low, high, hit = jnp.where(here, left, low), jnp.where(here, right, high), hit | here
    return jnp.where(hit, _refined(excess, low, high), jnp.inf)


def _zero(function: Function, low: Array, high: Array) -> tuple[Array, Array]:
    """Whether a function with at most one zero in `(low, high)` changes its sign there, and where."""
    changes = (function(low)[0] < 0) != (function(high)[0] < 0)
    return changes, _refined(function, low, jnp.where(changes, high, low))


def _refined(function: Function, low: Array, high: Array) -> Array:
    """Newton's iteration to a change of sign between `low` and `high`; it bisects where a step would leave them."""
    negative = function(low)[0] < 0
    eps = jnp.finfo(low.dtype).eps

    def step(carry):
        u, low, high, _, count = carry
        value, slope = function(u)
        same = (value < 0) == negative
        low, high = jnp.where(same, u, low), jnp.where(same, high, u)
        newton = u - value / jnp.where(slope == 0, jnp.inf, slope)
        inside = (newton > low) & (newton < high) & (slope != 0)
        following = jnp.where(inside, newton, 0.5 * (low + high))
        moving = (jnp.abs(following - u) > 4 * eps * jnp.abs(u)) & (high > low) & (value != 0)
        return jnp.where(value == 0, u, following), low, high, moving, count + 1

    def unfinished(carry):
        *_, moving, count = carry
        return st.anywhere(jnp.any(moving)) & (count < _MAX_ITERATIONS)

    carry = (0.5 * (low + high), low, high, high > low, jnp.zeros((), jnp.int32))
    return lax.while_loop(unfinished, step, carry)[0]
