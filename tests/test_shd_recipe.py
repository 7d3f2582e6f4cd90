"""The recipes of the Spiking Heidelberg Digits, on a small file in the published format, and of generated bursts."""

from pathlib import Path

import numpy as np
import pytest

import saltation as st
from saltation_train import Recipe, train

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.fixture
def folder(tmp_path):
    """Two words: a sweep up or down through the 700 units within 30 ms."""
    h5py = pytest.importorskip("h5py")
    random = np.random.default_rng(0)
    for name, number in (("train", 12), ("test", 4)):
        labels = np.arange(number) % 2
        with h5py.File(tmp_path / f"shd_{name}.h5", "w") as file:
            times = file.create_dataset("spikes/times", (number,), dtype=h5py.vlen_dtype(np.float16))
            units = file.create_dataset("spikes/units", (number,), dtype=h5py.vlen_dtype(np.uint16))
            for row, label in enumerate(labels):
                time = np.sort(random.uniform(0.0, 0.03, 20 + row % 3)).astype(np.float16)
                place = time.astype(float) / 0.031 * 700
                times[row], units[row] = time, (place if label else 699 - place).astype(np.uint16)
            file["labels"] = labels.astype(np.uint16)
    return tmp_path


def test_it_trains_on_events_of_a_file(folder, tmp_path):
    options = {
        "hidden": 6,
        "epochs": 1,
        "batch_size": 3,
        "t1": 40.0,
        "max_spikes": 4,
        "train_size": 10,
        "test_size": 4,
        "validation_size": 4,
    }
    run = train(Recipe("ode/shd", options), seed=0, out=tmp_path / "run", data_dir=folder, progress=False, report=False)
    assert run.test.output.shape == (4, 20) and np.isfinite(run.test.output).all()
    assert not run.test.failed and not run.metrics[0]["failed"]
    # Delays are trained as well.
    assert run.summary["parameters"] == 700 * 6 + 6 * 20 + 6 * 6 + 700 + 6


@pytest.mark.slow
def test_it_trains_on_bursts(tmp_path):
    sizes = {"train_size": 12, "test_size": 4, "validation_size": 4, "events": 1500}
    options = sizes | {"hidden": 6, "epochs": 2, "batch_size": 6, "t1": 40.0, "max_spikes": 12}
    run = train(Recipe("ode/shd-like", options), seed=0, out=tmp_path / "run", progress=False, report=False)
    assert run.test.output.shape == (4, 20) and not any(line["failed"] for line in run.metrics)
    assert run.metrics[-1]["train_loss"] < run.metrics[0]["train_loss"]


@pytest.mark.slow
def test_it_learns_what_counts_do_not_tell(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    from _counts import count_accuracy

    sizes = {"train_size": 832, "test_size": 200, "validation_size": 32}
    run = train(
        Recipe("ode/shd-like", sizes | {"epochs": 2}), seed=0, out=tmp_path / "run", progress=False, report=False
    )
    assert run.summary["test_accuracy"] >= count_accuracy(st.get_dataset("shd_like")(**sizes)) + 0.2
