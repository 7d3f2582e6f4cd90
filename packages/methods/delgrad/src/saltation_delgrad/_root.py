"""When a potential first reaches its threshold, for states of which it is known that they do."""

from collections.abc import Callable

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array

import saltation as st

_MAX_ITERATIONS = 60


def quadratic_root(w: Array, i: Array, theta: Array | float, hit: Array, tau_mem: float) -> Array:
    """For `tau_mem = 2 tau_syn`: `a x - i x^2 = theta` with `x = exp(-u / tau_mem)`, `a = w + i`, the larger root."""
    a = w + i
    root = jnp.sqrt(jnp.where(hit, jnp.maximum(a * a - 4.0 * i * theta, 0.0), 1.0))
    # Of the two forms of a root, the one whose terms have the same sign.
    upper = (a + root) / jnp.where(i == 0, 1.0, 2.0 * i)
    lower = 2.0 * theta / jnp.where(a - root == 0, 1.0, a - root)
    x = jnp.where(a >= 0, upper, lower)
    return -tau_mem * jnp.log(jnp.where(hit & (x > 0), x, 1.0))


def lambert_root(w: Array, i: Array, theta: Array | float, usual: Array) -> Array:
    """For `tau_mem = tau_syn`: the first `z` with `(w + i z) exp(-z) = theta`, where `i > 0` and `theta > 0`.

    `z = log(i / theta) - y`, where `y - 1 + exp(-y) = e` is by how much the maximum, in units of `i`, is above the
    threshold. That is Lambert's principal branch, `y = 1 + e + W(-exp(-1 - e))`, in a form that neither overflows nor
    cancels; a series and three steps of Halley's iteration give it to rounding.
    """
    i = jnp.where(usual, i, 1.0)
    top = jnp.log(i / jnp.where(usual, theta, 1.0))
    e = jnp.maximum(w / i + top - 1.0, 0.0)
    s = jnp.sqrt(2.0 * e)
    series = s * (1.0 + s * (1 / 6 + s * (1 / 36 - s / 270)))
    y = jnp.where(e < 1.0, series, 1.0 + e - jnp.exp(-1.0 - e))
    for _ in range(3):
        decay = jnp.exp(-y)
        excess, slope = decay - 1.0 + y - e, 1.0 - decay
        step = excess * slope / jnp.maximum(slope * slope - 0.5 * excess * decay, jnp.finfo(y.dtype).tiny)
        # So close to the maximum the series is exact, and the iteration would only add its rounding.
        y = jnp.where(y > 0.03, y - step, y)
    return top - y


def newton_root(motion: Callable[[Array], tuple[Array, Array, Array]], high: Array, hit: Array) -> Array:
    """Newton's iteration on `[0, high]`, where the potential starts below the threshold and does not end below it.

    `motion(u)` gives by how much the potential is above the threshold, its slope, and the derivative of that. A bracket
    is kept, and bisected where a step would leave it.
    """
    eps = jnp.finfo(high.dtype).eps
    high = jnp.where(hit, high, 0.0)
    # Close to a maximum the excess is a parabola with its vertex at `high`: its root is an excellent first guess where
    # the crossing almost touches, which is where Newton's iteration would be slow.
    top, _, bend = motion(high)
    guess = high - jnp.sqrt(jnp.maximum(2.0 * top / jnp.where(bend < 0, -bend, jnp.inf), 0.0))
    start = jnp.where((guess > 0) & (guess < high), guess, 0.5 * high)
    # Times are measured from the last arrival, so rounding of the potential is a multiple of this one's.
    least = 2.0 * eps * high

    def step(carry):
        u, low, high, _, count = carry
        value, slope, _ = motion(u)
        low, high = jnp.where(value < 0, u, low), jnp.where(value < 0, high, u)
        newton = u - value / jnp.where(slope > 0, slope, jnp.inf)
        inside = (newton >= low) & (newton <= high) & (slope > 0)
        following = jnp.where(inside, newton, 0.5 * (low + high))
        return following, low, high, hit & (jnp.abs(following - u) > least), count + 1

    def unfinished(carry):
        *_, moving, count = carry
        return st.anywhere(jnp.any(moving)) & (count < _MAX_ITERATIONS)

    carry = (start, jnp.zeros_like(high), high, hit, jnp.zeros((), jnp.int32))
    return lax.while_loop(unfinished, step, carry)[0]
