"""A run that was interrupted goes on bit for bit, and nothing that was there is lost."""

import json
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest

import saltation as st
from saltation_train import Recipe, _progress, train
from saltation_train._engine import epoch_order
from saltation_train._prepare import prepare

TIMING = ("seconds", "samples_per_second")


def go(out: Path, *, epochs: int = 4, **options):
    arguments = {"noisy": True, "schedule": "exponential", "failing": 0.02}
    return train(Recipe("toy/blobs", arguments, epochs=epochs), out=out, progress=False, report=False, **options)


def state_of(folder: Path, name: str = "last") -> bytes:
    """The arrays of a checkpoint: all but its header, which holds times."""
    return (folder / "checkpoints" / f"{name}.eqx").read_bytes().partition(b"\n")[2]


def metrics_of(folder: Path) -> list[dict]:
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if key not in TIMING} for line in lines]


def interrupt_at(monkeypatch: pytest.MonkeyPatch, samples: int) -> None:
    """Ctrl-C as soon as so many samples were trained on."""
    shown = _progress.Progress.update

    def update(self, **numbers):
        shown(self, **numbers)
        if numbers["samples"] == samples:
            signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(_progress.Progress, "update", update)


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Path:
    """The run that no one interrupted."""
    return go(tmp_path_factory.mktemp("whole") / "run").folder


# An epoch has 6 batches of 32: within one, at the very end, at the end of one, within the first.
@pytest.mark.parametrize("samples", [256, 768, *(pytest.param(n, marks=pytest.mark.slow) for n in (384, 32))])
def test_a_resumed_run_equals_one_that_ran_through(tmp_path, monkeypatch, whole, samples):
    out = tmp_path / "run"
    with monkeypatch.context() as patched:
        interrupt_at(patched, samples)
        with pytest.raises(KeyboardInterrupt, match="saved in .*last.eqx"):
            # One batch a call, so that the interruption comes where it is meant to.
            go(out, chunk_seconds=0.0)
    assert not (out / "summary.json").exists()
    run = go(out, resume=True)
    assert state_of(out) == state_of(whole)
    assert state_of(out, "best") == state_of(whole, "best")
    assert metrics_of(out) == metrics_of(whole)
    assert run.summary["test_loss"] == json.loads((whole / "summary.json").read_text())["test_loss"]


def test_how_an_epoch_is_cut_into_calls_changes_nothing(tmp_path, whole):
    go(tmp_path / "run", chunk_seconds=0.0)
    assert state_of(tmp_path / "run") == state_of(whole)


def test_a_finished_run_can_be_made_longer(tmp_path, whole):
    go(tmp_path / "run", epochs=2)
    go(tmp_path / "run", epochs=4, resume=True)
    assert state_of(tmp_path / "run") == state_of(whole)
    assert metrics_of(tmp_path / "run") == metrics_of(whole)


def test_lines_after_the_checkpoint_are_forgotten(tmp_path, monkeypatch, whole):
    """As after a crash: metrics are written each epoch, checkpoints now and then."""
    out = tmp_path / "run"
    with monkeypatch.context() as patched:
        interrupt_at(patched, 400 // 32 * 32)
        with pytest.raises(KeyboardInterrupt):
            go(out, chunk_seconds=0.0)
    with (out / "metrics.jsonl").open("a") as file:
        file.write('{"epoch": 3, "train_loss": 7.0}\n{"epoch": 4, "train_lo')
    go(out, resume=True)
    assert metrics_of(out) == metrics_of(whole)


def test_ctrl_c_saves_says_how_to_go_on_and_exits_130(tmp_path, toy_environment):
    from saltation_toy_site import COMMAND

    out = tmp_path / "run"
    process = subprocess.Popen(
        [*COMMAND, "train", "toy/blobs", "--epochs", "1000000", "--out", str(out), "--no-report"],
        env=toy_environment,
        stderr=subprocess.PIPE,
        text=True,
    )
    metrics = out / "metrics.jsonl"
    deadline = time.monotonic() + 300
    while not (metrics.exists() and metrics.stat().st_size) and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, message = process.communicate(timeout=300)
    assert process.returncode == 130
    assert f"Go on with: saltation train toy/blobs --out {out} --resume" in message
    assert (out / "checkpoints" / "last.eqx").exists() and "Traceback" not in message


def test_a_folder_with_a_run_is_never_overwritten(tmp_path, whole):
    before = {path: path.read_bytes() for path in whole.rglob("*") if path.is_file()}
    with pytest.raises(st.CheckpointError, match="holds a run already.*--resume.*--out"):
        go(whole)
    assert {path: path.read_bytes() for path in whole.rglob("*") if path.is_file()} == before


def test_resuming_nothing_is_refused(tmp_path):
    with pytest.raises(st.CheckpointError, match="holds no run"):
        go(tmp_path / "nowhere", resume=True)


def test_resuming_another_configuration_names_what_differs(whole):
    with pytest.raises(st.CheckpointError, match=r"hidden=9 \(the run has 8\); seed=1 \(the run has 0\)"):
        train(
            Recipe(
                "toy/blobs",
                {"noisy": True, "schedule": "exponential", "failing": 0.02, "hidden": 9},
                epochs=4,
            ),
            seed=1,
            out=whole,
            resume=True,
        )


def test_resuming_for_fewer_epochs_is_refused(whole):
    with pytest.raises(st.CheckpointError, match="got epochs=2 .* has done 4 already"):
        go(whole, epochs=2, resume=True)


def test_a_new_order_in_each_epoch_leaves_out_other_samples():
    task = prepare(Recipe("toy/blobs").build(), seed=0)
    first, second = np.asarray(epoch_order(task, 0)), np.asarray(epoch_order(task, 1))
    assert first.shape == (6, 32) and len(np.unique(first)) == 192
    assert set(first.ravel()) != set(second.ravel())
    np.testing.assert_array_equal(first, epoch_order(task, 0))
