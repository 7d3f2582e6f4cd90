"""The leaky integrate-and-fire neuron between two events: its exact flow, and where it first reaches a threshold.

`tau_mem dv/dt = -v + i + current`, `tau_syn di/dt = -i`, with `v` measured from the leak potential. Everything is
elementwise, for every ratio of the time constants, and safe in float32 for late times.
"""

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float

from ._anywhere import anywhere
from ._traits import Number

_MAX_ITERATIONS = 80


def psp_kernel(u: Array, tau_mem: Number, tau_syn: Number) -> Array:
    """The potential at time `u >= 0` after a unit kick of the current: `kappa(u)`.

    `kappa(u) = (u / tau_mem) exp(-u / tau_slow) phi(u |delta|)`, `delta = 1/tau_syn - 1/tau_mem`, `tau_slow` the larger
    of the time constants, `phi(z) = (1 - exp(-z)) / z`. For known time constants the form is chosen when traced.
    """
    if isinstance(tau_mem, (int, float)) and isinstance(tau_syn, (int, float)):
        if tau_mem == tau_syn:
            return (u / tau_mem) * jnp.exp(-u / tau_mem)
        delta = abs(1 / tau_syn - 1 / tau_mem)
        return jnp.exp(-u / max(tau_mem, tau_syn)) * -jnp.expm1(-u * delta) / (tau_mem * delta)
    delta = 1 / tau_syn - 1 / tau_mem
    # Both sides get a safe argument, so that neither the unused exponential nor its derivative overflows. `abs` and
    # `max` would have the wrong derivative where the time constants are equal.
    syn_is_faster = delta >= 0
    fast_syn = jnp.exp(-u / tau_mem) * _phi(u * jnp.where(syn_is_faster, delta, 0.0))
    slow_syn = jnp.exp(-u / tau_syn) * _phi(u * jnp.where(syn_is_faster, 0.0, -delta))
    return (u / tau_mem) * jnp.where(syn_is_faster, fast_syn, slow_syn)


def _phi(z: Array) -> Array:
    """`(1 - exp(-z)) / z`, by its series near 0, where the quotient has no derivative."""
    small = z < 0.3
    series = 1.0
    for k in range(13, 1, -1):
        series = 1.0 - jnp.where(small, z, 0.0) / k * series
    safe = jnp.where(small, 1.0, z)
    return jnp.where(small, series, -jnp.expm1(-safe) / safe)


def lif_flow(v: Array, i: Array, u: Array, current: Number, tau_mem: Number, tau_syn: Number) -> tuple[Array, Array]:
    """`v` and `i` after `u >= 0` without an event; `v` is measured from the leak potential."""
    decay = jnp.exp(-u / tau_mem)
    return current + (v - current) * decay + i * psp_kernel(u, tau_mem, tau_syn), i * jnp.exp(-u / tau_syn)


def lif_hits(
    v: Array, i: Array, duration: Array, current: Number, threshold: Number, tau_mem: Number, tau_syn: Number
) -> Bool[Array, "..."]:
    """Whether `v` rises through `threshold` in `(0, duration]`: the test of `lif_crossing`, without its root."""
    w, theta = v - current, threshold - current
    if _is_double(tau_mem, tau_syn):
        return _quadratic_hit(w, i, theta, duration, tau_mem)
    return _bracket(w, i, theta, duration, tau_mem, tau_syn)[0]


def lif_crossing(
    v: Array, i: Array, duration: Array, current: Number, threshold: Number, tau_mem: Number, tau_syn: Number
) -> Float[Array, "..."]:
    """The first time in `(0, duration]` at which `v` rises through `threshold`, `inf` if it does not.

    Without an event `v` has at most one extremum, so the crossing is bracketed by three evaluations: before a maximum,
    after a minimum, or in the whole interval, `v` is monotone. `tau_mem = 2 tau_syn` is a quadratic in
    `exp(-u / tau_mem)`; every other ratio takes a Newton iteration that a bracket keeps safe.
    """
    hit = lif_hits(v, i, duration, current, threshold, tau_mem, tau_syn)
    return jnp.where(hit, lif_root(v, i, duration, hit, current, threshold, tau_mem, tau_syn), jnp.inf)


def lif_root(
    v: Array,
    i: Array,
    duration: Array,
    hit: Array,
    current: Number,
    threshold: Number,
    tau_mem: Number,
    tau_syn: Number,
) -> Float[Array, "..."]:
    """The crossing that `lif_hits` says is there; any number in `[0, duration]` where `hit` is false.

    For a search that tests many intervals and takes one root.
    """
    w, theta = v - current, threshold - current
    if _is_double(tau_mem, tau_syn):
        return jnp.clip(_quadratic_root(w, i, theta, hit, tau_mem), 0.0, duration)
    _, low, high = _bracket(w, i, theta, duration, tau_mem, tau_syn)
    u = _bracketed_root(w, i, theta, jnp.where(hit, low, 0.0), jnp.where(hit, high, 0.0), tau_mem, tau_syn)
    return jnp.clip(u, low, high)


def _is_double(tau_mem: Number, tau_syn: Number) -> bool:
    return isinstance(tau_mem, int | float) and isinstance(tau_syn, int | float) and tau_mem == 2 * tau_syn


def _bracket(w: Array, i: Array, theta: Number, duration: Array, tau_mem: Number, tau_syn: Number):
    """Whether there is a crossing, and an interval that holds it and in which `v` is monotone."""
    rising = i > w
    extremum = _extremum(w, i, tau_mem, tau_syn)
    inside = (extremum > 0) & (extremum < duration)
    extremum = jnp.where(inside, extremum, duration)
    low = jnp.where(rising | ~inside, 0.0, extremum)
    high = jnp.where(rising, extremum, duration)

    def excess(u):
        return w * jnp.exp(-u / tau_mem) + i * psp_kernel(u, tau_mem, tau_syn) - theta

    hit = (excess(high) >= 0) & (jnp.where(low > 0, excess(low), w - theta) < 0)
    return hit, low, high


def _quadratic_hit(w: Array, i: Array, theta: Number, duration: Array, tau_mem: Number) -> Array:
    """For `tau_mem = 2 tau_syn`, `v = (a - i x) x` with `x = exp(-u / tau_mem)`, `a = w + i`: it takes no logarithm."""
    a = w + i
    x = jnp.exp(-duration / tau_mem)
    at_end = (a - i * x) * x >= theta
    # The maximum lies at x = a / (2 i), and is a^2 / (4 i).
    peak_inside = (i > 0) & (a < 2 * i) & (a > 2 * i * x)
    # The other way round it is a minimum: a start above the threshold that dips below it.
    dips = (i < 0) & (a > 2 * i) & (a < 2 * i * x) & (a * a > 4 * i * theta)
    below = w < theta
    return (at_end & (below | dips)) | (below & peak_inside & (a * a >= 4 * i * theta))


def _extremum(w: Array, i: Array, tau_mem: Number, tau_syn: Number) -> Array:
    """Where `dv/dt = 0`; NaN or not positive where that is nowhere ahead."""
    ratio = 1.0 - w / jnp.where(i == 0, jnp.inf, i)
    ratio = jnp.where(i == 0, -1.0, ratio)
    if isinstance(tau_mem, (int, float)) and isinstance(tau_syn, (int, float)):
        if tau_mem == tau_syn:
            return tau_syn * ratio
        delta = 1 / tau_syn - 1 / tau_mem
        return -jnp.log1p(-delta * tau_syn * ratio) / delta
    delta = 1 / tau_syn - 1 / tau_mem
    equal = delta == 0
    safe = jnp.where(equal, 1.0, delta)
    return jnp.where(equal, tau_syn * ratio, -jnp.log1p(-safe * tau_syn * ratio) / safe)


def _quadratic_root(w: Array, i: Array, theta: Number, hit: Array, tau_mem: Number) -> Array:
    """`v(u) = a x - i x^2` with `x = exp(-u / tau_mem)`, `a = w + i`: the earliest root, the largest `x`."""
    a = w + i
    root = jnp.sqrt(jnp.where(hit, jnp.maximum(a * a - 4.0 * i * theta, 0.0), 1.0))
    # Of the two forms of a root, the one whose terms have the same sign.
    upper = (a + root) / jnp.where(i == 0, 1.0, 2.0 * i)
    lower = 2.0 * theta / jnp.where(a - root == 0, 1.0, a - root)
    x = jnp.where(a >= 0, upper, lower)
    return -tau_mem * jnp.log(jnp.where(hit & (x > 0), x, 1.0))


def _bracketed_root(
    w: Array, i: Array, theta: Number, low: Array, high: Array, tau_mem: Number, tau_syn: Number
) -> Array:
    """Newton's iteration on a bracket in which `v` rises monotonically; it bisects where a step would leave it."""
    eps = jnp.finfo(low.dtype).eps

    def excess_and_slope(u):
        kernel = psp_kernel(u, tau_mem, tau_syn)
        value = w * jnp.exp(-u / tau_mem) + i * kernel
        return value - theta, (i * jnp.exp(-u / tau_syn) - value) / tau_mem

    # Close to a maximum the excess is a parabola whose vertex is `high`: its root is an excellent first guess where the
    # crossing almost touches, which is where Newton's iteration would be slow.
    top, slope = excess_and_slope(high)
    curvature = (-i * jnp.exp(-high / tau_syn) / tau_syn - slope) / tau_mem
    guess = high - jnp.sqrt(jnp.maximum(2.0 * top / jnp.where(curvature < 0, -curvature, jnp.inf), 0.0))
    start = jnp.where((guess > low) & (guess < high), guess, 0.5 * (low + high))

    def step(carry):
        u, low, high, _, count = carry
        value, slope = excess_and_slope(u)
        low = jnp.where(value < 0, u, low)
        high = jnp.where(value < 0, high, u)
        newton = u - value / jnp.where(slope > 0, slope, jnp.inf)
        inside = (newton >= low) & (newton <= high) & (slope > 0)
        following = jnp.where(inside, newton, 0.5 * (low + high))
        moving = jnp.abs(following - u) > 4 * eps * jnp.abs(u)
        return following, low, high, moving, count + 1

    def unfinished(carry):
        *_, moving, count = carry
        return anywhere(jnp.any(moving)) & (count < _MAX_ITERATIONS)

    carry = (start, low, high, high > low, jnp.zeros((), jnp.int32))
    return lax.while_loop(unfinished, step, carry)[0]
