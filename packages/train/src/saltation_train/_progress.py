"""Progress: a bar on a terminal, and a line now and then where there is none."""

import sys
import time
from typing import Any

from tqdm import tqdm

_SECONDS_BETWEEN_LINES = 10.0


class Progress:
    """Shows how far a run is, its loss and accuracy so far in this epoch, and its speed.

    **Arguments:** `epochs` and `samples` an epoch; `done` samples of earlier sessions; `shown` is `False` for
    silence.
    """

    def __init__(self, *, epochs: int, samples: int, done: int, shown: bool) -> None:
        self._epochs, self._samples, self._shown = epochs, samples, shown
        self._last_line = float("-inf")
        self._bar: tqdm | None = None
        if shown and sys.stderr.isatty():
            self._bar = tqdm(
                total=epochs * samples,
                initial=done,
                unit=" samples",
                unit_scale=True,
                dynamic_ncols=True,
                bar_format="{desc} |{bar}| {percentage:3.0f} % [{elapsed} < {remaining}] {postfix}",
                file=sys.stderr,
            )

    def __enter__(self) -> "Progress":
        return self

    def __exit__(self, *exception: Any) -> None:
        if self._bar is not None:
            self._bar.close()

    def update(
        self, *, epoch: int, samples: int, loss: float | None, accuracy: float | None, speed: float | None
    ) -> None:
        """After some batches of `epoch` (from 1): samples of this run so far, and means over this epoch."""
        if not self._shown:
            return
        text = ", ".join(_numbers(loss, accuracy, speed))
        if self._bar is not None:
            self._bar.set_description_str(f"epoch {epoch}/{self._epochs}", refresh=False)
            self._bar.set_postfix_str(text, refresh=False)
            self._bar.n = samples
            self._bar.refresh()
        elif time.monotonic() - self._last_line >= _SECONDS_BETWEEN_LINES or (samples >= self._epochs * self._samples):
            self._last_line = time.monotonic()
            self.note(f"epoch {epoch}/{self._epochs}: {text}")

    def note(self, text: str) -> None:
        """A line of its own."""
        if self._bar is not None:
            self._bar.write(text, file=sys.stderr)
        elif self._shown:
            print(text, file=sys.stderr, flush=True)


def _numbers(loss: float | None, accuracy: float | None, speed: float | None) -> list[str]:
    return [
        text
        for text, value in (
            (f"loss {loss:.4g}" if loss is not None else "", loss),
            (f"accuracy {accuracy:.1%}" if accuracy is not None else "", accuracy),
            (f"{_compact(speed)} samples/s" if speed is not None else "", speed),
        )
        if value is not None
    ]


def _compact(value: float) -> str:
    return f"{value / 1000:.1f} k" if value >= 1000 else f"{value:.0f}"
