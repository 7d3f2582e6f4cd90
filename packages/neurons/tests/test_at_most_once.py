"""At most one spike a trial."""

from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import Array

import saltation as st
from saltation_neurons import IF, LIF, AdEx, AtMostOnce, AtMostOnceState, LIFState, Refractory

T = jnp.zeros(())


def _state(v, i, spiked):
    return AtMostOnceState(LIFState(jnp.array(v), jnp.array(i)), jnp.array(spiked))


def test_spikes_once():
    neuron = AtMostOnce(LIF(2))
    state = _state([1.5, 1.5], [0.3, 0.3], [0.0, 1.0])
    np.testing.assert_array_equal(neuron.guard(state), [0.5, -1.0])
    after = neuron.reset(state)
    np.testing.assert_array_equal(after.spiked, [1.0, 1.0])
    np.testing.assert_array_equal(after.v, [0.0, 0.0])
    np.testing.assert_array_equal(after.i, [0.3, 0.3])
    again = neuron.receive(after, jnp.array([1e3, 1e3]), "current")
    later = neuron.closed_form().flow(again, jnp.asarray(5.0), jnp.zeros(2))
    assert (later.v > 1.0).all() and (neuron.guard(later) < 0).all()


def test_flow_is_the_inner_one(near, getkey):
    inner = LIF(3)
    neuron = AtMostOnce(inner)
    state = near(neuron, getkey())
    field = neuron.vector_field(T, state, jnp.ones(3))
    np.testing.assert_array_equal(field.v, inner.vector_field(T, state.inner, jnp.ones(3)).v)
    np.testing.assert_array_equal(field.spiked, 0.0)


def test_closed_form_has_no_second_crossing():
    neuron = AtMostOnce(LIF(2))
    state = _state([0.0, 0.0], [20.0, 20.0], [0.0, 1.0])
    time = neuron.closed_form().crossing(state, jnp.full(2, 30.0), jnp.zeros(2))
    assert 0 < time[0] < 30 and time[1] == jnp.inf
    after = neuron.closed_form().flow(state, jnp.asarray(2.0), jnp.zeros(2))
    np.testing.assert_array_equal(after.spiked, state.spiked)


def test_traits():
    neuron = AtMostOnce(LIF(2, tau_mem=20.0, tau_syn=10.0))
    constants = neuron.lif()
    assert constants[:5] == (20.0, 10.0, 0.0, 1.0, 0.0) and constants.at_most_once
    state = _state([0.0, 0.0], [0.0, 0.0], [0.0, 1.0])
    written = constants.write(state, jnp.array([0.1, 0.2]), jnp.array([3.0, 4.0]))
    np.testing.assert_array_equal(written.v, [0.1, 0.2])
    np.testing.assert_array_equal(written.i, [3.0, 4.0])
    np.testing.assert_array_equal(written.spiked, [0.0, 1.0])
    assert AtMostOnce(IF(2)).lif().at_most_once and AtMostOnce(IF(2)).lif().g_leak == 0.0
    assert AtMostOnce(IF(2, tau_syn=None)).lif() is None
    assert AtMostOnce(AdEx(2)).closed_form() is None
    assert AtMostOnce(IF(2, tau_syn=None, reset_mode="subtract")).rate() is None
    assert neuron.noise() is None
    assert neuron.observe(neuron.init()).shape == (2,)


def test_timers_are_the_inner_ones():
    neuron = AtMostOnce(Refractory(LIF(1), 2.0))
    state = neuron.reset(neuron.init())
    np.testing.assert_array_equal(neuron.next_timer(state), [2.0])
    released = neuron.on_timer(state)
    np.testing.assert_array_equal(released.inner.held, [0.0])
    np.testing.assert_array_equal(neuron.next_timer(released), [jnp.inf])
    np.testing.assert_array_equal(neuron.guard(released), [-1.0])


def test_guard_has_a_safe_gradient():
    def total(threshold, v):
        neuron = AtMostOnce(LIF(2, v_threshold=threshold))
        return jnp.sum(neuron.guard(AtMostOnceState(LIFState(v, v), jnp.array([0.0, 1.0]))))

    by_threshold, by_v = eqx.filter_grad(lambda x: total(*x))((jnp.array([1.0, 1.0]), jnp.ones(2)))
    np.testing.assert_array_equal(by_threshold, [-1.0, 0.0])
    np.testing.assert_array_equal(by_v, [1.0, 0.0])


def test_is_a_neuron_of_neurons():
    with pytest.raises((ValueError, TypeError)):
        AtMostOnce(LIF)
    with pytest.raises((ValueError, TypeError)):
        AtMostOnce(3)


class _Only(NamedTuple):
    x: Array


class _Walk(st.AbstractNeuron):
    """A random walk: noise and nothing else, with a state of its own kind."""

    shape: tuple[int, ...] = eqx.field(converter=st.population_shape, static=True, default=(1,))

    def with_shape(self, shape):
        return _Walk(shape)

    def init(self, *, key=None):
        return _Only(jnp.zeros(self.shape))

    def vector_field(self, t, state, current):
        return _Only(jnp.zeros_like(state.x))

    def guard(self, state):
        return state.x - 1.0

    def reset(self, state, *, key=None):
        return _Only(jnp.zeros_like(state.x))

    def receive(self, state, kick, port):
        return _Only(state.x + kick)

    def next_timer(self, state):
        return jnp.full_like(state.x, jnp.inf)

    def on_timer(self, state):
        return state

    def observe(self, state):
        return state.x

    def lif(self):
        return None

    def closed_form(self):
        return None

    def rate(self):
        return None

    def noise(self):
        return st.NoiseDynamics(lambda state: _Only(jnp.full_like(state.x, 0.5)))


def test_wraps_any_neuron_and_keeps_its_noise():
    neuron = AtMostOnce(_Walk((2,)))
    state = neuron.init()
    spread = neuron.noise().diffusion(state)
    np.testing.assert_array_equal(spread.inner.x, [0.5, 0.5])
    np.testing.assert_array_equal(spread.spiked, [0.0, 0.0])
    np.testing.assert_array_equal(neuron.guard(neuron.reset(state)), [-1.0, -1.0])


def test_refractory_needs_a_potential_to_clamp():
    with pytest.raises(ValueError, match="NamedTuple with a field v"):
        Refractory(_Walk((2,)), 1.0).init()
