"""Losses against the values and gradients of the published code."""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import saltation as st
from saltation_delgrad import delay_penalty, shift_invariant_mse
from saltation_neurons import LIF, AtMostOnce

CASE = json.loads((Path(__file__).parent / "data" / "delgrad_losses.json").read_text())
TAU_SYN = CASE["tau_syn"]


def _loss(settings, silent):
    if settings["type"] == "TTFS":
        early = settings.get("regulariser", [{"alpha": 0.0, "beta": 1.0}])[0]
        return lambda times, label: st.first_spike_cross_entropy(
            times,
            label,
            temperature=settings["xi"] * TAU_SYN,
            silent=silent,
            early=early["alpha"],
            early_scale=early["beta"] * TAU_SYN,
        )
    if settings["type"] == "MSE":
        wanted = {"target": settings["t_correct"] * TAU_SYN, "other": settings["t_wrong"] * TAU_SYN}
        return lambda times, label: st.first_spike_mse(times, label, silent=silent, **wanted)
    margin = settings["delta_t"] * TAU_SYN
    return lambda times, label: shift_invariant_mse(times, label, margin=margin, silent=silent)


@pytest.mark.parametrize("silent", [9.0, "constant"])
@pytest.mark.parametrize("case", CASE["cases"], ids=["cross-entropy", "with regulariser", "squares", "shift-invariant"])
def test_values_and_gradients_are_the_published_ones(case, silent):
    times, labels = jnp.asarray(CASE["output_times"]), jnp.asarray(CASE["labels"])
    loss = _loss(case["loss"], silent)
    value, gradient = jax.value_and_grad(lambda times: jnp.mean(jax.vmap(loss)(times, labels)))(times)
    np.testing.assert_allclose(value, case["mean_loss"], rtol=1e-12)
    np.testing.assert_allclose(gradient, case["grad_of_mean_loss"], rtol=1e-12, atol=1e-15)


def test_silent_units_in_the_shift_invariant_loss():
    times, label = jnp.array([2.0, jnp.inf, 2.5]), jnp.array(0)
    late, gradient = jax.value_and_grad(lambda t: shift_invariant_mse(t, label, margin=0.2, silent=9.0))(times)
    np.testing.assert_allclose(late, 0.5 * ((7.0 - 0.2) ** 2 + 0.3**2))
    assert gradient[1] == 0.0 and gradient[0] != 0.0 and gradient[2] != 0.0
    cost, gradient = jax.value_and_grad(lambda t: shift_invariant_mse(t, label, margin=0.2, silent="constant"))(times)
    assert cost == st.COST_OF_SILENCE and not gradient.any()


def test_the_penalty_on_delays_is_the_sum_of_their_squares():
    once = AtMostOnce(LIF(2))
    delay = st.Delay(jnp.array([1.0, 2.0, 3.0])) + st.Delay(jnp.array([4.0, 5.0]))
    connections = [st.Connection("in", "out", st.Dense(jnp.ones((3, 2))), delay)]
    network = st.Network(
        {"in": 3}, {"out": once}, [*connections, st.Connection("in", "out", st.Dense(jnp.ones((3, 2))))], ["out"]
    )
    solution = st.get_method("delgrad")().solve(network, {"in": st.Spikes.empty(3)}, t1=1.0)
    np.testing.assert_allclose(delay_penalty(network, solution, strength=0.1), 0.1 * 55.0)
