"""Methods next to each other: gradients on the same weights, runs of their own, a table, CSV and a page."""

import contextlib
import csv
import io
import json
import re

import numpy as np
import pytest

import saltation as st
from saltation_train import Recipe, compare
from saltation_train._agreement import Probe, agreement
from saltation_train._cli import main
from saltation_train._prepare import prepare, with_method

SMALL = ["toy/blobs", "--hidden", "4", "--epochs", "2", "--quiet"]


@pytest.fixture(scope="module")
def task():
    return prepare(Recipe("toy/blobs", {"hidden": 4}).build(), seed=0)


def test_a_gradient_agrees_with_itself_and_with_half_of_itself(task):
    probes = {"toy": Probe(task), "halved": Probe(with_method(task, st.get_method("halved")()))}
    found = agreement(probes, task.parameters, batches=2)
    assert found.methods == ("toy", "halved") and found.samples == 64
    assert found.arrays == ("weight in -> hidden1", "weight hidden1 -> out")
    np.testing.assert_allclose(np.diagonal(found.cosine), 1.0, rtol=1e-12)
    # The derivative of its hidden spikes is half of the right one: another length for one array, and so another
    # direction of both together.
    np.testing.assert_allclose(found.cosine_of[:, 0, 1], 1.0, rtol=1e-9)
    np.testing.assert_allclose(found.norm_of[:, 1] / found.norm_of[:, 0], [0.25, 0.5], rtol=1e-9)
    assert 0.9 < found.cosine[0, 1] < 1.0


def test_samples_that_one_method_cannot_solve_count_for_none():
    task = prepare(Recipe("toy/blobs", {"hidden": 4, "failing": 0.2}).build(), seed=0)
    found = agreement({"a": Probe(task), "b": Probe(task)}, task.parameters, batches=2)
    assert 0 < found.samples < 64 and np.isfinite(found.norm).all()


@pytest.fixture(scope="module")
def compared(tmp_path_factory):
    """A whole comparison by the command, in which one method cannot be."""
    out = tmp_path_factory.mktemp("compare") / "found"
    with contextlib.redirect_stdout(io.StringIO()) as shown:
        assert main(["compare", *SMALL, "--methods", "toy", "halved", "picky", "spikeless", "--out", str(out)]) == 0
    return out, shown.getvalue()


def test_the_table_has_a_row_for_each_method_or_the_reason(compared):
    _, shown = compared
    head, toy, halved, picky, spikeless, page = shown.splitlines()
    assert head.split()[:3] == ["method", "test", "accuracy"]
    assert re.match(r"toy +\d+\.\d\d% .* 1\.000 +1\.000", toy) and halved.startswith("halved ")
    assert "picky: no result: Picky cannot solve this network: nothing is good enough; wrap it in silk." in picky
    assert spikeless.startswith("spikeless: no result:") and "provides only ['rates']" in spikeless
    assert page.endswith("compare.html")


def test_every_method_has_a_run_of_its_own(compared):
    out, _ = compared
    assert json.loads((out / "toy" / "summary.json").read_text())["epochs"] == 2
    assert json.loads((out / "halved" / "config.json").read_text())["method"] == "halved"
    assert not (out / "picky").exists()


def test_csv_and_json_say_the_same(compared):
    out, _ = compared
    rows = {row["method"]: row for row in csv.DictReader((out / "compare.csv").read_text().splitlines())}
    whole = json.loads((out / "compare.json").read_text())
    assert list(rows) == [found["method"] for found in whole["contestants"]] == ["toy", "halved", "picky", "spikeless"]
    assert float(rows["halved"]["cosine_start"]) == whole["agreements"]["start"]["cosine"][0][1]
    assert int(rows["toy"]["step_memory_bytes"]) > 0 and float(rows["toy"]["compile_seconds"]) > 0
    curves = list(csv.DictReader((out / "curves.csv").read_text().splitlines()))
    assert [(row["method"], row["epoch"]) for row in curves] == [
        (name, epoch) for name in ("toy", "halved") for epoch in "12"
    ]
    assert float(curves[1]["seconds"]) > float(curves[0]["seconds"]) > 0


def test_the_page_needs_nothing_else(compared):
    out, _ = compared
    text = (out / "compare.html").read_text()
    references = re.findall(r"""(?:src|href|url)\s*[=(]\s*["']?([^"')\s>]+)""", text)
    assert len(references) == 3 and all(r.startswith("data:image/svg+xml;base64,") for r in references)
    assert "http" not in text and "<script" not in text and "wrap it in silk" in text
    assert {path.name for path in (out / "figures").glob("*.png")} == {
        "learning.png",
        "agreement-of-gradients.png",
        "cost.png",
    }


def test_a_comparison_is_not_overwritten_and_resumes_without_training_again(compared, capsys):
    out, shown = compared
    arguments = ["compare", *SMALL, "--methods", "toy", "halved", "picky", "spikeless", "--out", str(out)]
    assert main(arguments) == 2
    assert "holds a comparison already" in capsys.readouterr().err
    before = (out / "toy" / "summary.json").stat().st_mtime_ns
    assert main([*arguments, "--resume"]) == 0
    assert capsys.readouterr().out == shown
    assert (out / "toy" / "summary.json").stat().st_mtime_ns == before


ERRORS = {
    "one method": (["--methods", "toy"], "expected two or more, each once"),
    "a method twice": (["--methods", "toy", "toy"], "expected two or more, each once"),
    "unknown method": (["--methods", "toy", "tooy"], "no method 'tooy'.*Did you mean 'toy'"),
    "unknown setting": (["--methods", "toy", "halved", "--method-option", "halved.scael=1"], "Did you mean 'scale'"),
    "setting of another": (["--methods", "toy", "halved", "--method-option", "ode.step=1"], "of those compared"),
    "setting of none": (["--methods", "toy", "halved", "--method-option", "step=1"], "expected METHOD.NAME=VALUE"),
}


@pytest.mark.parametrize("mistake", ERRORS)
def test_a_mistake_is_one_clear_message(tmp_path, capsys, monkeypatch, mistake):
    monkeypatch.chdir(tmp_path)
    arguments, message = ERRORS[mistake]
    assert main(["compare", "toy/blobs", *arguments]) == 2
    assert re.search(message, capsys.readouterr().err)
    assert list(tmp_path.iterdir()) == []


def test_a_method_that_fails_in_training_is_named_and_the_others_go_on(tmp_path):
    recipe = Recipe("toy/blobs", {"hidden": 4, "failing": 0.3}, epochs=1)
    found = compare(recipe, ["toy", "halved"], out=tmp_path / "c", progress=False)
    assert all("expected at most 5.0%" in contestant.reason for contestant in found.contestants)
    assert set(found.agreements) == {"start"}
