"""What is computed is the network in discrete time, and its gradient is the one that the shape says."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import saltation as st
from saltation_neurons import LIF, AtMostOnce
from saltation_surrogate import SHAPES, Surrogate
from saltation_surrogate._spike import spike


@pytest.mark.parametrize("shape", SHAPES)
def test_a_shape_is_1_at_the_threshold_and_falls_off_on_both_sides(shape):
    x = jnp.linspace(-4.0, 4.0, 41)
    height = SHAPES[shape](x)
    assert height[20] == 1.0 and np.argmax(height) == 20
    np.testing.assert_allclose(height, height[::-1], rtol=1e-12)
    assert (jnp.diff(height[20:]) <= 0).all() and height[-1] < 0.08
    derivative = jax.vmap(jax.grad(lambda v: spike(v, SHAPES[shape], 3.0)))(x)
    np.testing.assert_allclose(derivative, SHAPES[shape](3.0 * x), rtol=1e-12)


def test_a_step_is_0_below_its_threshold_and_1_from_there_on():
    assert [float(spike(jnp.array(x), SHAPES["arctan"], 1.0)) for x in (-1e-9, 0.0, 2.0)] == [0.0, 1.0, 1.0]


def lif_by_hand(weight, times, steps, step):
    """A neuron that spikes at most once, written out as in a paper: `tau_mem = 20`, `tau_syn = 10`, weights of 0."""
    arrivals = np.zeros((steps + 1, len(times)))
    arrivals[np.round(np.asarray(times) / step).astype(int), np.arange(len(times))] = 1.0
    alpha, beta = np.exp(-step / 20.0), np.exp(-step / 10.0)
    v = i = jnp.zeros(())
    guards, spikes = [], []
    for n in range(steps + 1):
        if n:
            v, i = alpha * v + (alpha - beta) * i, beta * i
        i = i + jnp.asarray(arrivals[n]) @ weight
        guards.append(v - 1.0)
        spikes.append(spike(v - 1.0, SHAPES["fast_sigmoid"], 5.0))
        if float(jax.lax.stop_gradient(spikes[-1])):
            break
    return jnp.stack(guards), jnp.stack(spikes)


@pytest.mark.parametrize("decoding", ["interpolated", "train"])
def test_gradient_is_backpropagation_through_the_unrolled_neuron(decoding):
    step, weight, times = 0.5, jnp.array([2.0, 1.5, 3.0]), [1.0, 3.0, 4.5]
    network = st.feedforward([3, 1], AtMostOnce(LIF(tau_mem=20.0, tau_syn=10.0)), key=jax.random.key(0))
    put = lambda w: eqx.tree_at(lambda n: n.connections[0].synapse.weight, network, w[:, None])  # noqa: E731
    method = Surrogate(step=step, decoding=decoding)

    def computed(w):
        stimulus = {"in": st.Spikes.from_dense(jnp.array(times))}
        return method.solve(put(w), stimulus, t1=20.0).spikes["out"].first()[0]

    def by_hand(w):
        guard, spikes = lif_by_hand(w, times, 40, step)
        last = spikes.shape[0] - 1
        if decoding == "interpolated":
            return step * (last - guard[-1] / (guard[-1] - guard[-2]))
        # The time of the first spike, as a polynomial in the train whose next spike would come one step later.
        value, none_yet = jnp.zeros(()), jnp.ones(())
        for n in range(last + 1):
            value, none_yet = value + none_yet * spikes[n] * n * step, none_yet * (1.0 - spikes[n])
        return value + none_yet * (last + 1) * step

    found, gradient = jax.jit(jax.value_and_grad(computed))(weight)
    expected, wanted = jax.value_and_grad(by_hand)(weight)
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    np.testing.assert_allclose(gradient, wanted, rtol=1e-9)


def test_rates_and_states_follow_the_spikes():
    network = st.feedforward(
        [2, 3], LIF(tau_mem=20.0, tau_syn=10.0), weight=st.normal(15.0, 3.0), key=jax.random.key(0)
    )
    stimulus = {"in": st.Spikes.from_dense(jnp.array([[1.0, 6.0], [3.0, 9.0]]))}
    save = st.Save(rates=True, states_at=jnp.array([0.0, 2.25, 30.0]))
    solution = eqx.filter_jit(Surrogate(step=0.5, max_spikes=30).solve)(network, stimulus, t1=30.0, save=save)
    count = solution.spikes["out"].count()
    assert count.sum() > 3
    np.testing.assert_allclose(solution.rates["out"], np.asarray(count) / 30.0, rtol=1e-12)
    # Between two grid points the flow is exact: only the spike at 1 has arrived, and nobody has spiked.
    v, _ = st.lif_flow(jnp.zeros(3), network.connections[0].synapse.weight[0], jnp.array(1.25), 0.0, 20.0, 10.0)
    np.testing.assert_allclose(solution.states["out"].v[1], v, rtol=1e-12)
    np.testing.assert_allclose(solution.states["out"].v[2], solution.final["out"].v, rtol=1e-12)


def test_a_current_counts_with_its_mean_over_a_step():
    weight = jnp.array([[0.5]])
    network = st.Network({"in": 1}, {"out": LIF(1)}, [st.Connection("in", "out", st.Dense(weight))], ["out"])
    pulse = st.Current(jnp.array([[1.0], [0.0]]), start=jnp.array([2.25, 6.0]))
    solution = eqx.filter_jit(Surrogate(step=1.0).solve)(network, {"in": pulse}, t1=8.0)
    exact = 0.5 * (np.exp(-2.0 / 20.0) - np.exp(-5.75 / 20.0))
    np.testing.assert_allclose(solution.final["out"].v[0], exact, rtol=2e-3)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"shape": "fast_sigmod"}, "shape='fast_sigmod'; expected one of .*'fast_sigmoid'"),
        ({"decoding": "first"}, "decoding='first'; expected one of .*'train'"),
        ({"step": 0.0}, "step=0.0; expected a positive number"),
        ({"slope": -1.0}, "slope=-1.0; expected a positive number"),
        ({"max_spikes": 0}, "max_spikes=0; expected an integer >= 1"),
    ],
)
def test_settings_out_of_range_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        Surrogate(**settings)


def test_a_step_longer_than_the_trial_is_refused():
    network = st.feedforward([2, 1], LIF(), key=jax.random.key(0))
    with pytest.raises(ValueError, match="step=5.0 and t1=2.0; expected a step of at most t1"):
        Surrogate(step=5.0).solve(network, {"in": st.Spikes.empty(2)}, t1=2.0)


@pytest.mark.parametrize("name", ["surrogate/yinyang", "surrogate/digits"])
def test_a_recipe_is_the_network_of_the_exact_one(name):
    experiment = st.get_recipe(name)(hidden=7, step=4.0)
    assert experiment.method.step == 4.0 and experiment.model(jax.random.key(0)).network.size("hidden1") == 7
