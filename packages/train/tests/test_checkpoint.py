"""Checkpoints are whole or refused, and a full disk loses nothing."""

import errno
import json
import os
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

import saltation as st
from saltation_train import Recipe, _files, evaluate, train
from saltation_train._checkpoint import Best, Position, load_checkpoint, save_checkpoint
from saltation_train._files import append_line, write_atomically

STATE = {"weight": jnp.arange(6.0).reshape(2, 3), "count": jnp.array(3)}
POSITION = Position(epoch=2, batch=5, seconds=1.5, best=Best(1, 0.9, 0.3))


@pytest.fixture
def checkpoint(tmp_path) -> Path:
    path = tmp_path / "checkpoints" / "last.eqx"
    save_checkpoint(path, STATE, POSITION, "abc")
    return path


def load(path, like=STATE, fingerprint="abc"):
    return load_checkpoint(path, like, fingerprint)


def test_what_is_saved_is_loaded(checkpoint):
    state, position = load(checkpoint)
    assert position == POSITION
    np.testing.assert_array_equal(state["weight"], STATE["weight"])
    assert [path.name for path in checkpoint.parent.iterdir()] == ["last.eqx"]


DAMAGES = {
    "truncated": (lambda content: content[:-10], "bytes after the header, expected"),
    "a flipped bit": (lambda content: content[:-1] + bytes([content[-1] ^ 1]), "SHA-256"),
    "no header": (lambda content: b"\x00\x01 nonsense", "its header cannot be read"),
    "empty": (lambda content: b"", "its header cannot be read"),
    "a header of something else": (lambda content: b'{"format": 1}\n', "its header cannot be read"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_damage_is_named_and_says_what_to_do(checkpoint, damage):
    change, message = DAMAGES[damage]
    checkpoint.write_bytes(change(checkpoint.read_bytes()))
    with pytest.raises(st.CheckpointError, match=f"last.eqx is damaged: .*{message}.*Fix: restore it from a copy"):
        load(checkpoint)


def test_damage_points_to_the_other_checkpoint(checkpoint):
    checkpoint.with_name("best.eqx").write_bytes(checkpoint.read_bytes())
    checkpoint.write_bytes(b"")
    with pytest.raises(st.CheckpointError, match="remove .*last.eqx and resume: the run then goes on from .*best.eqx"):
        load(checkpoint)


def test_another_run_s_checkpoint_is_refused(checkpoint):
    with pytest.raises(st.CheckpointError, match="another configuration: got fingerprint abc, expected xyz"):
        load(checkpoint, fingerprint="xyz")


def test_another_model_s_checkpoint_is_refused(checkpoint):
    with pytest.raises(st.CheckpointError, match="another model than its recipe builds now"):
        load(checkpoint, like={"weight": jnp.zeros((4, 4)), "count": jnp.array(0)})


def test_another_format_is_refused(checkpoint):
    line, _, payload = checkpoint.read_bytes().partition(b"\n")
    checkpoint.write_bytes(json.dumps({**json.loads(line), "format": 99}).encode() + b"\n" + payload)
    with pytest.raises(st.CheckpointError, match="got format 99; expected 1"):
        load(checkpoint)


def test_a_missing_checkpoint_is_named(tmp_path):
    with pytest.raises(st.CheckpointError, match="no readable checkpoint"):
        load(tmp_path / "last.eqx")


def full_disk(*_, **__):
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


# Where a full disk shows: when the bytes are flushed to it, or when the new name is entered.
@pytest.mark.parametrize("where", ["fsync", "replace"])
def test_a_full_disk_keeps_the_previous_checkpoint(checkpoint, monkeypatch, where):
    monkeypatch.setattr(_files.os, where, full_disk)
    with pytest.raises(
        st.CheckpointError, match="no space left on the device.*previous content is unchanged.*--resume"
    ):
        save_checkpoint(checkpoint, {"weight": jnp.zeros((2, 3)), "count": jnp.array(0)}, Position(), "abc")
    monkeypatch.undo()
    state, position = load(checkpoint)
    assert position == POSITION and state["weight"][1, 2] == 5.0
    assert [path.name for path in checkpoint.parent.iterdir()] == ["last.eqx"]


def test_a_folder_that_cannot_be_written_to_is_named(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(st.CheckpointError, match="while writing .*file/last.eqx.*make the folder writable"):
        write_atomically(tmp_path / "file" / "last.eqx", b"")
    with pytest.raises(st.CheckpointError, match="while writing"):
        append_line(tmp_path / "file" / "metrics.jsonl", "{}")


def test_a_run_whose_disk_fills_up_can_go_on(tmp_path, monkeypatch):
    """The disk is full at a later checkpoint: the run goes on from the one before, to the same end."""

    def go(out, **options):
        return train(Recipe("toy/blobs", epochs=3), out=out, progress=False, report=False, **options)

    whole = go(tmp_path / "whole")
    replace, calls = os.replace, []

    def sometimes(source, target):
        calls.append(target)
        if len(calls) > 3:
            full_disk()
        replace(source, target)

    with monkeypatch.context() as patched:
        patched.setattr(_files.os, "replace", sometimes)
        with pytest.raises(st.CheckpointError, match="no space left"):
            go(tmp_path / "run", checkpoint_seconds=0.0)
    resumed = go(tmp_path / "run", resume=True)
    assert resumed.summary["test_loss"] == whole.summary["test_loss"]


@pytest.mark.parametrize("damage", ["", "[]", '{"format": 1}', '{"format": 7}'])
def test_a_damaged_config_is_named(tmp_path, damage):
    (tmp_path / "config.json").write_text(damage)
    with pytest.raises(st.CheckpointError, match=r"config\.json (is damaged|got format 7)"):
        evaluate(tmp_path)


def test_best_is_by_accuracy_then_by_loss_and_by_loss_alone_without_classes():
    assert Best(2, 0.9, 1.0).beats(Best(1, 0.8, 0.1))
    assert Best(2, 0.9, 0.5).beats(Best(1, 0.9, 0.6)) and not Best(2, 0.9, 0.6).beats(Best(1, 0.9, 0.6))
    assert Best(2, None, 0.5).beats(Best(1, None, 0.6)) and Best(1, None, None).beats(None)
    assert Best(2, None, 0.5).beats(Best(1, None, None))
