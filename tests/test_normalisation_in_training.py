"""Statistics of normalisations: a run keeps what solutions return of them, and scores by them."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import saltation as st
from saltation_train import train

BY_CHARGE = {"tau_syn": None, "reset_mode": "subtract"}


def _experiment(momentum: float) -> st.Experiment:
    """Digits by one small layer, normalised before and in its feedback."""

    def model(key):
        keys = jax.random.split(key, 3)
        neuron = st.get_neuron("if")((4, 4, 3), **BY_CHARGE)
        into = st.Conv2d(jax.random.normal(keys[0], (3, 3, 1, 3)), (8, 8, 1), stride=2)
        back = st.Conv2d(0.1 * jax.random.normal(keys[1], (3, 3, 3, 3)), (4, 4, 3))
        network = st.Network(
            {"in": (8, 8, 1)},
            {"hidden": neuron},
            [
                st.Connection("in", "hidden", st.Normalised(into, 3, gain=0.5, momentum=momentum)),
                st.Connection("hidden", "hidden", st.Normalised(back, 3, gain=0.1, momentum=momentum)),
            ],
            ["hidden"],
        )
        return st.Model(network, st.Linear(st.Rates("hidden"), 48, 10, key=keys[2]))

    return st.Experiment(
        name="normalised",
        dataset="digits",
        encoder=lambda x, key: {"in": st.constant_current(x)},
        model=model,
        method=st.get_method("equilibrium")(),
        loss=st.Loss(lambda solution, scores, label: st.rate_cross_entropy(scores, label), needs=("rates",)),
        save=st.Save(spikes=False, rates=True),
        trainable=("weight", "bias", "gain", "shift"),
        t1=5.0,
        # Were statistics trained, a weight decay of this size would be seen.
        optimiser=st.Optimiser("sgd", 0.05, weight_decay=0.1),
        batch_size=64,
        epochs=1,
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    out = tmp_path_factory.mktemp("run") / "normalised"
    return train(_experiment(0.5), seed=0, out=out, progress=False, report=False)


def test_statistics_follow_the_data(run):
    # With momentum 0.5, nothing is left of the start after 18 steps.
    network = run.model.network
    inputs = jnp.asarray(run.dataset.train.inputs.reshape(-1, 64))
    drive = np.asarray(jax.vmap(network.connections[0].synapse.inner.apply)(inputs)).reshape(-1, 3)
    statistics = network.connections[0].synapse.statistics
    np.testing.assert_allclose(statistics.mean, drive.mean(axis=0), atol=0.05 * drive.std())
    np.testing.assert_allclose(statistics.variance, drive.var(axis=0), rtol=0.1)
    assert not np.allclose(network.connections[1].synapse.statistics.mean, 0.0)


def test_statistics_are_no_parameters_but_are_kept(run):
    trained = 3 * 9 + 3 * 27 + 2 * (3 + 3) + 480 + 10
    assert run.summary["parameters"] == trained


def test_scores_go_by_the_statistics_that_were_kept(run):
    model, inputs = run.model, jnp.asarray(run.dataset.test.inputs[:20].reshape(-1, 64))
    assert all(connection.synapse.inference for connection in model.network.connections)

    def score(x):
        stimulus = {"in": st.Current(x)}
        solution = run.experiment.method.solve(model.network, stimulus, t1=5.0, save=run.experiment.save)
        return model.readout(solution)

    found = eqx.filter_jit(jax.vmap(score))(inputs)
    np.testing.assert_allclose(run.test.output[:20], found, rtol=1e-4, atol=1e-4)


def test_one_sample_has_no_statistics():
    experiment = dataclasses.replace(_experiment(0.9))
    network = experiment.model(jax.random.key(0)).network
    stimulus = {"in": st.Current(jnp.ones(64))}
    with pytest.raises(ValueError, match="got one sample; expected a batch.*inference_mode"):
        experiment.method.solve(network, stimulus, t1=5.0)
    evaluated = eqx.nn.inference_mode(network)
    assert experiment.method.solve(evaluated, stimulus, t1=5.0).updates == {}
