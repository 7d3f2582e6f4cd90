"""Training comes alive: from a start at which every hidden neuron is silent for every sample."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import saltation as st
from saltation_train import train

# Recipe, shorter settings, by how much the sum of the weights into each hidden neuron is lowered, and the accuracy that
# is reached. Lowered and not scaled down: neurons that all begin with next to nothing come alive alike, and stay so.
SHORT = {"ode/yinyang": ({"epochs": 60}, 40.0, 0.75)}
# The mean of three seeds: a point and a half below what the recipe reaches from its own start.
FULL = {"ode/yinyang": ({}, 40.0, 0.96)}


def _silent_start(recipe: str, options: dict, lowered: float) -> st.Experiment:
    experiment = st.get_recipe(recipe)(**options)

    def model(key):
        drawn = experiment.model(key)
        weight = lambda model: model.network.connections[0].synapse.weight  # noqa: E731
        return eqx.tree_at(weight, drawn, weight(drawn) - lowered / weight(drawn).shape[0])

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
    options, lowered, goal = SHORT[recipe]
    experiment = _silent_start(recipe, options, lowered)
    assert _hidden_spikes(experiment, 0) == 0
    run = train(experiment, seed=0, out=tmp_path / "run", progress=False, report=False)
    assert run.summary["test_accuracy"] >= goal


@pytest.mark.slow
@pytest.mark.parametrize("recipe", FULL)
def test_a_silent_start_costs_little_in_the_end(recipe, tmp_path):
    options, lowered, goal = FULL[recipe]
    assert all(_hidden_spikes(_silent_start(recipe, options, lowered), seed) == 0 for seed in range(3))
    scores = [
        train(
            _silent_start(recipe, options, lowered), seed=seed, out=tmp_path / str(seed), progress=False, report=False
        ).summary["test_accuracy"]
        for seed in range(3)
    ]
    assert np.mean(scores) >= goal, f"test accuracies: {scores}"
