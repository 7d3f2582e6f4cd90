"""Scores of a split: every sample counts once, failed ones as wrong."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

from ._keys import SCORING, stream
from ._prepare import Task
from ._solve import RESULT_NAMES, SUCCESSFUL


@dataclass(frozen=True, eq=False)
class Scores:
    """What became of each sample of a split, as NumPy arrays.

    - `target`, `prediction`: `[n]`; a prediction is `-1` where the read-out has no decision or the solver
      failed.
    - `output`: the read-out, `[n, classes]`; `loss`: `[n]`, `NaN` where the solver failed.
    - `code`: `[n]`, the position of the result in `saltation.RESULTS`.
    - `spike_count`: spikes of each neuron over all samples, `[neurons]` by population.
    - `silent`: the share of (sample, neuron) pairs without a spike, by population.
    - `min_slope`: the flattest threshold crossing of each sample, `[n]` by population, where the method
      reports it.
    - `health`: counters of a backend in the loop, the mean over the samples.
    """

    target: np.ndarray
    prediction: np.ndarray
    output: np.ndarray
    loss: np.ndarray
    code: np.ndarray
    spike_count: dict[str, np.ndarray]
    silent: dict[str, float]
    min_slope: dict[str, np.ndarray]
    health: dict[str, float]
    classes: tuple[str, ...]

    @property
    def accuracy(self) -> float | None:
        """The share of right classes; `None` without samples or classes."""
        if not self.classes or not len(self.target):
            return None
        return float(np.mean(self.prediction == self.target))

    @property
    def mean_loss(self) -> float | None:
        """The mean loss of the solved samples, `None` without any."""
        solved = self.loss[self.code == SUCCESSFUL]
        return float(np.mean(solved, dtype=np.float64)) if len(solved) else None

    @functools.cached_property
    def failed(self) -> dict[str, int]:
        """How many samples failed, by the name of the result."""
        return count_failed(np.bincount(self.code, minlength=len(RESULT_NAMES)))

    @functools.cached_property
    def confusion(self) -> np.ndarray:
        """Samples by class and prediction, `[classes, classes + 1]`; the last column has no decision."""
        matrix = np.zeros((len(self.classes), len(self.classes) + 1), np.int64)
        column = np.where(self.prediction < 0, len(self.classes), self.prediction)
        np.add.at(matrix, (self.target, column), 1)
        return matrix


def count_failed(codes: np.ndarray) -> dict[str, int]:
    """Failed samples by the name of the result, from the number of samples by code."""
    return {name: int(n) for name, n in zip(RESULT_NAMES, codes, strict=True) if n and name != RESULT_NAMES[SUCCESSFUL]}


def score_inputs(
    task: Task,
    score: Callable[..., Any],
    parameters: PyTree,
    inputs: np.ndarray,
    targets: np.ndarray | None = None,
) -> Scores:
    """Scores samples in batches of the experiment's size.

    The last batch is filled up with samples from the beginning, which are not counted twice. A sample's
    random key depends on its position alone.

    **Arguments:** `targets` may be left out where only the outputs matter, such as on a grid.
    """
    size, number = task.experiment.batch_size, len(inputs)
    if targets is None:
        targets = np.zeros(number, task.dataset.train.targets.dtype)
    key = stream(task.seed, SCORING)
    parts = []
    for start in range(0, number, size):
        rows = np.arange(start, start + size) % number
        keys = _sample_keys(key, jnp.asarray(rows, jnp.int32))
        outcome = score(parameters, inputs[rows], targets[rows], keys)
        kept = min(size, number - start)
        parts.append(jax.tree.map(lambda leaf, kept=kept: np.asarray(leaf)[:kept], outcome))
    if not parts:
        empty = np.zeros(0, np.int32)
        return Scores(empty, empty, np.zeros((0, 0)), np.zeros(0), empty, {}, {}, {}, {}, task.dataset.classes)
    together = jax.tree.map(lambda *leaves: np.concatenate(leaves), *parts)
    solved = together.code == SUCCESSFUL
    return Scores(
        target=targets,
        prediction=np.where(solved, together.prediction, -1),
        output=together.output,
        loss=np.where(solved, together.loss, np.nan),
        code=together.code,
        spike_count={
            name: np.asarray(np.sum(count[solved], axis=0, dtype=np.int64))
            for name, count in together.spike_count.items()
        },
        silent={
            name: float(np.mean(count[solved] == 0)) if solved.any() else 1.0
            for name, count in together.spike_count.items()
        },
        min_slope={name: np.where(solved, slope, np.inf) for name, slope in together.min_slope.items()},
        health={name: float(np.mean(count, dtype=np.float64)) for name, count in together.health.items()},
        classes=task.dataset.classes,
    )


_sample_keys = jax.jit(jax.vmap(jax.random.fold_in, in_axes=(None, 0)))
