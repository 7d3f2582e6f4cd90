"""Parameters that training keeps positive."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import saltation as st
from saltation_neurons import LIF, AtMostOnce, Positive

T = jnp.zeros(())


def test_parameters_are_those_of_the_neuron_it_starts_from():
    neuron = Positive(LIF(2, tau_mem=jnp.array([20.0, 5.0]), tau_syn=3.0), "tau_mem", "tau_syn")
    np.testing.assert_allclose(neuron.neuron.tau_mem, [20.0, 5.0])
    np.testing.assert_allclose(neuron.neuron.tau_syn, 3.0)
    assert neuron.shape == (2,) and neuron.lif() is not None and neuron.with_shape(2).shape == (2,)
    assert AtMostOnce(neuron).closed_form() is not None


def test_no_step_makes_them_negative():
    neuron = Positive(LIF(1, tau_mem=2.0), "tau_mem")
    parameters, fixed = eqx.partition(neuron, st.trainable(neuron, "tau_mem"))
    assert [leaf.shape for leaf in jax.tree.leaves(parameters)] == [()]

    def speed(parameters):
        neuron = eqx.combine(parameters, fixed)
        state = neuron.init()._replace(v=jnp.ones(1))
        return neuron.vector_field(T, state, jnp.zeros(1)).v[0]

    # dv/dt = -v / tau, whose derivative with respect to log tau is v / tau.
    gradient = jax.grad(speed)(parameters)
    np.testing.assert_allclose(gradient.log["tau_mem"], 0.5)
    far = jax.tree.map(lambda p, g: p - 20.0 * g, parameters, gradient)
    assert 0 < eqx.combine(far, fixed).neuron.tau_mem < 1e-3


def test_what_is_wrong_is_named():
    with pytest.raises(ValueError, match=r"\['tau'\]; expected parameters of the neuron.*'tau_mem'"):
        Positive(LIF(2), "tau")
    with pytest.raises(ValueError, match="v_leak = 0.0; expected a positive number"):
        Positive(LIF(2), "v_leak")
    with pytest.raises(ValueError, match="expected a neuron"):
        Positive(3.0, "tau_mem")
