"""Weight bumping: which neurons it treats, how much, and when it stops."""

import jax.numpy as jnp
import numpy as np
import pytest

import saltation as st
from saltation_delgrad import WeightBumping
from saltation_neurons import LIF, AtMostOnce


def _network():
    once = AtMostOnce(LIF())
    connections = [
        st.Connection("in", "hidden", st.Dense(jnp.zeros((2, 3)))),
        st.Connection("hidden", "out", st.Dense(jnp.zeros((3, 2)))),
    ]
    return st.Network({"in": 2}, {"hidden": once.with_shape(3), "out": once.with_shape(2)}, connections, ["out"])


def _silent(hidden, out):
    return {"hidden": jnp.asarray(hidden, bool), "out": jnp.asarray(out, bool)}


NO_ONE = _silent(np.zeros((4, 3)), np.zeros((4, 2)))
ONE_OUTPUT = _silent(np.zeros((4, 3)), [[0, 0], [0, 1], [0, 0], [0, 0]])
MANY = _silent([[1, 0, 1], [1, 0, 0], [1, 0, 0], [1, 0, 0]], np.ones((4, 2)))


def _weights(network):
    return [np.asarray(connection.synapse.weight) for connection in network.connections]


def test_silent_outputs_are_treated_one_by_one_and_ever_harder():
    remedy, network = WeightBumping(), _network()
    memory = remedy.init(network)
    for size in (5e-4, 1e-3, 2e-3):
        changed, memory, acted = remedy.apply(network, ONE_OUTPUT, memory)
        hidden, out = _weights(changed)
        assert acted and not hidden.any()
        np.testing.assert_allclose(out, np.array([[0.0, size]] * 3))
    _, memory, acted = remedy.apply(network, NO_ONE, memory)
    assert not acted
    changed, _, _ = remedy.apply(network, ONE_OUTPUT, memory)
    np.testing.assert_allclose(_weights(changed)[1][:, 1], 5e-4)


def test_a_silent_hidden_layer_comes_first():
    remedy, network = WeightBumping(), _network()
    changed, memory, acted = remedy.apply(network, MANY, remedy.init(network))
    hidden, out = _weights(changed)
    assert acted and not out.any()
    np.testing.assert_allclose(hidden, np.array([[5e-4, 0.0, 5e-4]] * 2))
    # Another population is another beginning.
    changed, _, _ = remedy.apply(network, ONE_OUTPUT, memory)
    np.testing.assert_allclose(_weights(changed)[1][:, 1], 5e-4)


def test_some_hidden_neurons_may_be_silent():
    remedy, network = WeightBumping(hidden=0.5), _network()
    changed, _, acted = remedy.apply(network, {**MANY, "out": NO_ONE["out"]}, remedy.init(network))
    assert not acted and not any(weight.any() for weight in _weights(changed))


@pytest.mark.parametrize("settings", [{"step": 0.0}, {"hidden": 1.5}, {"outputs": -0.1}])
def test_settings_out_of_range_are_refused(settings):
    with pytest.raises(ValueError, match=f"got {next(iter(settings))}=.*expected"):
        WeightBumping(**settings)
