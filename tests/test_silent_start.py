"""Training comes alive: from a start at which every hidden neuron is silent for every sample."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import saltation as st
from saltation_train import train

# Recipe, shorter settings, by how much the weights into hidden neurons are scaled, and the accuracy that is reached.
SHORT = {"ode/yinyang": ({"epochs": 8}, 0.1, 0.5)}
# Within a point of what the recipe reaches from its own start.
FULL = {"ode/digits": ({}, 0.15, 0.955), "ode/yinyang": ({}, 0.1, 0.965)}


def _silent_start(recipe: str, options: dict, scale: float) -> st.Experiment:
    experiment = st.get_recipe(recipe)(**options)

    def model(key):
        drawn = experiment.model(key)
        weight = lambda model: model.network.connections[0].synapse.weight  # noqa: E731
        return eqx.tree_at(weight, drawn, scale * weight(drawn))

    return dataclasses.replace(experiment, model=model)


def _hidden_spikes(experiment: st.Experiment, seed: int) -> int:
    inputs = st.get_dataset(experiment.dataset)().train.inputs[:100]
    network = experiment.model(jax.random.key(seed)).network

    @jax.jit
    @jax.vmap
    def spikes(x):
        stimulus = experiment.encoder(x, jax.random.key(0))
        return experiment.method.solve(network, stimulus, t1=experiment.t1, throw=False).spikes["hidden1"].count()

    return int(jnp.sum(spikes(jnp.asarray(inputs, jnp.float32))))


@pytest.mark.slow
@pytest.mark.parametrize("recipe", SHORT)
def test_a_network_of_silent_hidden_neurons_learns(recipe, tmp_path):
    options, scale, goal = SHORT[recipe]
    experiment = _silent_start(recipe, options, scale)
    assert _hidden_spikes(experiment, 0) == 0
    run = train(experiment, seed=0, out=tmp_path / "run", progress=False, report=False)
    assert run.summary["test_accuracy"] >= goal


@pytest.mark.slow
@pytest.mark.parametrize("recipe", FULL)
def test_it_reaches_what_it_reaches_from_another_start(recipe, tmp_path):
    options, scale, goal = FULL[recipe]
    scores = [
        train(
            _silent_start(recipe, options, scale), seed=seed, out=tmp_path / str(seed), progress=False, report=False
        ).summary["test_accuracy"]
        for seed in range(3)
    ]
    assert np.min(scores) >= goal, f"test accuracies: {scores}"
