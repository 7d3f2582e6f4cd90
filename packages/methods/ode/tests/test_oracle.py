"""No spike is missed and none is invented: thousands of neurons against a simulation on a fine grid."""

import itertools

import jax.numpy as jnp
import numpy as np
import pytest

import saltation as st
from saltation_neurons import LIF
from saltation_ode import ODE

T1 = 40.0
PRE, SPIKES_EACH, ROOM = 5, 3, 16
# Time constants, and a scale of the weights at which some neurons are silent and some fire often.
CONSTANTS = {
    "2 to 1": (20.0, 10.0, 1.5),
    "4 to 1": (20.0, 5.0, 3.0),
    "equal": (10.0, 10.0, 1.0),
    "1 to 3": (4.0, 12.0, 0.8),
    "arrays": (None, None, 1.3),
}


def _constants(n, rng):
    """Every ratio, for each neuron its own; some are equal, nearly equal, or two to one to the last bit."""
    tau_mem, tau_syn = np.exp(rng.uniform(np.log(4.0), np.log(40.0), (2, n)))
    tau_mem[: n // 8] = tau_syn[: n // 8]
    tau_mem[n // 8 : n // 4] = tau_syn[n // 8 : n // 4] * (1 + 1e-9 * rng.normal(size=n // 4 - n // 8))
    tau_mem[n // 4 : n // 3] = 2 * tau_syn[n // 4 : n // 3]
    return tau_mem, tau_syn


def _draw(n, scale, seed):
    """Inputs, weights `[pre, n]` and a constant drive `[n]`: silent, grazing and fast neurons among them."""
    rng = np.random.default_rng(seed)
    times = rng.uniform(0.0, 0.9 * T1, (PRE, SPIKES_EACH))
    times[rng.uniform(size=times.shape) < 0.2] = np.inf
    weights = scale * rng.normal(0.4, 0.9, (PRE, n)) * rng.choice([0.5, 1.0, 1.5], n)[None, :]
    drive = rng.normal(0.2, 0.3, n)
    return times, weights, drive, rng


def _network(neuron, weights, drive):
    n = neuron.size
    return st.Network(
        {"in": PRE, "drive": 1},
        {"lif": neuron},
        [
            st.Connection("in", "lif", st.Dense(jnp.asarray(weights))),
            st.Connection("drive", "lif", st.Dense(jnp.asarray(drive).reshape(1, n))),
        ],
        ["lif"],
    )


def _solved(solve, method, neuron, weights, drive, times, initial=None, save=None):
    stimulus = {"in": st.Spikes.from_dense(jnp.asarray(times)), "drive": st.Current(jnp.ones(1))}
    solution = solve(method, _network(neuron, weights, drive), stimulus, t1=T1, initial=initial, save=save)
    assert solution.result == st.RESULTS.successful, st.RESULTS[solution.result]
    return solution


def _dense(solution):
    return np.asarray(solution.spikes["lif"].to_dense(ROOM))


def brute_force(weights, drive, times, tau_mem, tau_syn, *, v_threshold, v_reset, t_refractory=0.0, step=0.01):
    """Spike times `[n, 200]` on a grid that every input splits, by exact exponentials, each crossing enclosed."""
    n = weights.shape[1]
    constants = np.stack([np.broadcast_to(x, n) for x in (drive, tau_mem, tau_syn)])

    def flow(v, i, held, u, constants):
        drive, tau_mem, tau_syn = constants
        delta = 1 / tau_syn - 1 / tau_mem
        close = np.abs(delta) < 1e-5
        slow, fast = np.exp(-u / tau_mem), np.exp(-u / tau_syn)
        kernel = np.where(
            close, u / tau_mem * slow * (1 - u * delta / 2), (slow - fast) / (tau_mem * np.where(close, 1.0, delta))
        )
        return np.where(held > 0, v, drive + (v - drive) * slow + i * kernel), i * fast

    arrivals = sorted((t, unit) for unit in range(PRE) for t in times[unit] if np.isfinite(t))
    grid = np.unique([*np.linspace(0.0, T1, round(T1 / step) + 1), *(t for t, _ in arrivals)])
    v, i, held, left = np.zeros((4, n))
    found, count = np.full((n, 200), np.inf), np.zeros(n, int)
    for start, end in itertools.pairwise(grid):
        for t, unit in arrivals:
            if t == start:
                i = i + weights[unit]
        left[:] = end - start
        todo = np.arange(n)
        while todo.size:
            here = constants[:, todo]
            u = np.where(held[todo] > 0, np.minimum(held[todo], left[todo]), left[todo])
            ahead, _ = flow(v[todo], i[todo], held[todo], u, here)
            crossed = np.flatnonzero((v[todo] < v_threshold) & (ahead >= v_threshold) & (held[todo] == 0))
            who, low, high = todo[crossed], np.zeros(crossed.size), u[crossed]
            for _ in range(3 if who.size else 0):
                between = low + np.linspace(0.0, 1.0, 2001)[:, None] * (high - low)
                above = flow(v[who], i[who], held[who], between, here[:, crossed])[0] >= v_threshold
                first = np.maximum(above.argmax(0), 1)
                low, high = between[[first - 1, first], np.arange(who.size)]
            u[crossed] = high
            v[todo], i[todo] = flow(v[todo], i[todo], held[todo], u, here)
            for clock in (held, left):
                clock[todo] = np.where(clock[todo] - u < 1e-12, 0.0, clock[todo] - u)
            found[who, count[who]] = end - left[who]
            count[who] += 1
            v[who], held[who] = v_reset, t_refractory
            todo = todo[left[todo] > 0]
    return found


def _check(actual, expected, atol):
    expected = expected[:, : actual.shape[1]]
    np.testing.assert_array_equal(np.isfinite(actual).sum(1), np.isfinite(expected).sum(1), "numbers of spikes")
    np.testing.assert_allclose(actual, expected, rtol=0, atol=atol)


# The formula of a ratio of two to one, and the search that takes every ratio: "arrays" holds them all.
QUICK = ("2 to 1", "arrays")


@pytest.mark.parametrize(
    "constants", [pytest.param(name, marks=[pytest.mark.slow] * (name not in QUICK)) for name in CONSTANTS]
)
def test_layers_of_lif_neurons_match_brute_force(solve, constants):
    tau_mem, tau_syn, scale = CONSTANTS[constants]
    times, weights, drive, rng = _draw(700, scale, seed=len(constants))
    if constants == "arrays":
        tau_mem, tau_syn = _constants(700, rng)
    expected = brute_force(weights, drive, times, tau_mem, tau_syn, v_threshold=1.0, v_reset=-0.2)
    count = np.isfinite(expected).sum(1)
    assert (count == 0).sum() > 50 and (count > 3).sum() > 50
    # A few neurons fire more often than there is room for.
    kept = count <= ROOM
    if constants == "arrays":
        tau_mem, tau_syn = jnp.asarray(tau_mem[kept]), jnp.asarray(tau_syn[kept])
    neuron = LIF(int(kept.sum()), tau_mem=tau_mem, tau_syn=tau_syn, v_reset=-0.2)
    solution = _solved(solve, ODE(max_spikes=ROOM), neuron, weights[:, kept], drive[kept], times)
    _check(_dense(solution), expected[kept], atol=1e-8)
