"""A feedback network whose rates, fixed point and implicit gradients were computed by other means."""

import json
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import saltation as st
from saltation_equilibrium import Equilibrium

CASE = json.loads((Path(__file__).parent / "data" / "ide_if.json").read_text())
GIVEN = {name: jnp.asarray(CASE[name]) for name in ("W", "F", "b", "Wc", "bc", "x")}
LABELS = jnp.asarray(CASE["y"], jnp.int32)
SAVE = st.Save(spikes=False, rates=True)
SOLVERS = ["neumann", "anderson", "gmres", "dense"]


@eqx.filter_jit
def _outcome(at, build, method, t1):
    """Loss, rates and gradients; the reference's matrices are [post, pre]."""

    def loss(at):
        network = build.single_layer(at["W"].T, at["F"].T, at["b"])

        def one(x, label):
            solution = method.solve(network, build.currents(x), t1=t1, save=SAVE, throw=False)
            rates = solution.rates["hidden"]
            return -jax.nn.log_softmax(at["Wc"] @ rates + at["bc"])[label], (rates, solution)

        losses, aux = jax.vmap(one)(at["x"], LABELS)
        return jnp.mean(losses), aux

    return jax.value_and_grad(loss, has_aux=True)(at)


@pytest.mark.parametrize("steps", [5, 30, 1000])
def test_simulated_rates_are_exact(build, steps):
    (value, (rates, solution)), _ = _outcome(GIVEN, build, Equilibrium(), float(steps))
    expected = CASE["rates"][str(steps)]
    np.testing.assert_array_equal(solution.stats["spike_count"]["hidden"], expected["spike_counts"])
    # XLA divides by a constant through its reciprocal, which may be off by the last digit.
    np.testing.assert_array_max_ulp(rates, np.asarray(expected["a"]), maxulp=1)
    np.testing.assert_allclose(value, expected["loss"], rtol=1e-14)


@pytest.mark.parametrize("steps", [5, 30, 1000])
@pytest.mark.parametrize("solver", SOLVERS)
def test_gradient_at_the_simulated_rates(build, steps, solver):
    _, gradient = _outcome(GIVEN, build, Equilibrium(backward=solver), float(steps))
    for name, expected in CASE["rates"][str(steps)]["grad_at_rates"].items():
        np.testing.assert_allclose(gradient[name], expected, rtol=0, atol=1e-9, err_msg=name)


@pytest.mark.parametrize("forward", ["picard", "anderson"])
@pytest.mark.parametrize("solver", SOLVERS)
def test_gradient_at_the_fixed_point(build, forward, solver):
    method = Equilibrium(gradient_at="fixed_point", rates="fixed_point", forward=forward, backward=solver)
    (value, (rates, solution)), gradient = _outcome(GIVEN, build, method, 5.0)
    np.testing.assert_allclose(rates, CASE["fixed_point"], rtol=0, atol=1e-10)
    np.testing.assert_allclose(value, CASE["loss_at_fixed_point"], rtol=1e-9)
    assert float(jnp.max(solution.stats["residual"]["hidden"])) < 1e-10
    for name, expected in CASE["grad_at_fixed_point"].items():
        np.testing.assert_allclose(gradient[name], expected, rtol=0, atol=1e-9, err_msg=name)
