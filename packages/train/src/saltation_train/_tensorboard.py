"""TensorBoard: the same numbers as in `metrics.jsonl`, for whoever watches runs there."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

# Where one epoch's number is drawn.
_GROUPS = {
    "train_loss": "loss/train",
    "validation_loss": "loss/validation",
    "train_accuracy": "accuracy/train",
    "validation_accuracy": "accuracy/validation",
    "learning_rate": "training/learning rate",
    "samples_per_second": "training/samples per second",
    "skipped_steps": "training/skipped steps",
    "remedied_steps": "training/remedied steps",
    "silent": "silent",
    "spikes": "spikes",
    "flat": "flat",
    "min_slope": "flattest crossing",
    "health": "health",
    "failed": "failed",
}


class TensorBoard:
    """Writes a run's metrics into a folder that `tensorboard --logdir` reads.

    **Arguments:** `folder`; `done` epochs of earlier sessions: what was written after them is hidden.

    **Raises:** `ValueError` where tensorboardX is not installed.
    """

    def __init__(self, folder: Path, done: int) -> None:
        try:
            from tensorboardX import SummaryWriter
        except ImportError:
            raise ValueError(
                "got tensorboard=True, but tensorboardX is not installed; expected it. Fix: pip install "
                '"saltation-train[tensorboard]", or leave it out: metrics.jsonl holds the same numbers.'
            ) from None
        # A run that goes on writes some epochs a second time.
        self._writer = SummaryWriter(str(folder), purge_step=done + 1 if done else None)

    def write(self, line: dict[str, Any]) -> None:
        """One line of `metrics.jsonl`."""
        for tag, value in scalars(line):
            self._writer.add_scalar(tag, value, line["epoch"])
        self._writer.flush()


def scalars(line: dict[str, Any]) -> Iterator[tuple[str, float]]:
    """The numbers of one epoch by tag; what is unknown is left out."""
    for key, tag in _GROUPS.items():
        value = line.get(key)
        if isinstance(value, dict):
            yield from ((f"{tag}/{name}", float(v)) for name, v in value.items() if v is not None)
        elif value is not None:
            yield tag, float(value)
