"""`metrics.jsonl`: one line of JSON for each epoch."""

import json
import math
from pathlib import Path
from typing import Any

import jax
import numpy as np

from ._files import append_line, write_atomically
from ._score import Scores, count_failed
from ._tally import Tally


def epoch_metrics(
    tally: Tally,
    validation: Scores | None,
    *,
    epoch: int,
    learning_rate: float,
    seconds: float,
    classes: bool,
) -> dict[str, Any]:
    """The line of one epoch.

    **Arguments:** `epoch` counts from 1; `seconds` is the time in training steps; `classes` whether accuracy
    has a meaning for this data set.
    """
    seen, counted = int(tally.seen), int(tally.counted)
    spikes = {name: np.asarray(count) for name, count in tally.spikes.items()}
    return {
        "epoch": epoch,
        "learning_rate": learning_rate,
        "train_loss": number(tally.loss / counted) if counted else None,
        # Failed samples count as wrong, here as in evaluation.
        "train_accuracy": int(tally.correct) / seen if classes and seen else None,
        "validation_loss": number(validation.mean_loss) if validation else None,
        "validation_accuracy": validation.accuracy if validation else None,
        "seconds": seconds,
        "samples_per_second": seen / seconds if seconds else None,
        "failed": count_failed(np.asarray(tally.codes)),
        "failed_validation": validation.failed if validation else {},
        "skipped_steps": int(tally.skipped),
        "remedied_steps": int(tally.remedied),
        "silent": {name: float(np.mean(count == 0)) for name, count in spikes.items()},
        "spikes": {name: float(np.mean(count)) / max(counted, 1) for name, count in spikes.items()},
        "flat": {name: int(count) / max(counted, 1) for name, count in tally.flat.items()},
        "health": {name: float(count) / max(seen, 1) for name, count in tally.health.items()},
        "min_slope": {name: number(slope) for name, slope in tally.min_slope.items()},
    }


def number(value: Any) -> float | None:
    """A float that JSON can hold: `None` for what is not finite."""
    return None if value is None or not math.isfinite(float(value)) else float(value)


def append_metrics(path: Path, line: dict[str, Any]) -> None:
    """Appends the line of one epoch."""
    append_line(path, json.dumps(line))


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """All whole lines; one that a crash cut off is left out."""
    lines = []
    if path.exists():
        for text in path.read_text(encoding="utf-8").splitlines():
            try:
                lines.append(json.loads(text))
            except ValueError:
                break
    return lines


def truncate_metrics(path: Path, epochs: int) -> list[dict[str, Any]]:
    """Forgets what came after the checkpoint that a run goes on from; returns what is left."""
    kept = [line for line in read_metrics(path) if line["epoch"] <= epochs]
    write_atomically(path, "".join(json.dumps(line) + "\n" for line in kept).encode())
    return kept


def host_tally(tally: Tally) -> Tally:
    """The tally as NumPy arrays."""
    return jax.tree.map(np.asarray, tally)
