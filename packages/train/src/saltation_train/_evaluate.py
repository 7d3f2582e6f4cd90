"""Evaluation of a finished or interrupted run."""

from pathlib import Path
from typing import Any

import saltation as st

from ._metrics import number
from ._run import load_run


def evaluate(
    out: str | Path,
    *,
    split: str = "test",
    checkpoint: str | None = None,
    experiment: st.Experiment | None = None,
    data_dir: str | Path | None = None,
    download: bool = False,
) -> dict[str, Any]:
    """Scores a checkpoint of a run; changes none of its files.

    **Arguments:** `split`: "test", "validation" or "train"; the others as for `load_run`.

    **Returns:** `split`, `checkpoint`, `epoch`, `samples`, `accuracy` (`None` if the targets are no classes),
    `loss` and `failed` (samples by kind of failure; they count as wrong).

    **Raises:** `ValueError` for a split that does not exist or is empty, `CheckpointError` for a damaged run.
    """
    if split not in ("train", "validation", "test"):
        raise ValueError(f"got split={split!r}; expected 'test', 'validation' or 'train'.")
    run = load_run(out, experiment=experiment, checkpoint=checkpoint, data_dir=data_dir, download=download)
    scores = run.score_split(split)
    if not len(scores.target):
        raise ValueError(f"got split={split!r}, which is empty in {run.dataset.name!r}; choose another.")
    return {
        "split": split,
        "checkpoint": run.checkpoint,
        "epoch": run.position.epoch,
        "samples": len(scores.target),
        "accuracy": scores.accuracy,
        "loss": number(scores.mean_loss),
        "failed": scores.failed,
    }
