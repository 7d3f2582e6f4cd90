"""The offline recipe of Equilibrium reaches the accuracy that its page names."""

import pytest
from saltation_train import Recipe, train


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_digits(tmp_path, seed):
    run = train(Recipe("equilibrium/digits"), seed=seed, out=tmp_path / "run", progress=False, report=False)
    assert run.summary["test_accuracy"] >= 0.97
    assert run.summary["test_failed"] == {}
