"""Neurons: the smallest one is a whole one, and parameters are checked where they are known."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import saltation as st


def test_an_ode_neuron_has_no_timers_and_no_traits(leaky):
    neuron = leaky((2, 3))
    assert neuron.size == 6 and neuron.with_shape(4).shape == (4,)
    state = neuron.init()
    assert np.isinf(neuron.next_timer(state)).all() and neuron.next_timer(state).shape == (2, 3)
    assert neuron.on_timer(state) is state
    assert [neuron.lif(), neuron.closed_form(), neuron.rate(), neuron.noise()] == [None] * 4


@pytest.mark.parametrize(("shape", "expected"), [(3, (3,)), ((2, 3), (2, 3)), ((), ()), ([2, 3], (2, 3))])
def test_population_shape(shape, expected):
    if isinstance(shape, list):
        shape = tuple(shape)
    assert st.population_shape(shape) == expected


@pytest.mark.parametrize("value", [-1.0, 0.0, np.nan, np.inf, np.array([1.0, -1.0])])
def test_a_parameter_that_must_be_positive(value):
    value = jnp.asarray(value) if isinstance(value, np.ndarray) else value
    with pytest.raises(ValueError, match="LIF got tau_mem = .*; expected a positive number"):
        st.check_positive("LIF", tau_mem=value)


def test_what_is_known_is_checked_and_what_is_traced_is_not():
    st.check_positive("LIF", a=1, b=2.0, c=jnp.ones(2))
    st.check_finite("LIF", a=-1, b=0.0)
    st.check_below("LIF", "v_reset", 0.0, "v_threshold", jnp.ones(3))
    with pytest.raises(ValueError, match="got a = inf; expected a finite number"):
        st.check_finite("LIF", a=np.inf)
    with pytest.raises(ValueError, match="v_reset = 1.0 and v_threshold = 1.0; expected v_reset < v_threshold"):
        st.check_below("LIF", "v_reset", 1.0, "v_threshold", 1.0)

    @jax.jit
    def inside(x):
        st.check_positive("LIF", x=x)
        st.check_below("LIF", "low", x, "high", 0.0)
        return x

    assert inside(jnp.array(-1.0)) == -1.0


def test_a_python_number_is_fixed_and_an_array_is_trained(leaky):
    fixed, trained = leaky(2, 20.0), leaky(2, jnp.array(20.0))
    assert not jax.tree.leaves(eqx.filter(fixed, eqx.is_array))
    assert len(jax.tree.leaves(eqx.filter(trained, eqx.is_array))) == 1
