"""The right answer: spikes and the gradient of the mean loss, in float64, by means that no side shares.

LIF with `tau_mem = 2 tau_syn`: between two arrivals the membrane is a quadratic in `x = exp(-t / tau_mem)`,
`v = (v0 + i0) x - i0 x^2`, so a crossing is the root of a quadratic.

QIF: `tau v' = v^2 - v + i` becomes linear by `v = -tau y'/y`: `tau^2 y'' + tau y' + i y = 0`. A spike
is a zero of `y`, or of `v_threshold y + tau y'` where the threshold is finite; `y > 0` between spikes, in any
scale; and `y` is advanced by its Taylor series, whose coefficients follow from a recursion.

Gradients are central differences of single neurons, chained by hand; they know nothing of implicit functions.
"""

from dataclasses import dataclass

import numpy as np
from _problem import Problem

SOLVED = ("lif", "qif")  # models
STEP = 1e-5  # of the central differences, in ms and in units of the weights


@dataclass(frozen=True)
class Answer:
    first: np.ndarray  # [batch, 3], the outputs' first spikes, inf = none
    loss: float
    grad_in: np.ndarray  # [5, 30]
    grad_out: np.ndarray  # [30, 3]
    hidden: np.ndarray | None = None  # [batch, 30, room + 1], all spikes; the last column shows an overflow
    output: np.ndarray | None = None  # [batch, 3, room + 1]


def solve(problem: Problem) -> Answer:
    p = problem
    batch, n_hidden = p.times.shape[0], p.w_in.shape[1]
    n_out = p.w_out.shape[1]
    extra = 0 if p.once else 1
    room = p.room + extra

    hidden_times = np.broadcast_to(p.times[:, None, :], (batch, n_hidden, 5)).reshape(-1, 5)
    hidden_weights = np.broadcast_to(p.w_in.T[None], (batch, n_hidden, 5)).reshape(-1, 5)
    hidden, d_weight, _ = _with_derivatives(p, hidden_times, hidden_weights, room)
    hidden = hidden.reshape(batch, n_hidden, room)
    d_weight = d_weight.reshape(batch, n_hidden, room, 5)

    arrivals = hidden.reshape(batch, -1)
    out_times = np.repeat(arrivals, n_out, axis=0)
    out_weights = np.tile(np.repeat(p.w_out, room, axis=0).T, (batch, 1))
    first, by_weight, by_time = _with_derivatives(p, out_times, out_weights, 1)
    output = _neurons(p, out_times, out_weights, room).reshape(batch, n_out, room)

    loss, d_first = _loss(p, first.reshape(batch, n_out))
    by_weight = by_weight.reshape(batch, n_out, n_hidden, room)
    by_time = by_time.reshape(batch, n_out, n_hidden, room)
    grad_out = np.einsum("bk,bkjr->jk", d_first, by_weight)
    d_hidden = np.einsum("bk,bkjr->bjr", d_first, by_time)
    grad_in = np.einsum("bjr,bjri->ij", d_hidden, d_weight)
    return Answer(first.reshape(batch, n_out), loss, grad_in, grad_out, hidden, output)


def _loss(p: Problem, first: np.ndarray) -> tuple[float, np.ndarray]:
    """Mean cross-entropy of `softmax(-t / loss_tau)`, silence counting as `t1`; and its derivative."""
    fires = np.isfinite(first)
    score = -np.where(fires, first, p.t1) / p.loss_tau
    score -= score.max(axis=1, keepdims=True)
    share = np.exp(score) / np.exp(score).sum(axis=1, keepdims=True)
    rows = np.arange(len(first))
    loss = -np.log(share[rows, p.targets]).mean()
    wanted = np.zeros_like(share)
    wanted[rows, p.targets] = 1
    return float(loss), np.where(fires, (wanted - share) / p.loss_tau, 0.0) / len(first)


def _with_derivatives(p: Problem, times: np.ndarray, weights: np.ndarray, room: int):
    """Spikes `[lane, room]` of single neurons, and their derivatives by each arrival's weight and time."""
    spikes = _neurons(p, times, weights, room)
    by_weight, by_time = (np.zeros((*spikes.shape, times.shape[1])) for _ in range(2))
    for arrival in range(times.shape[1]):
        lanes = np.flatnonzero(np.isfinite(times[:, arrival]) & (times[:, arrival] < spikes.max(axis=1)))
        if lanes.size == 0:
            continue
        for array, result in ((weights, by_weight), (times, by_time)):
            ends = []
            for sign in (1, -1):
                moved = array[lanes].copy()
                moved[:, arrival] += sign * STEP
                pair = (times[lanes], moved) if array is weights else (moved, weights[lanes])
                ends.append(_neurons(p, *pair, room))
            fires = np.isfinite(spikes[lanes])
            change = np.where(fires, ends[0], 0.0) - np.where(fires, ends[1], 0.0)
            result[lanes, :, arrival] = change / (2 * STEP)
    return spikes, by_weight, by_time


def _neurons(p: Problem, times: np.ndarray, weights: np.ndarray, room: int) -> np.ndarray:
    """Spikes `[lane, room]` of neurons that each see arrivals `times[lane, k]` of `weights[lane, k]`."""
    order = np.argsort(times, axis=1, kind="stable")
    times, weights = (np.take_along_axis(array, order, axis=1) for array in (times, weights))
    return {"lif": _lif, "qif": _qif}[p.model](p, times, weights, room)


def _lif(p: Problem, times: np.ndarray, weights: np.ndarray, room: int) -> np.ndarray:
    assert p.tau_mem == 2 * p.tau_syn and p.v_reset == 0.0, "the closed form of this oracle"
    lanes, arrivals = times.shape
    spikes = np.full((lanes, room), np.inf)
    count = np.zeros(lanes, int)
    t, v, i = np.zeros(lanes), np.zeros(lanes), np.zeros(lanes)
    for k in range(arrivals + 1):
        end = np.minimum(times[:, k], p.t1) if k < arrivals else np.full(lanes, p.t1)
        while True:  # every spike of this interval
            x_end = np.exp(-(end - t) / p.tau_mem)
            a = v + i
            discriminant = a**2 - 4 * i * p.v_threshold
            possible = (i > 0) & (a > 0) & (discriminant > 0) & (count < room)
            root = (a + np.sqrt(np.where(possible, discriminant, 0.0))) / (2 * np.where(possible, i, 1.0))
            fires = possible & (root < 1) & (root > x_end)
            if not fires.any():
                break
            x = np.where(fires, root, 1.0)
            t, i = t - p.tau_mem * np.log(x), i * x**2
            v = np.where(fires, 0.0, v)
            spikes[fires, count[fires]] = t[fires]
            count += fires
        t, v, i = end, (v + i) * x_end - i * x_end**2, i * x_end**2
        if k < arrivals:
            i = i + np.where(times[:, k] < p.t1, weights[:, k], 0.0)
    return spikes


def _qif(p: Problem, times: np.ndarray, weights: np.ndarray, room: int) -> np.ndarray:
    blocks = (slice(start, start + 8192) for start in range(0, len(times), 8192))
    return np.concatenate([_qif_block(p, times[block], weights[block], room) for block in blocks])


def _qif_block(p: Problem, times: np.ndarray, weights: np.ndarray, room: int) -> np.ndarray:
    step, order = 0.5, 13  # far below a radian of y's fastest oscillation, so a step holds one zero at most
    lanes = len(times)
    times = np.concatenate([np.minimum(times, p.t1), np.full((lanes, 1), p.t1)], axis=1)
    weights = np.concatenate([weights, np.zeros((lanes, 1))], axis=1)
    spikes = np.full((lanes, room), np.inf)
    count, upcoming = np.zeros(lanes, int), np.zeros(lanes, int)
    t, y, dy, i = np.zeros(lanes), np.ones(lanes), np.zeros(lanes), np.zeros(lanes)
    alive = np.arange(lanes)
    while alive.size:
        h = np.minimum(step, times[alive, upcoming[alive]] - t[alive])
        c = _qif_series(p, y[alive], dy[alive], i[alive], order)
        distance = _qif_distance(p, c)
        fires = _polynomial(distance, h) < 0
        h[fires] = _zero([term[fires] for term in distance], h[fires])
        y[alive] = np.where(fires, 0.0 if np.isinf(p.v_reset) else 1.0, _polynomial(c, h))
        slope = _polynomial([n * c[n] for n in range(1, order)], h)
        dy[alive] = np.where(fires, 1.0 if np.isinf(p.v_reset) else -p.v_reset / p.tau_mem, slope)
        i[alive] *= np.exp(-h / p.tau_syn)
        t[alive] += h
        who = alive[fires]
        spikes[who, count[who]] = t[who]
        count[who] += 1
        who = alive[~fires & (t[alive] >= times[alive, upcoming[alive]])]
        i[who] += weights[who, upcoming[who]]
        t[who] = times[who, upcoming[who]]
        upcoming[who] += 1
        alive = alive[(upcoming[alive] < times.shape[1]) & (count[alive] < room)]
    return spikes


def _qif_distance(p: Problem, c: list[np.ndarray]) -> list[np.ndarray]:
    """What falls through 0 at a spike: `v_threshold y + tau y'`, and `y` where the threshold is infinite."""
    if np.isinf(p.v_threshold):
        return c
    return [p.v_threshold * c[n] + p.tau_mem * (n + 1) * c[n + 1] for n in range(len(c) - 1)]


def _qif_series(p: Problem, y, dy, i, order: int) -> list[np.ndarray]:
    """Taylor coefficients of `y`: `tau^2 y'' = -tau y' - i y`, with `i` itself a series."""
    current = [i]
    for n in range(1, order):
        current.append(current[-1] * (-1 / p.tau_syn) / n)
    c = [y, dy]
    for n in range(order - 2):
        drive = sum(current[k] * c[n - k] for k in range(n + 1))
        c.append(-((n + 1) * c[n + 1] / p.tau_mem + drive / p.tau_mem**2) / ((n + 1) * (n + 2)))
    return c


def _polynomial(c, x):
    value = np.zeros_like(x)
    for term in reversed(c):
        value = value * x + term
    return value


def _zero(c, h):
    low, high = np.zeros_like(h), h
    for _ in range(60):
        middle = (low + high) / 2
        before = _polynomial(c, middle) > 0
        low, high = np.where(before, middle, low), np.where(before, high, middle)
    return (low + high) / 2
