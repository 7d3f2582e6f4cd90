"""A remedy takes the place of a step when it is called for, and is a part of the run like any other."""

import dataclasses

import jax
import numpy as np
import pytest

from saltation_train import Recipe, train
from saltation_train._devices import one_device
from saltation_train._engine import initial_state
from saltation_train._prepare import prepare
from saltation_train._step import train_step
from saltation_train._tally import example_batch

# Weights at which most hidden units of the toy are silent, and with which the remedy has work for some steps.
ARGUMENTS = {"remedy": 0.4, "scales": (60.0, 1.0)}


def weights_of(parameters):
    return [np.asarray(leaf) for leaf in jax.tree.leaves(parameters)]


def one_step(arguments):
    task = prepare(Recipe("toy/blobs", arguments).build(), seed=0)
    state, optimiser, _ = initial_state(task)
    step = one_device().each(lambda state, *batch: train_step(task, optimiser, state, task.frozen, *batch))
    return state, jax.jit(step)(state, *example_batch(task))


def test_a_remedy_that_acts_takes_the_place_of_the_step():
    before, after = one_step(ARGUMENTS | {"remedy": 0.0})
    for old, new in zip(weights_of(before.parameters), weights_of(after.parameters), strict=True):
        np.testing.assert_allclose(new, old + 0.125)
    assert after.remedy == 0.25 and int(after.tally.remedied) == 1 and int(after.tally.skipped) == 0
    same = jax.tree.map(np.array_equal, after.optimiser, before.optimiser)
    assert all(jax.tree.leaves(same))


def test_a_remedy_that_does_not_act_changes_nothing():
    _, with_remedy = one_step(ARGUMENTS | {"remedy": 1.0})
    _, without = one_step(ARGUMENTS | {"remedy": None})
    for one, other in zip(weights_of(with_remedy.parameters), weights_of(without.parameters), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12)
    assert with_remedy.remedy == 0.125 and without.remedy is None
    assert int(with_remedy.tally.remedied) == 0


def test_the_memory_of_a_remedy_survives_an_interruption(tmp_path):
    def go(name, epochs, **options):
        recipe = Recipe("toy/blobs", ARGUMENTS, epochs=epochs)
        return train(recipe, out=tmp_path / name, progress=False, report=False, **options)

    whole = go("whole", 3)
    go("parts", 1)
    parts = go("parts", 3, resume=True)
    assert sum(line["remedied_steps"] for line in whole.metrics) > 0
    assert [line["remedied_steps"] for line in parts.metrics] == [line["remedied_steps"] for line in whole.metrics]
    files = [run.folder / "checkpoints" / "last.eqx" for run in (whole, parts)]
    one, other = (file.read_bytes().partition(b"\n")[2] for file in files)
    assert one == other


def test_an_experiment_takes_remedies_only():
    # A type checker, where one is installed, comes first.
    with pytest.raises((ValueError, TypeError), match="AbstractRemedy"):
        dataclasses.replace(Recipe("toy/blobs").build(), remedy=lambda network: network)
