"""What a run leaves beside its scores: counts for an estimate of energy, TensorBoard files, references."""

import numpy as np
import pytest

import saltation as st
from saltation.plugins import DatasetSpec, MethodSpec
from saltation_train import Recipe, cite, train
from saltation_train._energy import energy_counts
from saltation_train._tensorboard import scalars


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    pytest.importorskip("tensorboardX")
    out = tmp_path_factory.mktemp("measured") / "run"
    return train(Recipe("toy/blobs", {"hidden": 4}, epochs=2), out=out, progress=False, report=False, tensorboard=True)


def test_spikes_and_synaptic_events_are_counted(run):
    found = run.summary["energy"]
    assert found == energy_counts(run)
    # Four features and a bias spike once each; every hidden neuron that spikes reaches three outputs.
    assert found["spikes"]["in"] == 5.0
    assert found["synaptic_events"]["in -> hidden1"] == 5.0 * 4
    hidden = sum(run.test.spike_count["hidden1"]) / len(run.test.target)
    assert found["spikes"]["hidden1"] == pytest.approx(hidden)
    assert found["synaptic_events"]["hidden1 -> out"] == pytest.approx(3 * hidden)
    for counts in found.values():
        assert counts["total"] == pytest.approx(sum(v for name, v in counts.items() if name != "total"))


def test_a_synapse_without_weight_is_no_event(run):
    import dataclasses

    import equinox as eqx

    weight = run.parameters.network.connections[0].synapse.weight
    where = lambda p: p.network.connections[0].synapse.weight  # noqa: E731
    pruned = eqx.tree_at(where, run.parameters, weight.at[0].set(0.0))
    found = energy_counts(dataclasses.replace(run, parameters=pruned))
    assert found["synaptic_events"]["in -> hidden1"] == 4.0 * 4


def test_tensorboard_has_the_numbers_of_the_metrics(run):
    (file,) = (run.folder / "tensorboard").iterdir()
    assert file.stat().st_size > 0
    tags = dict(scalars(run.metrics[-1]))
    assert tags["loss/train"] == run.metrics[-1]["train_loss"]
    assert tags["silent/hidden1"] == run.metrics[-1]["silent"]["hidden1"]
    assert all(np.isfinite(value) for value in tags.values())


def test_without_tensorboardx_the_fix_is_named(tmp_path, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(ValueError, match=r'pip install "saltation-train\[tensorboard\]"'):
        train(Recipe("toy/blobs", {"hidden": 4}, epochs=1), out=tmp_path / "r", progress=False, tensorboard=True)


def test_a_recipe_cites_saltation_its_method_and_its_data(monkeypatch):
    known = {
        "method": {"toy": MethodSpec("toy", "saltation_toy:Toy", "t", cite="@article{toy}")},
        "dataset": {"blobs": DatasetSpec("blobs", "saltation_toy:load_blobs", "b", source="A. Author, 2020")},
    }
    monkeypatch.setattr("saltation_train._cite.records", lambda kind: known[kind])
    found = cite(Recipe("toy/blobs"))
    assert found.startswith("@software{saltation,") and "version = {" in found
    assert "@article{toy}" in found and "note = {A. Author, 2020}" in found
    with pytest.raises(st.UnknownNameError):
        cite(Recipe("toy/blobz"))
