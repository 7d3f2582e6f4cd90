"""Near where an exact gradient ends: spikes that barely touch, spikes that leave the trial, neurons that are silent."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import saltation as st
from saltation_neurons import IF, LIF, QIF, QIFState, Refractory, Theta, ThetaState
from saltation_ode import ODE


def _network(neuron, weight):
    return st.Network({"in": 1}, {"out": neuron}, [st.Connection("in", "out", st.Dense(weight))], ["out"])


STIMULUS = {"in": st.Spikes.from_dense(jnp.array([[1.0]]))}


@pytest.mark.parametrize(
    "neuron", [LIF(1, tau_mem=20.0, tau_syn=10.0), Refractory(LIF(1, tau_mem=20.0, tau_syn=10.0), 1e3)]
)
def test_a_floor_under_the_slope_shrinks_flat_derivatives_alone(neuron):
    # Of the fast way for layers, and of the general one.
    @jax.jit
    @jax.grad
    def exact(weight):
        return ODE(max_spikes=1).solve(_network(neuron, weight), STIMULUS, t1=40.0).spikes["out"].first()[0]

    @jax.jit
    @jax.grad
    def bounded(weight):
        method = ODE(max_spikes=1, slope_floor=0.02)
        return method.solve(_network(neuron, weight), STIMULUS, t1=40.0).spikes["out"].first()[0]

    # The weight at which the potential just touches the threshold is 4.
    grazing, steep = jnp.array([[4.01]]), jnp.array([[6.0]])
    np.testing.assert_allclose(bounded(steep), exact(steep), rtol=1e-12)
    # v = w (x - x^2), x = exp(-u / 20): the slope at the threshold.
    x = 0.5 + np.sqrt(0.25 - 1 / 4.01)
    slope = 4.01 * x * (2 * x - 1) / 20.0
    assert slope < 0.02
    np.testing.assert_allclose(bounded(grazing), exact(grazing) * slope / 0.02, rtol=1e-9)


@pytest.mark.parametrize(
    ("neuron", "rtol"),
    # The drive acts beyond the threshold too; at infinity there is no beyond.
    [(QIF(1, v_threshold=200.0, v_reset=-200.0), 1e-2), (Theta(1), 1e-5)],
    ids=["QIF", "Theta"],
)
def test_a_pseudospike_goes_on_where_the_spike_left_the_trial(neuron, rtol):
    drive, t1 = 1.0, 30.0
    readout = st.Pseudospikes(t1, lambda state: neuron.time_to_spike(state, drive))
    method = ODE(max_spikes=2)

    @jax.jit
    @jax.vmap
    @jax.value_and_grad
    def time(weight):
        solution = method.solve(_network(neuron, weight[None, None]), STIMULUS, t1=t1, throw=False)
        return readout(solution)[0]

    # The weight at which the neuron spikes at t1, by bisection: in the batch, all at once.
    low, high = 4.0, 12.0
    for _ in range(9):
        weights = jnp.linspace(low, high, 8)  # always as many: compiled once
        times, _ = time(weights)
        above = int(np.argmax(np.asarray(times) < t1))
        low, high = float(weights[above - 1]), float(weights[above])
    times, gradients = time(jnp.array([low, high, 0.0, 1.0, 3.0, 3.0, 3.0, 3.0]))
    (before, after), (left, right) = times[:2], gradients[:2]
    assert before >= t1 > after and before - after < 1e-3
    np.testing.assert_allclose(left, right, rtol=rtol)
    # However weak the input, there is a gradient that says: sooner.
    assert np.isfinite(times).all() and (np.asarray(gradients) < 0).all()
    with pytest.raises(ValueError, match="drive=0.2; expected more than"):
        neuron.time_to_spike(neuron.init(), drive=0.2)


@pytest.mark.parametrize(
    ("neuron", "state"),
    [
        (QIF(1, v_rest=-0.5, v_crit=1.5), QIFState(jnp.array([-0.3]), jnp.zeros(1))),
        (Theta(1, v_rest=-0.5, v_crit=1.5), ThetaState.of(jnp.array([-0.3]), 0.0)),
    ],
    ids=["QIF", "Theta"],
)
def test_the_time_to_a_spike_is_that_of_the_neuron(neuron, state):
    network = _network(neuron, jnp.zeros((1, 1)))
    drive = st.Connection("drive", "out", st.Dense(jnp.ones((1, 1))))
    network = st.Network({"in": 1, "drive": 1}, network.neurons, [*network.connections, drive], ["out"])
    stimulus = {**STIMULUS, "drive": st.Current(jnp.array([2.0]))}
    solution = eqx.filter_jit(ODE(max_spikes=8).solve)(network, stimulus, t1=60.0, initial={"out": state})
    np.testing.assert_allclose(neuron.time_to_spike(state, 2.0), solution.spikes["out"].first(), rtol=1e-8)


def test_a_silent_layer_comes_alive_by_the_existence_term():
    # Delta synapses: the potential is the sum of the weights that have arrived.
    weight = jnp.array([[0.2, 0.9], [0.1, 0.6]])
    stimulus = {"in": st.Spikes.from_dense(jnp.array([[1.0], [2.0]]))}
    save = st.Save(states_at=jnp.array([1.5, 2.5]))

    @jax.jit
    @jax.value_and_grad
    def missing(weight):
        network = st.Network({"in": 2}, {"n": IF(2, tau_syn=None)}, [st.Connection("in", "n", st.Dense(weight))], ["n"])
        solution = ODE(max_spikes=2).solve(network, stimulus, t1=5.0, save=save)
        return st.existence(network, solution, strength=2.0)

    value, gradient = missing(weight)
    np.testing.assert_allclose(value, 0.7)
    np.testing.assert_allclose(gradient, [[-1.0, 0.0], [-1.0, 0.0]])
    for _ in range(5):
        weight = weight - 0.1 * missing(weight)[1]
    assert missing(weight)[0] == 0.0
