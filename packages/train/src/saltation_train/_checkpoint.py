"""Checkpoints: the state of a run in one file that is either whole or refused.

A line of JSON (format, where in the run, whose run, how long and which hash the rest has), then the arrays.
"""

import hashlib
import io
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import equinox as eqx
from jaxtyping import PyTree

from saltation import CheckpointError

from ._files import write_atomically

FORMAT = 1


@dataclass(frozen=True)
class Best:
    """The epoch with the best validation score."""

    epoch: int
    accuracy: float | None
    loss: float | None

    def beats(self, other: "Best | None") -> bool:
        """Whether this is the better one: by accuracy, then by loss; without classes by loss alone."""
        return other is None or self._rank() > other._rank()

    def _rank(self) -> tuple[float, float]:
        worst = float("-inf")
        return (
            self.accuracy if self.accuracy is not None else worst,
            -self.loss if self.loss is not None else worst,
        )


@dataclass(frozen=True)
class Position:
    """How far a run has come.

    - `epoch`, `batch`: completed epochs, and completed batches of the epoch after them.
    - `epoch_seconds`, `seconds`: time spent in training steps, in this epoch and altogether.
    - `compile_seconds`: spent on compiling, altogether.
    - `best`: the best validation score so far.
    """

    epoch: int = 0
    batch: int = 0
    epoch_seconds: float = 0.0
    seconds: float = 0.0
    compile_seconds: float = 0.0
    best: Best | None = None

    def after_batches(self, batch: int, seconds: float) -> "Position":
        """The position after more batches of this epoch."""
        return replace(
            self,
            batch=batch,
            epoch_seconds=self.epoch_seconds + seconds,
            seconds=self.seconds + seconds,
        )

    def after_epoch(self, best: Best | None) -> "Position":
        """The position at the start of the next epoch."""
        return replace(self, epoch=self.epoch + 1, batch=0, epoch_seconds=0.0, best=best)


def save_checkpoint(path: Path, state: PyTree, position: Position, fingerprint: str) -> None:
    """Writes a checkpoint in one step.

    **Raises:** `CheckpointError` if it cannot be written, for instance on a full disk; the previous one is
    kept.
    """
    buffer = io.BytesIO()
    eqx.tree_serialise_leaves(buffer, state)
    payload = buffer.getvalue()
    header = {
        "format": FORMAT,
        "position": asdict(position),
        "fingerprint": fingerprint,
        "bytes": len(payload),
        "sha256": hashlib.sha256(payload).hexdigest(),
    }
    write_atomically(path, json.dumps(header).encode() + b"\n" + payload)


def load_checkpoint(
    path: Path, like: PyTree, fingerprint: str, read: Callable[[Path], bytes] | None = None
) -> tuple[PyTree, Position]:
    """Reads a checkpoint.

    **Arguments:** `like` is a state of the same structure, `fingerprint` that of the run's configuration; `read`
    gives the bytes of a file that is elsewhere.

    **Raises:** `CheckpointError` for a file that is missing, damaged, or of another run.
    """
    header, position, payload = _parse(path, (read or read_file)(path))
    if header["fingerprint"] != fingerprint:
        raise CheckpointError(
            f"{path} belongs to another configuration: got fingerprint {header['fingerprint']}, expected "
            f"{fingerprint}. "
            f"Fix: restore the config.json that belongs to it, or {_other(path)}."
        )
    try:
        state = eqx.tree_deserialise_leaves(io.BytesIO(payload), like)
    except Exception as error:
        reason = " ".join(str(error).split())
        raise CheckpointError(
            f"{path} holds another model than its recipe builds now ({reason}); expected arrays of the same "
            "shapes and "
            "dtypes. Fix: use the versions that the run's config.json names, or train anew into another "
            "folder."
        ) from error
    return state, position


def load_position(path: Path) -> Position:
    """How far the run in a checkpoint has come.

    **Raises:** `CheckpointError` for a file that is missing or damaged.
    """
    return _parse(path, read_file(path))[1]


def read_file(path: Path) -> bytes:
    """The content of a checkpoint.

    **Raises:** `CheckpointError` if it cannot be read.
    """
    try:
        return path.read_bytes()
    except OSError as error:
        raise CheckpointError(
            f"got no readable checkpoint {path} ({error.strerror}); expected one that `saltation train` "
            "wrote. "
            f"Fix: {_other(path)}."
        ) from error


def _parse(path: Path, content: bytes) -> tuple[dict, Position, bytes]:
    line, _, payload = content.partition(b"\n")
    try:
        header = json.loads(line)
        expected = (header["format"], header["bytes"], header["sha256"], header["fingerprint"])
        best = header["position"]["best"]
        position = Position(**{**header["position"], "best": None if best is None else Best(**best)})
    except (ValueError, KeyError, TypeError) as error:
        raise _damaged(path, "its header cannot be read") from error
    if expected[0] != FORMAT:
        raise CheckpointError(
            f"{path} got format {expected[0]!r}; expected {FORMAT}, that of this version of saltation-train. "
            f"Fix: use the version that wrote it, or {_other(path)}."
        )
    if len(payload) != expected[1]:
        raise _damaged(path, f"got {len(payload)} bytes after the header, expected {expected[1]}")
    found = hashlib.sha256(payload).hexdigest()
    if found != expected[2]:
        raise _damaged(path, f"got content with SHA-256 {found[:12]}..., expected {expected[2][:12]}...")
    return header, position, payload


def _damaged(path: Path, what: str) -> CheckpointError:
    return CheckpointError(f"{path} is damaged: {what}. Nothing was changed. Fix: {_other(path)}.")


def _other(path: Path) -> str:
    if path.name == "last.eqx" and path.with_name("best.eqx").exists():
        return f"remove {path} and resume: the run then goes on from {path.with_name('best.eqx')}"
    if path.name == "best.eqx" and path.with_name("last.eqx").exists():
        return f"use {path.with_name('last.eqx')} instead (--checkpoint last)"
    return "restore it from a copy, or train anew into another folder"
