"""Weight scaling: which neurons it treats, and when it leaves them alone."""

import jax.numpy as jnp
import numpy as np
import pytest

import saltation as st
from saltation_delgrad import WeightScaling
from saltation_neurons import LIF, AtMostOnce

HIDDEN = np.array([[1.0, 1.0, -3.0], [0.5, 2.0, 1.0]])
OUT = np.array([[1.0, 4.0], [1.0, 4.0], [1.0, 4.0]])


def _network():
    once = AtMostOnce(LIF())
    connections = [
        st.Connection("in", "hidden", st.Dense(jnp.asarray(HIDDEN))),
        st.Connection("hidden", "out", st.Dense(jnp.asarray(OUT))),
    ]
    return st.Network({"in": 2}, {"hidden": once.with_shape(3), "out": once.with_shape(2)}, connections, ["out"])


def _applied(hidden, out, **settings):
    remedy, network = WeightScaling(factor=2.0, **settings), _network()
    silent = {"hidden": jnp.asarray(hidden, bool), "out": jnp.asarray(out, bool)}
    changed, _, acted = remedy.apply(network, silent, remedy.init(network))
    return *[np.asarray(connection.synapse.weight) for connection in changed.connections], bool(acted)


def test_weights_into_a_neuron_that_never_spikes_are_multiplied():
    hidden, out, acted = _applied([[1, 0, 0], [1, 1, 0]], np.ones((2, 2)))
    assert acted
    # The second one spikes in a sample; what is behind a treated layer waits.
    np.testing.assert_allclose(hidden, HIDDEN * [2.0, 1.0, 1.0])
    np.testing.assert_allclose(out, OUT)


def test_a_neuron_that_scaling_cannot_help_is_left_alone_and_the_next_layer_is_not():
    hidden, out, acted = _applied([[0, 0, 1]] * 2, [[1, 1]] * 2, drive=10.0)
    assert acted
    np.testing.assert_allclose(hidden, HIDDEN)
    np.testing.assert_allclose(out, OUT * [2.0, 1.0])


def test_it_does_nothing_where_all_spike():
    hidden, out, acted = _applied(np.zeros((2, 3)), [[1, 0], [0, 1]])
    assert not acted
    np.testing.assert_allclose(hidden, HIDDEN)
    np.testing.assert_allclose(out, OUT)


@pytest.mark.parametrize("settings", [{"factor": 1.0}, {"drive": 0.0}])
def test_settings_out_of_range_are_refused(settings):
    with pytest.raises(ValueError, match=f"got {next(iter(settings))}=.*expected"):
        WeightScaling(**settings)
