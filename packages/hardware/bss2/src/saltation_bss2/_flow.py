"""The membrane between two events, in closed form, elementwise in NumPy.

`tau_mem dv/dt = -v + i`, `tau_syn di/dt = -i`, with `v` counted from where a constant current would take it. After `u`

    v(u) = v exp(-u/tau_mem) + i kappa(u),   kappa(u) = exp(-u/slow) (1 - exp(-u d)) / (tau_mem d),

where `slow` is the larger time constant and `d` the difference of the rates. Any ratio of the time constants will do.
"""

from typing import NamedTuple

import numpy as np


class Constants(NamedTuple):
    """Time constants of neurons, as arrays that go with the states, and what follows from them."""

    tau_mem: np.ndarray
    tau_syn: np.ndarray
    slow: np.ndarray
    rate: np.ndarray
    signed_rate: np.ndarray
    mem_is_slow: np.ndarray

    @classmethod
    def of(cls, tau_mem: np.ndarray, tau_syn: np.ndarray) -> "Constants":
        difference = 1.0 / tau_syn - 1.0 / tau_mem
        mem_is_slow = difference >= 0
        # Equal constants are the limit of nearly equal ones, which is exact to as many digits as this is small.
        rate = np.maximum(np.abs(difference), 1e-12 / tau_mem)
        signed = np.where(mem_is_slow, rate, -rate)
        return cls(tau_mem, tau_syn, np.maximum(tau_mem, tau_syn), rate, signed, mem_is_slow)

    def take(self, where: np.ndarray) -> "Constants":
        """The constants of single neurons."""
        return Constants(*(field[where] for field in self))


def flow(v: np.ndarray, i: np.ndarray, u: np.ndarray, c: Constants) -> tuple[np.ndarray, np.ndarray]:
    """`v` and `i` after `u >= 0`."""
    slowly = np.exp(-u / c.slow)
    gone = np.expm1(-u * c.rate)
    quickly = slowly * (1.0 + gone)
    kappa = slowly * -gone / (c.tau_mem * c.rate)
    by_mem = np.where(c.mem_is_slow, slowly, quickly)
    by_syn = np.where(c.mem_is_slow, quickly, slowly)
    return v * by_mem + i * kappa, i * by_syn


def crossing(
    v: np.ndarray, i: np.ndarray, u: np.ndarray, end: np.ndarray, threshold: np.ndarray, c: Constants
) -> np.ndarray:
    """When `v` first rises through `threshold` in `(0, u]`, `inf` where it does not; `end` is `v(u)`.

    All arguments are `[n]`. A potential at its threshold at the start, which noise can bring about, has crossed.
    """
    at_once = v >= threshold
    through = end >= threshold
    # Where it turns, `v = i`: a peak is never higher than the current at the start.
    may_peak = ~through & ~at_once & (i > v) & (i > threshold)
    turn = _turn(v, i, c)
    inside = (turn > 0) & (turn < u)
    top = flow(v, i, np.where(inside, turn, 0.0), c)[0]
    peaks = may_peak & inside & (top >= threshold)
    rises = i > v
    # A crossing on the way up to a maximum lies before it, one on the way up from a minimum after it.
    to_peak, from_dip = inside & rises & (top >= threshold), inside & ~rises
    high, v_high = np.where(to_peak, turn, u), np.where(to_peak, top, end)
    low, v_low = np.where(from_dip, turn, 0.0), np.where(from_dip, top, v)
    found = np.full(v.shape, np.inf)
    hit = (through | peaks) & ~at_once
    if hit.any():
        share = (threshold[hit] - v_low[hit]) / (v_high[hit] - v_low[hit])
        guess = low[hit] + share * (high[hit] - low[hit])
        found[hit] = _root(v[hit], i[hit], low[hit], guess, high[hit], threshold[hit], c.take(hit))
    found[at_once] = 0.0
    return found


def _turn(v: np.ndarray, i: np.ndarray, c: Constants) -> np.ndarray:
    """Where `dv/dt = 0`; not positive, or NaN, where it never is."""
    z = c.tau_mem * c.signed_rate
    with np.errstate(divide="ignore", invalid="ignore"):
        return c.tau_mem * (np.log1p(z) - np.log1p(z * v / i)) / z


def _root(
    v: np.ndarray,
    i: np.ndarray,
    low: np.ndarray,
    time: np.ndarray,
    high: np.ndarray,
    threshold: np.ndarray,
    c: Constants,
) -> np.ndarray:
    """Where `v` rises through the threshold between `low` and `high`: Newton's iteration, kept inside a bracket."""
    for _ in range(100):
        v_now, i_now = flow(v, i, time, c)
        excess = v_now - threshold
        low, high = np.where(excess < 0, time, low), np.where(excess < 0, high, time)
        slope = (i_now - v_now) / c.tau_mem
        rising = slope > 0
        step = time - excess / np.where(rising, slope, 1.0)
        following = np.where(rising & (step >= low) & (step <= high), step, 0.5 * (low + high))
        # Either is round-off: of the potential, where the crossing is flat, or of the time.
        done = (np.abs(excess) <= 4e-15) | (np.abs(following - time) <= 1e-14 * high)
        time = following
        if done.all():
            break
    return time
