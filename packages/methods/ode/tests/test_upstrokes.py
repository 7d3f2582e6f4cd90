"""Neurons that are solved on a scale of their own, against SciPy's solution of the equation of the potential itself."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest
from diffrax import Bosh3
from scipy.integrate import solve_ivp

import saltation as st
from saltation_neurons import EIF, AdEx, Izhikevich
from saltation_ode import ODE

TIMES = np.array([1.0, 4.0, 15.0])
T1, TAU_SYN, ROOM = 30.0, 5.0, 8


def eif(v, w, i):
    return (-10.0 * (v + 65.0) + 34.8 * np.exp((v + 59.9) / 3.48) + i) / 100.0, 0.0


def adex(v, w, i):
    return (-30.0 * (v + 70.6) + 60.0 * np.exp((v + 50.4) / 2.0) - w + i) / 281.0, (4.0 * (v + 70.6) - w) / 144.0


def izhikevich(v, u, i):
    return 0.04 * v**2 + 5.0 * v + 140.0 - u + i, 0.02 * (0.2 * v - u)


# The neuron, its equation in NumPy, v and the other variable at the start, v's threshold, the reset, weights.
CASES = {
    "EIF": (EIF(1), eif, (-65.0, 0.0), -30.0, (-68.0, 0.0), np.array([500.0, 700.0, 900.0])),
    "AdEx": (AdEx(1), adex, (-70.6, 0.0), -30.0, (-70.6, 80.5), np.array([2000.0, 1500.0, 2500.0])),
    "Izhikevich": (Izhikevich(1), izhikevich, (-65.0, -13.0), 30.0, (-65.0, 8.0), np.array([20.0, 15.0, 25.0])),
}


def spike_times(case, weights):
    """All spikes of one neuron, from arrival to arrival and spike to spike."""
    _, equation, start, v_threshold, (v_reset, jump), _ = case
    found, t, state = [], 0.0, np.array([*start, 0.0])
    for arrival, weight in [*zip(TIMES, weights), (T1, 0.0)]:
        while t < arrival:
            step = solve_ivp(
                lambda t, x: [*equation(*x), -x[2] / TAU_SYN],
                (t, arrival),
                state,
                method="DOP853",
                rtol=1e-12,
                atol=1e-12,
                events=_at(v_threshold),
            )
            t, state = step.t[-1], step.y[:, -1]
            if step.status == 1:
                found.append(t)
                state = np.array([v_reset, state[1] + jump, state[2]])
        state[2] += weight
    return np.array(found)


def _at(v_threshold):
    def reached(t, state):
        return state[0] - v_threshold

    reached.terminal, reached.direction = True, 1
    return reached


@eqx.filter_jit
@eqx.filter_value_and_grad(has_aux=True)
def solved(weights, neuron, method):
    network = st.Network({"in": 3}, {"n": neuron}, [st.Connection("in", "n", st.Dense(weights[:, None]))], ["n"])
    solution = method.solve(network, {"in": st.Spikes.from_dense(TIMES[:, None])}, t1=T1, throw=False)
    times = solution.spikes["n"].to_dense(ROOM)[0]
    return jnp.where(jnp.isfinite(times), times, 0.0).sum(), (times, solution.result)


@pytest.mark.parametrize("name", CASES)
def test_spikes_and_gradients_are_those_of_the_potential(name):
    case = CASES[name]
    neuron, weights = case[0], case[-1]
    expected = spike_times(case, weights)
    assert 2 <= len(expected) < ROOM
    (_, (times, result)), gradient = solved(jnp.asarray(weights), neuron, ODE(max_spikes=ROOM))
    assert result == st.RESULTS.successful
    np.testing.assert_allclose(times[: len(expected)], expected, atol=1e-6)
    assert not jnp.isfinite(times[len(expected) :]).any()

    steps = 1e-4 * np.diag(weights)
    totals = [(spike_times(case, weights + s).sum() - spike_times(case, weights - s).sum()) for s in steps]
    expected = np.array(totals) / (2e-4 * weights)
    np.testing.assert_allclose(gradient, expected, rtol=0, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("name", CASES)
def test_long_steps_resolve_the_upstroke(name):
    # In the potential itself, it takes microseconds.
    case = CASES[name]
    neuron, weights = case[0], case[-1]
    expected = spike_times(case, weights)
    method = ODE(max_spikes=ROOM, solver=Bosh3(), step=0.5)
    (_, (times, result)), gradient = solved(jnp.asarray(weights), neuron, method)
    assert result == st.RESULTS.successful
    np.testing.assert_allclose(times[: len(expected)], expected, atol=0.02)
    assert not jnp.isfinite(times[len(expected) :]).any()
    _, exact = solved(jnp.asarray(weights), neuron, ODE(max_spikes=ROOM))
    np.testing.assert_allclose(gradient, exact, rtol=0, atol=0.03 * np.abs(exact).max())
