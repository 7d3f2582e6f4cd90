"""The recipes learn: some a little in every run, all of them and to what the documentation says in the slow ones."""

import json
import os

import numpy as np
import pytest

import saltation as st
from saltation_train import Recipe, train

# Recipe, shorter settings, and the test accuracy that they reach with some room to spare.
SHORT = {
    "ode/yinyang": ({"epochs": 8}, 0.8),
    "ode/yinyang-state": ({"epochs": 4}, 0.55),
    "ode/yinyang-qif": ({"epochs": 1, "hidden": 10, "batch_size": 25}, 0.65),
    "ode/dendritic-xor": ({"epochs": 20}, 1.0),
    "ode/digits": ({"epochs": 4, "hidden": 30, "learning_rate": 0.1}, 0.85),
    "equilibrium/digits": ({"epochs": 8}, 0.9),
}
# What these need beyond the others, other tests have as well: states and rates to read out, neurons and delays of
# another kind. To compile them takes half a minute and more each.
SLOW = ("ode/yinyang-state", "ode/yinyang-qif", "ode/dendritic-xor")
# Recipe, and the mean test accuracy of three seeds with its own settings.
FULL = {"ode/yinyang": 0.975, "ode/yinyang-qif": 0.98, "ode/digits": 0.96, "equilibrium/digits": 0.97}
SEEDS = (0, 1, 2)


@pytest.mark.parametrize("recipe", [pytest.param(n, marks=[pytest.mark.slow] * (n in SLOW)) for n in SHORT])
def test_a_recipe_learns(recipe, tmp_path):
    options, goal = SHORT[recipe]
    run = train(Recipe(recipe, options), seed=0, out=tmp_path / "run", progress=False, report=False)
    losses = [line["train_loss"] for line in run.metrics]
    assert run.summary["test_accuracy"] >= goal
    assert len(losses) == 1 or losses[-1] < losses[0]
    assert not any(line["failed"] for line in run.metrics), "some samples could not be solved"


@pytest.mark.slow
@pytest.mark.parametrize("recipe", FULL)
def test_a_recipe_reaches_its_figure(recipe, saltation, tmp_path):
    scores = [_trained(saltation, recipe, tmp_path / str(seed), "--seed", str(seed)) for seed in SEEDS]
    assert np.mean(scores) >= FULL[recipe], f"test accuracies: {scores}"


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_regression_fits_its_sine(seed, tmp_path):
    run = train(Recipe("ode/regression"), seed=seed, out=tmp_path / "run", progress=False, report=False)
    # The variance of the targets is 0.5.
    assert run.summary["test_loss"] <= 0.01
    assert not any(line["failed"] for line in run.metrics), "some samples could not be solved"


@pytest.mark.slow
def test_mnist_reaches_its_figure(saltation, tmp_path):
    try:
        st.get_dataset("mnist")()
    except st.DataError as error:
        pytest.skip(f"MNIST is not at hand: {error}")
    data = os.environ.get("SALTATION_DATA")
    assert _trained(saltation, "ode/mnist", tmp_path, *(("--data-dir", data) if data else ())) >= 0.97


def _trained(saltation, recipe, folder, *arguments):
    """The test accuracy of a run as a user starts it: compiled with care, which tests are not."""
    saltation("train", recipe, "--out", str(folder / "run"), *arguments, env={"XLA_FLAGS": ""})
    return json.loads((folder / "run" / "summary.json").read_text())["test_accuracy"]
