"""The words that all packages share, as one example uses them."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import saltation as st
from saltation_neurons import LIF, AtMostOnce

w_in = jnp.array([[6.0, 0.0], [3.0, 5.0], [0.0, 4.0]])
w_rec = jnp.array([[0.0, 1.5], [-1.0, 0.0]])
times = jnp.array([[1.0, 12.5], [3.0, jnp.inf], [5.0, 20.0]])


@pytest.fixture(scope="module")
def net():
    return st.Network(
        inputs={"in": 3},
        neurons={"hidden": LIF(2, tau_mem=20.0, tau_syn=10.0, v_threshold=1.0, v_reset=0.0)},
        connections=[
            st.Connection("in", "hidden", st.Dense(w_in)),
            st.Connection("hidden", "hidden", st.Dense(w_rec), delay=st.Delay(2.0)),
        ],
        outputs=["hidden"],
    )


def test_the_gradient_of_a_recurrent_network_is_right_and_has_its_structure(net):
    method = st.get_method("ode")(max_spikes=8)
    stimulus = {"in": st.Spikes.from_dense(times)}

    @eqx.filter_jit
    def loss(net):
        solution = method.solve(net, stimulus, t1=60.0)
        return jnp.sum(solution.spikes["hidden"].first())

    value, gradient = eqx.filter_jit(eqx.filter_value_and_grad(loss))(net)
    assert jax.tree.structure(gradient) == jax.tree.structure(eqx.filter(net, eqx.is_inexact_array))
    for place in (0, 1):
        shift = np.random.default_rng(place).normal(size=net.connections[place].synapse.weight.shape)
        weight = lambda net, place=place: net.connections[place].synapse.weight  # noqa: E731
        moved = [loss(eqx.tree_at(weight, net, weight(net) + e * shift)) for e in (1e-5, -1e-5)]
        expected = (moved[0] - moved[1]) / 2e-5
        np.testing.assert_allclose(jnp.sum(weight(gradient) * shift), expected, rtol=1e-6, atol=1e-8)
    np.testing.assert_allclose(loss(net), value)


def test_a_python_number_is_fixed_and_an_array_is_trained(net):
    assert net.neurons["hidden"].tau_mem == 20.0
    assert not jax.tree.leaves(eqx.filter(net.neurons, eqx.is_inexact_array))
    trained = LIF(2, tau_mem=jnp.full(2, 20.0))
    assert len(jax.tree.leaves(eqx.filter(trained, eqx.is_inexact_array))) == 1


def test_feedforward_names_its_populations_and_broadcasts_the_prototype():
    neuron = AtMostOnce(LIF(tau_mem=2.0, tau_syn=1.0))
    small = st.feedforward([5, 30, 3], neuron, delay="axonal", key=jax.random.key(0))
    assert small.inputs == {"in": (5,)} and small.outputs == ("out",)
    assert {name: population.size for name, population in small.neurons.items()} == {"hidden1": 30, "out": 3}
    assert st.get_method("ode")().supports(small)
    assert sum(jax.tree.leaves(st.trainable(small, "delay"))) == 2
