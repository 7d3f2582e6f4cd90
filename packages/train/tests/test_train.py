"""What a run leaves behind, and that it learns."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import saltation as st
from saltation_train import Recipe, evaluate, load_run, train


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run of a few epochs."""
    recipe = Recipe("toy/blobs", {"hidden": 12}, epochs=25)
    return train(recipe, seed=3, out=tmp_path_factory.mktemp("run") / "run", report=False)


def test_a_run_learns(finished):
    assert finished.summary["test_accuracy"] > 0.8
    assert finished.metrics[-1]["train_loss"] < 0.5 * finished.metrics[0]["train_loss"]


def test_a_run_leaves_all_its_files(finished):
    names = {path.relative_to(finished.folder).as_posix() for path in finished.folder.rglob("*") if path.is_file()}
    files = {"config.json", "metrics.jsonl", "summary.json"}
    assert files | {"checkpoints/last.eqx", "checkpoints/best.eqx"} <= names
    assert not [name for name in names if "/." in name or name.startswith(".")]


def test_summary_says_what_was_trained_and_how_well(finished):
    summary = json.loads((finished.folder / "summary.json").read_text())
    assert summary["recipe"] == "toy/blobs" and summary["method"] == "Toy" and summary["backend"] is None
    assert summary["dataset"] == "blobs" and summary["seed"] == 3 and summary["epochs"] == 25
    assert summary["parameters"] == 5 * 12 + 12 * 3
    for name in ("test_loss", "train_samples_per_second", "compile_seconds", "peak_memory_bytes"):
        assert summary[name] > 0
    assert {"python", "jax", "numpy", "optax", "saltation", "saltation-train"} <= set(summary["versions"])


def test_metrics_hold_one_line_for_each_epoch(finished):
    lines = [json.loads(line) for line in (finished.folder / "metrics.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in lines] == list(range(1, 26))
    assert lines == finished.metrics
    for line in lines:
        assert line["learning_rate"] == pytest.approx(0.05)
        assert 0.0 <= line["validation_accuracy"] <= 1.0 and line["validation_loss"] > 0.0
        assert line["silent"].keys() == {"hidden1", "out"} and line["min_slope"]["out"] > 0.0
        assert line["failed"] == {} and line["skipped_steps"] == 0


def test_config_rebuilds_the_experiment(finished):
    config = json.loads((finished.folder / "config.json").read_text())
    assert config["recipe"] == "toy/blobs" and config["seed"] == 3 and config["epochs"] == 25
    # Defaults too, so that another version's defaults change nothing.
    assert config["arguments"]["hidden"] == 12 and config["arguments"]["learning_rate"] == 0.05
    again = load_run(finished.folder)
    assert again.experiment.epochs == 25
    assert jax.tree.all(jax.tree.map(jnp.array_equal, again.parameters, finished.parameters))


def test_evaluation_of_the_folder_gives_the_summary_s_score(finished):
    found = evaluate(finished.folder)
    assert found["accuracy"] == finished.summary["test_accuracy"]
    assert found["loss"] == finished.summary["test_loss"]
    assert found["samples"] == 90 and found["checkpoint"] == "best" and found["failed"] == {}
    assert found["epoch"] == finished.summary["best_epoch"]
    assert evaluate(finished.folder, checkpoint="last")["epoch"] == 25


def test_best_checkpoint_is_that_of_the_best_validation_epoch(finished):
    best = max(finished.metrics, key=lambda line: (line["validation_accuracy"], -line["validation_loss"]))
    found = evaluate(finished.folder, split="validation")
    assert finished.summary["best_epoch"] == best["epoch"]
    assert found["accuracy"] == best["validation_accuracy"]
    assert found["loss"] == pytest.approx(best["validation_loss"], rel=1e-12)


def test_evaluation_counts_every_sample_once(finished):
    """90 samples in batches of 32: the last batch is filled up, and what fills it is not counted."""
    whole = finished.score_split("test")
    alone = [finished.score(finished.dataset.test.inputs[i : i + 1]) for i in (0, 31, 32, 89)]
    assert len(whole.target) == len(whole.prediction) == 90
    np.testing.assert_array_equal(whole.prediction[[0, 31, 32, 89]], [one.prediction[0] for one in alone])
    assert whole.accuracy == np.mean(whole.prediction == finished.dataset.test.targets)
    assert whole.confusion.sum() == 90


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"split": "tset"}, "expected 'test', 'validation' or 'train'"),
        ({"checkpoint": "worst"}, "'best' or 'last'"),
    ],
)
def test_evaluation_refuses_what_does_not_exist(finished, arguments, message):
    with pytest.raises(ValueError, match=message):
        evaluate(finished.folder, **arguments)


@pytest.fixture(scope="module")
def without_recipe(tmp_path_factory):
    """An experiment of one epoch, and its run with the seed 0."""
    experiment = st.get_recipe("toy/blobs")(epochs=1)
    return experiment, train(experiment, out=tmp_path_factory.mktemp("run") / "run", progress=False, report=False)


def test_an_experiment_without_a_recipe_is_trained_and_needed_again(without_recipe):
    experiment, run = without_recipe
    assert run.config["recipe"] is None and run.summary["recipe"] == "toy/blobs"
    with pytest.raises(ValueError, match="pass the same one again, experiment="):
        evaluate(run.folder)
    assert evaluate(run.folder, experiment=experiment)["accuracy"] == run.summary["test_accuracy"]


def test_a_data_set_without_classes_has_a_loss_and_no_accuracy(tmp_path):
    run = train(Recipe("toy/blobs", {"loss": "regression"}, epochs=2), out=tmp_path / "run", progress=False)
    assert run.summary["test_accuracy"] is None and run.summary["test_loss"] > 0.0
    assert run.metrics[-1]["train_accuracy"] is None and run.metrics[-1]["validation_loss"] > 0.0
    assert (run.folder / "report.html").exists()


def test_a_loss_over_the_batch_equals_its_mean_over_samples(tmp_path):
    runs = [
        train(Recipe("toy/blobs", {"loss": loss}, epochs=2), out=tmp_path / loss, progress=False, report=False)
        for loss in ("sample", "batch")
    ]
    first, second = (jax.tree.leaves(run.parameters) for run in runs)
    for one, other in zip(first, second, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-9)


def test_seeds_give_different_runs(without_recipe, tmp_path):
    _, run = without_recipe
    other = train(Recipe("toy/blobs", epochs=1), seed=1, out=tmp_path / "run", progress=False, report=False)
    assert run.summary["seed"] == 0 and other.summary["seed"] == 1
    assert run.metrics[0]["train_loss"] != other.metrics[0]["train_loss"]


def test_float64_needs_jax_to_allow_it(tmp_path):
    with jax.enable_x64(False), pytest.raises(ValueError, match="jax_enable_x64"):
        train(Recipe("toy/blobs"), out=tmp_path / "run")


def test_float32_is_trained_in_float32(tmp_path):
    with jax.enable_x64(False):
        run = train(
            Recipe("toy/blobs", {"dtype": "float32"}, epochs=1),
            out=tmp_path / "r",
            progress=False,
            report=False,
        )
    assert {leaf.dtype.name for leaf in jax.tree.leaves(run.parameters)} == {"float32"}
    assert run.dataset.train.inputs.dtype == np.float32


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"batch_size": 500}, "batch_size=500 with 200 training samples.*lower the batch size"),
        ({"batch_size": 0}, "batch_size=0; expected at least 1"),
        ({"dtype": "float16"}, "'float32' or 'float64'"),
        ({"optimiser": "adm"}, "Did you mean 'adam'"),
        ({"hiden": 5}, "got 'hiden'; expected one of hidden.*Did you mean 'hidden'"),
    ],
)
def test_static_mistakes_are_named_and_leave_nothing(tmp_path, arguments, message):
    with pytest.raises(ValueError, match=message):
        train(Recipe("toy/blobs", arguments), out=tmp_path / "run", progress=False)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("method", "message"),
    [
        ("spikeless", r"needs a gradient of \['spikes'\], but Spikeless provides only \['rates'\]"),
        ("picky", "Picky cannot solve this network: nothing is good enough; wrap it in silk"),
    ],
)
def test_a_method_that_does_not_fit_is_refused_with_its_reason(tmp_path, method, message):
    with pytest.raises(st.UnsupportedError, match=message):
        train(Recipe("toy/blobs", method=method), out=tmp_path / "run", progress=False)


def test_a_backend_needs_a_method_that_can_replay(tmp_path):
    with pytest.raises(st.UnsupportedError, match="has no gradient at spikes that a backend reports"):
        train(Recipe("toy/blobs", backend="some-chip"), out=tmp_path / "run", progress=False)
