"""An absolute refractory period."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import Array

import saltation as st
from saltation_neurons import (
    IF,
    LIF,
    AdEx,
    AtMostOnce,
    Izhikevich,
    LIFState,
    Refractory,
    RefractoryState,
)

T = jnp.zeros(())


def _state(v, i, since, held):
    return RefractoryState(LIFState(jnp.array(v), jnp.array(i)), jnp.array(since), jnp.array(held))


def test_a_spike_closes_the_clamp_and_the_timer_opens_it():
    neuron = Refractory(LIF(2, v_reset=-0.5), 2.0)
    state = neuron.reset(_state([1.0, 1.0], [3.0, 3.0], [7.0, 7.0], [0.0, 0.0]))
    np.testing.assert_array_equal(state.v, [-0.5, -0.5])
    np.testing.assert_array_equal(state.since, [0.0, 0.0])
    np.testing.assert_array_equal(state.held, [1.0, 1.0])
    np.testing.assert_array_equal(neuron.next_timer(state), [2.0, 2.0])
    np.testing.assert_array_equal(neuron.guard(state), [-1.0, -1.0])
    partway = neuron.closed_form().flow(state, jnp.asarray(0.5), jnp.ones(2))
    np.testing.assert_allclose(neuron.next_timer(partway), [1.5, 1.5])
    released = neuron.on_timer(neuron.closed_form().flow(partway, jnp.asarray(1.5), jnp.ones(2)))
    np.testing.assert_array_equal(released.held, [0.0, 0.0])
    np.testing.assert_array_equal(released.v, [-0.5, -0.5])
    np.testing.assert_array_equal(neuron.next_timer(released), [jnp.inf, jnp.inf])
    np.testing.assert_allclose(neuron.guard(released), [-1.5, -1.5])


def test_the_clamp_holds_v_alone(rk4):
    inner = AdEx(2)
    neuron = Refractory(inner, 2.0)
    free = neuron.init()
    state = neuron.receive(free, jnp.array([400.0, 400.0]), "current")
    state = RefractoryState(state.inner, state.since, jnp.array([0.0, 1.0]))
    after = rk4(neuron, state, 1.0, jnp.full(2, 50.0), steps=100)
    expected = rk4(inner, state.inner, 1.0, jnp.full(2, 50.0), steps=100)
    np.testing.assert_allclose(after.inner.z[0], expected.z[0], rtol=1e-12)
    assert after.inner.z[1] == state.inner.z[1]
    np.testing.assert_allclose(after.i, expected.i, rtol=1e-12)
    np.testing.assert_allclose(after.since, [1.0, 1.0])
    # The adaptation of the held one follows the clamped potential, which is at rest: it stays at 0.
    assert after.inner.w[0] > 0 and after.inner.w[1] == 0


def test_kicks_to_v_are_dropped_and_kicks_to_currents_are_kept():
    delta = Refractory(IF(2, tau_syn=None), 2.0)
    state = delta.init()._replace(held=jnp.array([0.0, 1.0]))
    np.testing.assert_array_equal(delta.receive(state, jnp.full(2, 0.4), "current").v, [0.4, 0.0])
    smooth = Refractory(LIF(2), 2.0)
    state = smooth.init()._replace(held=jnp.array([0.0, 1.0]))
    np.testing.assert_array_equal(smooth.receive(state, jnp.full(2, 0.4), "current").i, [0.4, 0.4])


@pytest.mark.parametrize("inner", [LIF(4), LIF(4, tau_mem=5.0), IF(4), IF(4, tau_syn=None), AtMostOnce(LIF(4))])
def test_closed_form_is_the_flow(inner, rk4, getkey):
    neuron = Refractory(inner, 2.0)
    state = neuron.receive(neuron.init(), jnp.array([1.0, -2.0, 3.0, 0.5]), "current")
    state = state._replace(held=jnp.array([0.0, 0.0, 1.0, 1.0]))
    current = jax.random.normal(getkey(), (4,))
    flow = neuron.closed_form().flow
    after = flow(state, jnp.asarray(1.5), current)
    expected = rk4(neuron, state, 1.5, current, steps=300)
    for a, b in zip(jax.tree.leaves(after), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-10)
    u = jnp.full(4, 0.7)
    moved, slope = jax.jvp(lambda u: flow(state, u, current), (u,), (jnp.ones(4),))
    field = neuron.vector_field(T, moved, current)
    for a, b in zip(jax.tree.leaves(slope), jax.tree.leaves(field), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-12)


def test_closed_form_has_no_crossing_while_held():
    neuron = Refractory(LIF(2), 2.0)
    state = _state([0.0, 0.0], [20.0, 20.0], [0.0, 0.0], [0.0, 1.0])
    time = neuron.closed_form().crossing(state, jnp.full(2, 30.0), jnp.zeros(2))
    assert 0 < time[0] < 30 and time[1] == jnp.inf


def test_traits():
    assert Refractory(LIF(2), 2.0).lif() is None
    assert Refractory(IF(2, tau_syn=None, reset_mode="subtract"), 2.0).rate() is None
    assert Refractory(Izhikevich(2), 2.0).closed_form() is None
    assert Refractory(LIF(2), 2.0).noise() is None
    assert AtMostOnce(Refractory(LIF(2), 2.0)).lif() is None
    assert Refractory(AtMostOnce(LIF(2)), 2.0).closed_form() is not None
    neuron = Refractory(LIF(2), 2.0)
    np.testing.assert_array_equal(neuron.observe(neuron.init()), [0.0, 0.0])


def test_release_carries_the_periods_derivative():
    def release(t_refractory, since):
        neuron = Refractory(LIF(2), t_refractory)
        state = _state([0.0, 0.0], [0.0, 0.0], [0.0, 0.0], [1.0, 0.0])._replace(since=since)
        timer = neuron.next_timer(state)
        return jnp.sum(jnp.where(jnp.isfinite(timer), timer, 0.0))

    by_period, by_since = jax.grad(release, (0, 1))(jnp.array([2.0, 3.0]), jnp.zeros(2))
    np.testing.assert_array_equal(by_period, [1.0, 0.0])
    np.testing.assert_array_equal(by_since, [-1.0, 0.0])


class _Ticking(NamedTuple):
    v: Array
    left: Array


class _Metronome(st.AbstractNeuron):
    """A neuron with a timer of its own, which adds 1 to `v` every `period`, and noise."""

    shape: tuple[int, ...] = eqx.field(converter=st.population_shape, static=True, default=(1,))
    period: float = 3.0

    def with_shape(self, shape):
        return _Metronome(shape, self.period)

    def init(self, *, key=None):
        return _Ticking(jnp.zeros(self.shape), jnp.full(self.shape, self.period))

    def vector_field(self, t, state, current):
        return _Ticking(jnp.zeros_like(state.v), -jnp.ones_like(state.left))

    def guard(self, state):
        return state.v - 10.0

    def reset(self, state, *, key=None):
        return _Ticking(jnp.zeros_like(state.v), state.left)

    def receive(self, state, kick, port):
        return _Ticking(state.v + kick, state.left)

    def next_timer(self, state):
        return state.left

    def on_timer(self, state):
        return _Ticking(state.v + 1.0, jnp.full_like(state.left, self.period))

    def observe(self, state):
        return state.v

    def lif(self):
        return None

    def closed_form(self):
        # Only a stand-in: its state has another variable than v and i, so a clamp cannot use it.
        return st.ClosedForm(lambda state, u, current: state, lambda state, u, current: jnp.inf)

    def rate(self):
        return None

    def noise(self):
        return st.NoiseDynamics(lambda state: _Ticking(jnp.ones_like(state.v), jnp.ones_like(state.left)))


@pytest.mark.parametrize(
    ("held", "since", "left", "timer", "v", "left_after", "held_after"),
    [
        (1.0, 0.5, 3.0, 1.5, 0.0, 3.0, 0.0),  # the clamp opens first
        (1.0, 0.5, 1.0, 1.0, 1.0, 3.0, 1.0),  # the neuron's own timer first
        (1.0, 0.5, 1.5, 1.5, 1.0, 3.0, 0.0),  # both at once
        (0.0, 9.0, 2.0, 2.0, 1.0, 3.0, 0.0),  # nothing held
        (1.0, 0.5, jnp.inf, 1.5, 0.0, jnp.inf, 0.0),  # no timer of its own
        (0.0, 9.0, jnp.inf, jnp.inf, 0.0, jnp.inf, 0.0),  # none at all
    ],
)
def test_fires_the_timers_that_are_due(held, since, left, timer, v, left_after, held_after):
    neuron = Refractory(_Metronome(), 2.0)
    inner = _Ticking(jnp.zeros(1), jnp.array([left]))
    state = RefractoryState(inner, jnp.array([since]), jnp.array([held]))
    np.testing.assert_array_equal(neuron.next_timer(state), [timer])
    after = neuron.on_timer(state)
    np.testing.assert_array_equal(after.v, [v])
    np.testing.assert_array_equal(after.inner.left, [left_after])
    np.testing.assert_array_equal(after.held, [held_after])


def test_withholds_a_closed_form_of_further_variables():
    assert Refractory(_Metronome(), 2.0).closed_form() is None


def test_noise_does_not_move_a_clamped_potential():
    neuron = Refractory(_Metronome(2), 2.0)
    state = neuron.init()._replace(held=jnp.array([0.0, 1.0]))
    spread = neuron.noise().diffusion(state)
    np.testing.assert_array_equal(spread.v, [1.0, 0.0])
    np.testing.assert_array_equal(spread.inner.left, [1.0, 1.0])
    np.testing.assert_array_equal(spread.since, [0.0, 0.0])
    np.testing.assert_array_equal(spread.held, [0.0, 0.0])


def test_wrappers_nest_both_ways():
    # Both clamp the potential after the spike, and both allow no other one.
    for neuron in (AtMostOnce(Refractory(LIF(1), 2.0)), Refractory(AtMostOnce(LIF(1)), 2.0)):
        state = neuron.receive(neuron.reset(neuron.init()), jnp.array([1e3]), "current")
        form = neuron.closed_form()
        held = form.flow(state, jnp.asarray(2.0), jnp.zeros(1))
        assert held.v == 0.0 and held.i > 0
        free = form.flow(neuron.on_timer(held), jnp.asarray(2.0), jnp.zeros(1))
        assert free.v > 1.0 and neuron.guard(free) < 0
        assert form.crossing(neuron.on_timer(held), jnp.array([9.0]), jnp.zeros(1))[0] == jnp.inf


def test_is_a_neuron_of_neurons():
    with pytest.raises((ValueError, TypeError)):
        Refractory(LIF, 2.0)
    with pytest.raises((ValueError, TypeError)):
        Refractory(2.0, LIF(3))


@pytest.mark.parametrize("period", [0.0, -1.0, float("nan"), float("inf")])
def test_period_is_positive(period):
    with pytest.raises(ValueError, match="t_refractory"):
        Refractory(LIF(3), period)
    with pytest.raises(ValueError, match="t_refractory"):
        Refractory(LIF(3), jnp.array([1.0, period, 2.0]))
