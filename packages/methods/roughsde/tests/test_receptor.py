"""The recipe on recorded spikes, with a sound and spikes that are made up."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import saltation as st
from saltation_roughsde import receptor
from saltation_roughsde._receptor import LEAD, TRAINED, hear, in_window, receptor_network

EXPERIMENT = receptor(trials=4, window=12.0, fade=3.0)
NETWORK = receptor_network(4)


@eqx.filter_jit
def value_and_slope(scale, sounds, keys, observed):
    """The mean score for weights of another scale, its derivative, and the samples in the window."""

    def value(scale):
        network = eqx.tree_at(lambda n: n.connections[0].synapse.weight, NETWORK, replace_fn=lambda w: scale * w)

        def one(x, key, target):
            solution = EXPERIMENT.method.solve(network, hear(x, key), t1=EXPERIMENT.t1, key=key, throw=False)
            samples = in_window(solution.spikes["out"].to_dense(5, throw=False))
            return EXPERIMENT.loss.function(solution, jnp.zeros(1), target), samples

        scores, samples = jax.vmap(one)(sounds, keys, observed)
        return jnp.mean(scores), samples

    return jax.value_and_grad(value, has_aux=True)(scale)


def sounds(key, number):
    return jnp.exp(-2.07 + 0.68 * jax.random.normal(key, (number, int(LEAD) + 12)))


def test_the_score_points_at_the_weights_of_the_data(getkey):
    x, scale, nothing = sounds(getkey(), 200), jnp.array(1.5), jnp.full((200, 1, 5), jnp.inf)
    (_, trains), _ = value_and_slope(scale, x, jax.random.split(getkey(), 200), nothing)
    observed, keys = trains[:, :1], jax.random.split(getkey(), 200)
    assert 0.3 < np.isfinite(observed).sum(-1).mean() < 3
    results = [value_and_slope(scale * s, x, keys, observed) for s in (0.2, 1.0, 3.0)]
    ((low, _), up), ((at, _), _), ((high, _), down) = results
    assert low > at and high > at
    assert up < 0 < down


def test_the_current_is_the_level_at_some_lags():
    silence = jnp.full(60, jnp.exp(-2.07))
    current = hear(silence.at[30].mul(jnp.e**0.68), jax.random.key(0))["in"]
    assert current.value.shape == (60, 10)
    np.testing.assert_allclose(current.value[:30], 0.0, atol=1e-6)
    # The first lags' bumps lie within the lead: each passes on all of a level.
    np.testing.assert_allclose(jnp.sum(current.value, axis=0)[:8], 1.0, atol=1e-3)
    # In the middle of a bin, as seen from the start of the one with the sound.
    peaks = np.argmax(np.asarray(current.value[:, :5]), axis=0) - 30 + 0.5
    np.testing.assert_allclose(peaks, [2.0, 3.0, 4.0, 5.0, 6.0], atol=0.51)
    np.testing.assert_array_equal(in_window(jnp.array([LEAD + 3.0, 1.0])), [3.0, jnp.inf])


def test_repetitions_share_what_is_trained():
    parameters = eqx.filter(NETWORK, st.trainable(NETWORK, *EXPERIMENT.trainable))
    assert sum(leaf.size for leaf in jax.tree.leaves(parameters)) == 10 + 1 + len(TRAINED)
    weight = st.resolved(NETWORK).connections[0].synapse.weight
    np.testing.assert_array_equal(weight, jnp.broadcast_to(weight[:, :1], (10, 4)))
    assert EXPERIMENT.method.supports(NETWORK)


@pytest.mark.slow
def test_learns_from_the_recording(tmp_path):
    from saltation_train import Recipe, train

    try:
        st.get_dataset("grasshopper")()
    except st.DataError:
        pytest.skip("the recording is not here; pip install nitime brings it")
    run = train(Recipe("roughsde/grasshopper", {"epochs": 40}), seed=0, out=tmp_path / "run", report=False)
    losses = [row["validation_loss"] for row in run.metrics]
    assert np.mean(losses[-5:]) < 0.9 * losses[0]
    assert (run.model.network.neurons["out"].neuron.sigma > 0).all()
