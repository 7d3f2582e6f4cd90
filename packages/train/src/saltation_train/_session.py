"""One session of a run: epochs in chunks, with metrics, checkpoints, and every reason to stop."""

import dataclasses
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

import saltation as st

from ._checkpoint import Best, Position, load_checkpoint, read_file, save_checkpoint
from ._diagnose import diagnose, in_gradients, in_parameters
from ._engine import Engine, on_device, on_host
from ._folder import Folder
from ._interrupt import Interrupt
from ._metrics import append_metrics, epoch_metrics, host_tally, number
from ._progress import Progress
from ._score import Scores, count_failed, score_inputs
from ._step import State
from ._tally import Tally


class Session:
    """A run between its start, or a checkpoint, and its end, or an interruption.

    **Arguments:** the compiled `engine`, the run's `folder` and the `fingerprint` of its configuration, where
    progress is shown and a wish to stop is noticed, the seconds between checkpoints and between looks at
    the progress, and who else is told each epoch's metrics. With several processes each has a session, all do
    the same, and the first one writes.
    """

    def __init__(
        self,
        engine: Engine,
        folder: Folder,
        fingerprint: str,
        progress: Progress,
        interrupt: Interrupt,
        checkpoint_seconds: float,
        chunk_seconds: float,
        on_epoch: Callable[[dict[str, Any]], None] | None = None,
    ) -> None:
        self._on_epoch = on_epoch
        self.engine, self.folder, self.fingerprint = engine, folder, fingerprint
        self.progress, self.interrupt = progress, interrupt
        self.checkpoint_seconds, self.chunk_seconds = checkpoint_seconds, chunk_seconds
        self.position = Position(compile_seconds=engine.compile_seconds)
        self.state = engine.devices.copy(engine.initial)
        self._best: State | None = None
        self._best_position: Position | None = None
        self._chunk = 1
        self._written = time.monotonic()

    def begin(self) -> None:
        """The first checkpoint: a run that cannot be saved fails now and not after hours."""
        self._save("last", self.state, self.position)

    def restore(self, state: State, position: Position) -> None:
        """Goes on from a checkpoint."""
        self.state = self.engine.devices.copy(state)
        self.position = dataclasses.replace(
            position, compile_seconds=position.compile_seconds + self.engine.compile_seconds
        )

    def run(self) -> None:
        """All epochs that are left, and a checkpoint after the last.

        **Raises:** `KeyboardInterrupt` after Ctrl-C, `SolveError` for numbers that training cannot go on
        with.
        """
        try:
            while self.position.epoch < self.engine.task.experiment.epochs:
                tally = self._epoch()
                self._end_epoch(tally)
                if time.monotonic() - self._written >= self.checkpoint_seconds:
                    self._save_all()
            self._save_all()
        except st.CheckpointError:
            raise
        except Exception:
            # Whatever stops the run, the best state so far outlives it.
            self._save_best()
            raise

    def best_parameters(self) -> PyTree | None:
        """The parameters with the best validation score, `None` without a validation split."""
        if self.position.best is None:
            return None
        state, _ = self.load(self.folder.checkpoint("best"))
        return on_device(state.parameters)

    def load(self, path: Path) -> tuple[State, Position]:
        """A checkpoint of this run, which only the first process need see.

        **Raises:** `CheckpointError` for one that is damaged, or of another run.
        """
        read = lambda path: self.engine.devices.from_first(lambda: read_file(path))  # noqa: E731
        return load_checkpoint(path, self.engine.initial, self.fingerprint, read)

    def _epoch(self) -> Tally:
        engine, epoch = self.engine, self.position.epoch
        steps, size = engine.task.steps_per_epoch, engine.task.experiment.batch_size
        order, key = engine.order(epoch), engine.key(epoch)
        while self.position.batch < steps:
            start = self.position.batch
            stop = min(start + self._chunk, steps)
            began = time.perf_counter()
            self.state = engine.steps(self.state, order, key, start, stop)
            tally = host_tally(self.state.tally)
            seconds = time.perf_counter() - began
            if tally.broken:
                self._stop_broken(tally)
            self.position = self.position.after_batches(stop, seconds)
            self._check_failures(tally)
            self._show(tally, size)
            seconds, stopping = engine.devices.agree(seconds, self.interrupt.requested)
            per_step = seconds / (stop - start)
            self._chunk = max(1, min(int(self.chunk_seconds / max(per_step, 1e-9)), steps))
            if stopping:
                self._stop_interrupted()
        return host_tally(self.state.tally)

    def _end_epoch(self, tally: Tally) -> None:
        task = self.engine.task
        validation = self._validate()
        done = self.position.epoch + 1
        line = epoch_metrics(
            tally,
            validation,
            epoch=done,
            learning_rate=float(self.engine.learning_rate(done * task.steps_per_epoch - 1)),
            seconds=self.position.epoch_seconds,
            classes=bool(task.dataset.classes),
        )
        if self.engine.devices.first:
            append_metrics(self.folder.metrics, line)
        if self._on_epoch is not None:
            self._on_epoch(line)
        self.state = dataclasses.replace(self.state, tally=self.engine.devices.copy(self.engine.initial.tally))
        best = self.position.best
        if validation is not None:
            found = Best(done, validation.accuracy, number(validation.mean_loss))
            if found.beats(best):
                best = found
        improved = best is not self.position.best
        self.position = self.position.after_epoch(best)
        if improved:
            self._best = on_host(self.state)
            self._best_position = self.position

    def _validate(self) -> Scores | None:
        split = self.engine.task.dataset.validation
        if not len(split):
            return None
        return score_inputs(self.engine.task, self.engine.score, self.state.parameters, split.inputs, split.targets)

    def _show(self, tally: Tally, size: int) -> None:
        seen, counted = int(tally.seen), int(tally.counted)
        classes = self.engine.task.dataset.classes
        self.progress.update(
            epoch=self.position.epoch + 1,
            samples=(self.position.epoch * self.engine.task.steps_per_epoch + self.position.batch) * size,
            loss=float(tally.loss) / counted if counted else None,
            accuracy=int(tally.correct) / seen if classes and seen else None,
            speed=self.position.batch * size / self.position.epoch_seconds,
        )

    def _save_all(self) -> None:
        self._save_best()
        self._save("last", self.state, self.position)
        self._written = time.monotonic()

    def _save_best(self) -> None:
        if self._best is not None and self._best_position is not None:
            self._save("best", self._best, self._best_position)
            self._best = None

    def _save(self, name: str, state: State, position: Position) -> None:
        if self.engine.devices.first:
            save_checkpoint(self.folder.checkpoint(name), on_host(state), position, self.fingerprint)

    def _stop_interrupted(self) -> None:
        self._save_all()
        raise KeyboardInterrupt(
            f"interrupted in epoch {self.position.epoch + 1} after {self.position.batch} of "
            f"{self.engine.task.steps_per_epoch} batches; saved in {self.folder.checkpoint('last')}."
        )

    def _stop_broken(self, tally: Tally) -> None:
        """The loss of a solved sample is not finite: the state is still that before the step."""
        batch = int(tally.seen) // self.engine.task.experiment.batch_size
        # The next session would count this epoch's samples again only up to here.
        self.position = self.position.after_batches(batch, 0.0)
        mended = dataclasses.replace(self.state.tally, broken=jnp.zeros((), bool))
        self.state = dataclasses.replace(self.state, tally=mended)
        self._save_all()
        epoch = self.position.epoch
        found = diagnose(self.engine, on_device(on_host(self.state.parameters)), tally, epoch=epoch, batch=batch)
        details = "; ".join(found) or "every part is finite when solved again, so the loss itself overflows"
        raise st.SolveError(
            f"the loss is not finite in epoch {epoch + 1}, batch {batch + 1}: {details}. Expected finite "
            "numbers. "
            f"Kept: the state before this batch in {self.folder.checkpoint('last')}{self._best_note()}. "
            "Fix: lower the "
            "learning rate, set the optimiser's clip_norm, or scale the initial weights, and train into "
            "another folder."
        )

    def _check_failures(self, tally: Tally) -> None:
        """Stops once the epoch's share of failed samples or skipped steps must exceed what is allowed."""
        task = self.engine.task
        share, steps = task.experiment.max_failed_share, task.steps_per_epoch
        samples = steps * task.experiment.batch_size
        failed = count_failed(np.asarray(tally.codes))
        if sum(failed.values()) > share * samples:
            reasons = " ".join(
                f"{name} ({count} samples): {st.RESULTS[getattr(st.RESULTS, name)]}" for name, count in failed.items()
            )
            self._give_up(f"{sum(failed.values())} of an epoch's {samples} samples failed", share, reasons)
        # One crossing that is flat to the last bit is no reason to stop, also in an epoch of few steps.
        if int(tally.skipped) > max(share * steps, 1):
            parameters = on_host(self.state.parameters)
            model = task.model(parameters)
            found = [*in_parameters(model, parameters), *in_gradients(model, parameters, tally.bad)]
            details = "; ".join(found) or "no sample of these batches was solved"
            self._give_up(f"{int(tally.skipped)} of an epoch's {steps} steps had no gradient", share, f"{details}.")

    def _give_up(self, what: str, share: float, reasons: str) -> None:
        kept = self.folder.checkpoint("last")
        raise st.SolveError(
            f"{what} in epoch {self.position.epoch + 1}, batch {self.position.batch}; expected at most "
            f"{share:.1%} "
            f"(max_failed_share). {reasons} Kept: {kept}{self._best_note()}."
        )

    def _best_note(self) -> str:
        best = self.position.best
        return f", and the best one, of epoch {best.epoch}, in {self.folder.checkpoint('best')}" if best else ""
