"""Equilibrium and ODE on the networks that they share: integrate-and-fire with feedback, below saturation."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest

import saltation as st
from saltation_neurons import IF

BY_CHARGE = {"tau_syn": None, "reset_mode": "subtract"}
SAVE = st.Save(spikes=False, rates=True)


def _network(rng):
    """Two layers in a circle, with excitation and inhibition, at rates well below one spike in a unit of time."""
    size = {"in": 3, "a": 5, "b": 4}
    # No kick lifts a charge to twice the threshold: in continuous time a neuron would then be above it after its reset.
    scale = {("in", "a"): 0.3, ("in", "b"): 0.25, ("a", "b"): 0.3, ("b", "a"): 0.3}
    weights = {pair: by * rng.normal(0.25, 0.5, (size[pair[0]], size[pair[1]])) for pair, by in scale.items()}
    neurons = {"a": IF(5, **BY_CHARGE, v_threshold=1.2), "b": IF(4, **BY_CHARGE, c_mem=0.9)}
    connections = [st.Connection(*pair, st.Dense(weight)) for pair, weight in weights.items()]
    return st.Network({"in": 3}, neurons, connections, ["b"])


@pytest.mark.parametrize("seed", [0, 1])
def test_rates_of_continuous_spikes_are_the_fixed_point(seed):
    rng = np.random.default_rng(seed)
    network = _network(rng)
    stimulus = {"in": st.Current(jnp.asarray(rng.uniform(0.3, 1.2, 3)))}
    method = st.get_method("equilibrium")(gradient_at="fixed_point", rates="fixed_point")
    fixed = method.solve(network, stimulus, t1=1.0, save=SAVE).rates
    total = np.concatenate([np.asarray(rate) for rate in fixed.values()])
    assert total.max() < 0.8 and (total > 0.02).sum() >= 4, "the case must be below saturation, and not silent"
    solve = eqx.filter_jit(lambda t1: st.get_method("ode")(max_spikes=160).solve(network, stimulus, t1=t1, throw=False))
    errors = []
    for t1 in (50.0, 200.0):
        solution = solve(t1)
        assert solution.result == st.RESULTS.successful
        found = {name: np.asarray(train.count()) / t1 for name, train in solution.spikes.items()}
        errors.append(max(np.abs(found[name] - fixed[name]).max() for name in fixed))
    # What is left of the charge is a spike or two, whatever the duration.
    assert errors[0] < 3 / 50 and errors[1] < 3 / 200


def test_rates_in_steps_are_near_those_of_continuous_spikes():
    rng = np.random.default_rng(0)
    network = _network(rng)
    stimulus = {"in": st.Current(jnp.asarray(rng.uniform(0.3, 1.2, 3)))}
    steps = st.get_method("equilibrium")().solve(network, stimulus, t1=200.0, save=SAVE).rates
    solve = eqx.filter_jit(lambda: st.get_method("ode")(max_spikes=160).solve(network, stimulus, t1=200.0, throw=False))
    train = solve().spikes
    for name in network.neurons:
        np.testing.assert_allclose(np.asarray(train[name].count()) / 200, steps[name], rtol=0, atol=4 / 200)
