"""What is asked for is what is kept; starts, precisions and settings."""

import subprocess
import sys

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import saltation as st
from saltation_neurons import LIF, QIF, LIFState
from saltation_ode import ODE
from saltation_testing import check_gradient

T1 = 20.0
TIMES = jnp.array([[1.0, 4.0], [2.0, jnp.inf]])


def _network(neuron, weight=4.0, delay=None):
    synapse = st.Dense(weight * jnp.ones((2, neuron.size)))
    return st.Network({"in": 2}, {"n": neuron}, [st.Connection("in", "n", synapse, delay)], ["n"])


LAYER = _network(LIF(2))
STIMULUS = {"in": st.Spikes.from_dense(TIMES)}


def test_only_what_is_asked_for_is_kept(solve):
    plain = solve(ODE(), LAYER, STIMULUS, t1=T1)
    assert plain.rates is None and plain.states is None and plain.updates == {}
    other = solve(
        ODE(), LAYER, STIMULUS, t1=T1, save=st.Save(spikes=False, rates=True, states_at=jnp.array([3.0, 3.0]))
    )
    assert other.spikes is None
    np.testing.assert_allclose(other.rates["n"], np.asarray(plain.spikes["n"].count()) / T1)
    assert other.states["n"].v.shape == (2, 2)
    for one, two in zip(jax.tree.leaves(other.final), jax.tree.leaves(plain.final), strict=True):
        np.testing.assert_array_equal(one, two)


def test_states_are_those_after_what_happens_then(solve):
    save = st.Save(states_at=jnp.array([0.0, 1.0, 2.0, T1]))
    for initial in (None, {"n": LIFState(jnp.zeros(2), jnp.zeros(2))}):
        solution = solve(ODE(), LAYER, STIMULUS, t1=T1, save=save, initial=initial)
        np.testing.assert_allclose(solution.states["n"].i[0], 0.0)
        np.testing.assert_allclose(solution.states["n"].i[1], 4.0)
        np.testing.assert_allclose(solution.states["n"].i[2], 4.0 + 4.0 * np.exp(-1 / 5))
        np.testing.assert_allclose(solution.states["n"].v[3], solution.final["n"].v, rtol=1e-12)


def test_rates_are_counts_and_have_no_derivative():
    def rate(weight):
        solution = ODE().solve(_network(LIF(2), weight), STIMULUS, t1=T1, save=st.Save(rates=True), throw=False)
        return jnp.sum(solution.rates["n"])

    with pytest.raises(TypeError, match="no derivative"):
        jax.eval_shape(jax.grad(rate), jnp.array(4.0))


@pytest.mark.parametrize("method", [ODE(), ODE(solver=diffrax.Dopri5(), step=0.25)], ids=["closed form", "solver"])
def test_gradient_by_the_initial_state(differentiated, method):
    save = st.Save(states_at=jnp.array([3.0]))
    function = differentiated(
        lambda initial: method.solve(LAYER, STIMULUS, t1=T1, initial={"n": initial}, save=save, throw=False)
    )
    at = LIFState(jnp.array([0.3, -0.5]), jnp.array([1.0, 2.0]))
    (_, (spikes, result)), gradient = function(at)
    assert (np.asarray(spikes["n"]) >= 0).sum() >= 2 and result == st.RESULTS.successful._value
    assert all(np.abs(leaf).min() > 0 for leaf in jax.tree.leaves(gradient))
    check_gradient(lambda at: function(at)[0], gradient, at)


def test_going_on_from_a_final_state_is_going_on(solve):
    # The second half, from where the first one ended.
    times = jnp.array([[1.0, 13.0], [2.0, 14.5]])
    whole = solve(ODE(), LAYER, {"in": st.Spikes.from_dense(times)}, t1=T1)
    first = solve(ODE(), LAYER, {"in": st.Spikes.from_dense(times[:, :1])}, t1=0.5 * T1)
    rest = {"in": st.Spikes.from_dense(times[:, 1:] - 0.5 * T1)}
    second = solve(ODE(), LAYER, rest, t1=0.5 * T1, initial=first.final)
    for one, two in zip(jax.tree.leaves(second.final), jax.tree.leaves(whole.final), strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-10)
    total = first.stats["spike_count"]["n"] + second.stats["spike_count"]["n"]
    np.testing.assert_array_equal(total, whole.stats["spike_count"]["n"])
    assert total.min() >= 2


@pytest.mark.parametrize(
    "neuron", [LIF(2), LIF(2, tau_mem=jnp.array([10.0, 20.0])), QIF(2)], ids=["LIF", "arrays", "QIF"]
)
def test_float32_is_near_float64_late_in_a_long_trial(solve, neuron):
    # Late in a trial, `exp(t / tau)` and differences of large times would not be.
    t1 = 2000.0
    rng = np.random.default_rng(0)
    times = jnp.asarray(np.sort(1900.0 + rng.uniform(0.0, 90.0, (2, 4))))
    network = _network(neuron, 6.0)
    wide = solve(ODE(), network, {"in": st.Spikes.from_dense(times)}, t1=t1)
    narrow = jax.tree.map(
        lambda leaf: leaf.astype(jnp.float32) if eqx.is_inexact_array(leaf) else leaf,
        (network, {"in": st.Spikes.from_dense(times)}),
    )
    solution = solve(ODE(), *narrow, t1=t1)
    assert {leaf.dtype for leaf in jax.tree.leaves(solution) if eqx.is_inexact_array(leaf)} == {jnp.dtype("float32")}
    np.testing.assert_array_equal(solution.spikes["n"].index, wide.spikes["n"].index)
    assert solution.spikes["n"].count().min() >= 2
    np.testing.assert_allclose(solution.spikes["n"].time, wide.spikes["n"].time, rtol=0, atol=1e-2)


@pytest.mark.parametrize("value", [0, -1, 2.0, None])
def test_room_for_spikes_is_a_positive_integer(value):
    with pytest.raises((ValueError, TypeError), match="max_spikes"):
        ODE(max_spikes=value)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"step": 0.0}, "step=0.0; expected a positive number"),
        ({"rtol": -1.0}, "rtol=-1.0"),
        ({"atol": float("inf")}, "atol=inf"),
        ({"max_steps": 0}, "max_steps=0"),
        ({"slope_floor": -1.0}, "slope_floor=-1.0; expected a number >= 0"),
        ({"solver": diffrax.Kvaerno5()}, "explicit Runge-Kutta"),
        ({"solver": "Tsit5"}, "explicit Runge-Kutta"),
        ({"solver": diffrax.Euler()}, "no error estimate"),
    ],
    ids=str,
)
def test_settings_out_of_range_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        ODE(**settings)


def test_settings_in_range_are_taken():
    for solver in (diffrax.Tsit5(), diffrax.Dopri5(), diffrax.Dopri8(), diffrax.Bosh3(), diffrax.Heun()):
        ODE(solver=solver)
        ODE(solver=solver, step=0.1)
    ODE(solver=diffrax.Euler(), step=1)


def test_a_stimulus_that_does_not_fit_is_refused():
    for stimulus, message in (
        ({"inn": STIMULUS["in"]}, "Did you mean 'in'"),
        ({}, "no stimulus for"),
        ({"in": st.Spikes.empty(3)}, "3 units"),
    ):
        with pytest.raises(ValueError, match=message):
            ODE().solve(LAYER, stimulus, t1=T1)


def test_a_stimulus_of_another_kind_is_refused_in_words():
    """In a process of its own, as users run it: a type checker would come first."""
    code = """
import jax.numpy as jnp, saltation as st
from saltation_neurons import LIF
from saltation_ode import ODE
net = st.Network({"in": 2}, {"n": LIF(2)}, [st.Connection("in", "n", st.Dense(jnp.ones((2, 2))))], ["n"])
try:
    ODE().solve(net, {"in": jnp.ones((2, 2))}, t1=20.0)
except ValueError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "expected Spikes or Current" in done.stdout


def test_a_current_through_a_delay_is_refused():
    network = _network(LIF(2), delay=st.Delay(1.0))
    with pytest.raises(ValueError, match="a current and a delay"):
        ODE().solve(network, {"in": st.Current(jnp.ones(2))}, t1=T1)


def test_a_parameter_of_another_shape_is_refused():
    network = _network(QIF(2, tau_mem=jnp.ones(3)))
    with pytest.raises(ValueError, match=r"parameter of shape \(3,\); expected \(\) or \(2,\)"):
        ODE().solve(network, STIMULUS, t1=T1)


class _Noisy(st.AbstractODENeuron):
    """A neuron that is driven by noise."""

    shape: tuple[int, ...] = eqx.field(converter=st.population_shape, static=True, default=())

    def init(self, *, key=None):
        return LIFState(jnp.zeros(self.shape), jnp.zeros(self.shape))

    def vector_field(self, t, state, current):
        return LIFState(-state.v, -state.i)

    def guard(self, state):
        return state.v - 1.0

    def reset(self, state, *, key=None):
        return state

    def receive(self, state, kick, port):
        return LIFState(state.v, state.i + kick)

    def observe(self, state):
        return state.v

    def noise(self):
        return st.NoiseDynamics(lambda state: LIFState(jnp.ones_like(state.v), jnp.zeros_like(state.i)))


def test_neurons_with_noise_are_refused_in_words():
    with pytest.raises(st.UnsupportedError, match="'n' are driven by noise.*roughsde"):
        ODE().solve(_network(_Noisy(2)), STIMULUS, t1=T1)
    support = ODE().supports(_network(_Noisy(2)))
    assert not support and "noise" in support.reason
    assert ODE().supports(LAYER)
