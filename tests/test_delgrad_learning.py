"""What DelGrad's recipes learn, and how long it takes: whole trainings, so all of it is slow."""

import dataclasses

import pytest

from saltation_delgrad import DelGrad
from saltation_train import Recipe, train

pytestmark = pytest.mark.slow


def _summary(tmp_path, name, seed, **settings):
    run = train(Recipe(f"delgrad/{name}", settings), seed=seed, out=tmp_path / f"{seed}", progress=False, report=False)
    return run.summary


# Floors, not means: those over seeds are in docs/delgrad.md.
@pytest.mark.parametrize(
    ("name", "hidden", "least"),
    [
        ("yinyang-w", 30, 0.965),
        ("yinyang-axonal", 30, 0.97),
        ("yinyang-dendritic", 30, 0.965),
        ("yinyang-synaptic", 30, 0.975),
        ("yinyang-synaptic", 5, 0.94),
    ],
)
def test_yinyang(tmp_path, name, hidden, least):
    summary = _summary(tmp_path, name, 0, hidden=hidden)
    assert summary["test_accuracy"] >= least
    assert not summary["test_failed"]


def test_digits(tmp_path):
    assert _summary(tmp_path, "digits", 0)["test_accuracy"] >= 0.93


def test_both_kernels_learn_the_same_at_first(tmp_path):
    """Rounding parts two trainings in the end, but not in the first epochs."""
    found = []
    for kernel in ("auto", "jax"):
        experiment = Recipe("delgrad/yinyang-axonal", {"epochs": 3}).build()
        experiment = dataclasses.replace(experiment, method=DelGrad(kernel=kernel))
        run = train(experiment, seed=0, out=tmp_path / kernel, progress=False, report=False)
        found.append(run.summary["test_loss"])
    assert found[0] == pytest.approx(found[1], rel=0.05)
