"""A search finds, goes on, shares its database, and says what is wrong with it."""

import re
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

import saltation as st
from saltation_train import Range, Recipe, sweep
from saltation_train._cli import main
from saltation_train._sweep_command import search_space

pytest.importorskip("optuna")

SMALL = Recipe("toy/blobs", {"hidden": 3, "epochs": 1})


@pytest.fixture
def trained(monkeypatch):
    """Runs that need no time: the summary of a recipe whose score is its learning rate."""
    made = []

    def train_apart(recipe, *, out, **settings):
        made.append((recipe, out, settings))
        rate = recipe.arguments["learning_rate"]
        if rate > 0.5:
            return "the loss is not finite"
        Path(out).mkdir(parents=True)
        (Path(out) / "summary.json").write_text(f'{{"validation_accuracy": {rate}}}')
        return ""

    monkeypatch.setattr("saltation_train._sweep.train_apart", train_apart)
    return made


def test_it_finds_the_best_and_goes_on(trained, tmp_path):
    search = {"learning_rate": Range(0.001, 0.4, log=True), "hidden": Range(2, 5), "optimiser": ("adam", "sgd")}
    found = sweep(SMALL, search, trials=4, out=tmp_path, progress=False)
    assert found.trials == len(trained) == 4 and found.metric == "validation_accuracy"
    rates = [recipe.arguments["learning_rate"] for recipe, _, _ in trained]
    assert found.score == max(rates) == found.best["learning_rate"]
    assert found.folder == tmp_path / f"trial-{found.number:04d}"
    assert all(recipe.arguments["hidden"] in range(2, 6) for recipe, _, _ in trained)
    with pytest.raises(st.CheckpointError, match="is in sqlite:.* already.*--resume"):
        sweep(SMALL, search, trials=6, out=tmp_path, progress=False)
    assert sweep(SMALL, search, trials=6, out=tmp_path, resume=True, progress=False).trials == len(trained) == 6


def test_a_trial_that_fails_is_counted_and_the_search_goes_on(trained, tmp_path):
    found = sweep(SMALL, {"learning_rate": Range(0.3, 0.7)}, trials=3, out=tmp_path, progress=False)
    assert found.trials == 3 and found.failed == len(trained) - 3
    with pytest.raises(st.SolveError, match="first 5 trials failed, the last one since the loss is not finite"):
        sweep(SMALL, {"learning_rate": Range(0.6, 0.7)}, trials=3, out=tmp_path / "b", progress=False)


def test_what_ctrl_c_stops_is_tried_first_when_it_goes_on(trained, tmp_path, monkeypatch):
    from saltation_train import _sweep

    stand_in = _sweep.train_apart

    def interrupted(recipe, **settings):
        asked.append(recipe.arguments["learning_rate"])
        raise KeyboardInterrupt

    asked: list[float] = []
    monkeypatch.setattr(_sweep, "train_apart", interrupted)
    with pytest.raises(KeyboardInterrupt):
        sweep(SMALL, {"learning_rate": Range(0.1, 0.4)}, trials=1, out=tmp_path, progress=False)
    monkeypatch.setattr(_sweep, "train_apart", stand_in)
    found = sweep(SMALL, {"learning_rate": Range(0.1, 0.4)}, trials=1, out=tmp_path, resume=True, progress=False)
    assert asked == [found.best["learning_rate"]]


def test_a_database_that_is_gone_locked_or_damaged_is_a_clear_error(trained, tmp_path):
    search = {"learning_rate": Range(0.1, 0.4)}
    with pytest.raises(st.CheckpointError, match="got no database at .*sweep.db.*restore it"):
        sweep(SMALL, search, trials=1, out=tmp_path, resume=True, progress=False)
    sweep(SMALL, search, trials=1, out=tmp_path, progress=False)
    with sqlite3.connect(tmp_path / "sweep.db") as held:
        held.execute("BEGIN EXCLUSIVE")
        with pytest.raises(st.CheckpointError, match="is locked by another process"):
            url = f"sqlite:///{tmp_path / 'sweep.db'}?timeout=0.1"
            sweep(SMALL, search, trials=2, out=tmp_path, storage=url, resume=True, progress=False)
        held.rollback()
    (tmp_path / "sweep.db").write_bytes(b"no database" * 1000)
    with pytest.raises(st.CheckpointError, match="cannot be used .*not a database"):
        sweep(SMALL, search, trials=2, out=tmp_path, resume=True, progress=False)
    assert (tmp_path / "trial-0000" / "summary.json").exists()


# One more worker, whose runs need no time: it prints which ones it did.
WORKER = """
import sys
from pathlib import Path
from saltation_train import Range, Recipe, _sweep

def train_apart(recipe, *, out, **settings):
    out.mkdir(parents=True)
    (out / "summary.json").write_text(f'{{"validation_accuracy": {recipe.arguments["learning_rate"]}}}')
    print(out.name)
    return ""

_sweep.train_apart = train_apart
recipe, search = Recipe("toy/blobs", {"hidden": 3, "epochs": 1}), {"learning_rate": Range(0.1, 0.4)}
_sweep.sweep(recipe, search, trials=12, out=Path(sys.argv[1]), resume=True, progress=False)
"""


def test_workers_share_a_study_and_no_trial_is_lost_or_done_twice(trained, tmp_path, toy_environment):
    sweep(SMALL, {"learning_rate": Range(0.1, 0.4)}, trials=1, out=tmp_path, progress=False)
    command = [sys.executable, "-c", WORKER, str(tmp_path)]
    workers = [
        subprocess.Popen(command, env=toy_environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    said = [worker.communicate() for worker in workers]
    assert [worker.returncode for worker in workers] == [0, 0], said
    done = ["trial-0000", *(name for out, _ in said for name in out.split())]
    # The last of each worker may come when the other has just finished the last that was asked for.
    assert 12 <= len(done) <= 13
    assert sorted(done) == [f"trial-{number:04d}" for number in range(len(done))]
    with sqlite3.connect(tmp_path / "sweep.db") as database:
        states = database.execute("SELECT number, state FROM trials ORDER BY number").fetchall()
    assert states == [(number, "COMPLETE") for number in range(len(done))]


def test_the_words_of_the_command_line():
    given = ["learning-rate=0.001:0.1:log", "hidden=10:100", "shape=a,b"]
    assert search_space(given) == {
        "learning_rate": Range(0.001, 0.1, log=True),
        "hidden": Range(10, 100),
        "shape": ("a", "b"),
    }


ERRORS = {
    "no such argument": (["--search", "hiden=2:5"], "got 'hiden'.*Did you mean 'hidden'"),
    "no range": (["--search", "hidden"], "expected NAME=LOW:HIGH"),
    "no numbers": (["--search", "hidden=a:b"], "expected two numbers"),
    "backwards": (["--search", "hidden=5:2"], "expected low < high"),
    "one choice": (["--search", "hidden=5"], "expected a range, or two choices"),
    "no trials": (["--search", "hidden=2:5", "--trials", "0"], "expected at least 1"),
    "another scheme": (["--search", "hidden=2:5", "--storage", "nosuchdb://x"], "cannot be used"),
}


@pytest.mark.parametrize("mistake", ERRORS)
def test_a_mistake_is_one_clear_message(mistake, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    arguments, message = ERRORS[mistake]
    assert main(["sweep", "toy/blobs", *arguments]) == 2
    assert re.search(message, capsys.readouterr().err)


def test_one_whole_search_on_the_command_line(command, tmp_path):
    options = ["--search", "learning_rate=0.01:0.1:log", "--trials", "1", "--quiet", "--epochs", "1", "--hidden", "3"]
    done = command("sweep", "toy/blobs", *options, "--out", str(tmp_path / "s"))
    assert done.returncode == 0, done.stderr
    assert re.match(r"1 trials, 0 failed; best validation accuracy 0\.\d+ with learning_rate=0\.0", done.stdout)
    assert (tmp_path / "s" / "trial-0000" / "summary.json").exists()
