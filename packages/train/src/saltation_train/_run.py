"""A run read back: what reports, evaluation and notebooks look at."""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PRNGKeyArray, PyTree

import saltation as st

from ._checkpoint import Position, load_checkpoint
from ._config import check_same, describe, fingerprint, read_config, recipe_of
from ._devices import one_device
from ._engine import compile_score, initial_state, on_device
from ._folder import Folder
from ._keys import SCORING, stream
from ._metrics import read_metrics
from ._prepare import Task, prepare
from ._score import Scores, score_inputs
from ._solve import solve_sample
from ._summary import read_summary, versions


@dataclass(frozen=True, eq=False)
class Run:
    """A finished or interrupted run.

    - `folder`: where its files are.
    - `config`, `metrics`, `summary`: the content of `config.json`, `metrics.jsonl` (a list of epochs) and
      `summary.json` (`None` if it has not finished).
    - `task`: the experiment with its data.
    - `checkpoint`, `parameters`, `position`: which checkpoint was read, and what it holds.
    """

    folder: Path
    config: dict[str, Any]
    metrics: list[dict[str, Any]]
    summary: dict[str, Any] | None
    task: Task
    checkpoint: str
    parameters: PyTree
    position: Position
    score_batch: Callable[..., Any]

    @property
    def experiment(self) -> st.Experiment:
        """What was trained."""
        return self.task.experiment

    @property
    def dataset(self) -> st.Dataset:
        """The data, in the experiment's dtype."""
        return self.task.dataset

    @functools.cached_property
    def model(self) -> st.Model:
        """The trained model, in evaluation mode."""
        return eqx.nn.inference_mode(self.task.model(self.parameters))

    @functools.cached_property
    def test(self) -> Scores:
        """The scores of the test split."""
        return self.score_split("test")

    def score_split(self, split: str) -> Scores:
        """The scores of "train", "validation" or "test"."""
        data = getattr(self.dataset, split)
        return self.score(data.inputs, data.targets)

    def score(self, inputs: np.ndarray, targets: np.ndarray | None = None) -> Scores:
        """The scores of any inputs `[n, ...]`; targets may be left out where only the outputs matter."""
        cast = inputs.astype(self.dataset.train.inputs.dtype, copy=False)
        return score_inputs(self.task, self.score_batch, self.parameters, cast, targets)

    def solve(self, x: np.ndarray, save: st.Save = st.Save()) -> st.Solution:
        """The solution of one sample.

        **Raises:** what the method raises for a `save` that it cannot do.
        """
        sample = jnp.asarray(x, self.task.dtype) if np.issubdtype(x.dtype, np.floating) else jnp.asarray(x)
        return self._solve(self.model, sample, self.sample_key, save)

    @functools.cached_property
    def _solve(self) -> Callable[..., st.Solution]:
        return eqx.filter_jit(functools.partial(solve_sample, self.experiment))

    @property
    def sample_key(self) -> PRNGKeyArray:
        """The key with which `solve` encodes and solves."""
        return jax.random.fold_in(stream(self.task.seed, SCORING), 0)


def load_run(
    out: str | Path,
    *,
    experiment: st.Experiment | None = None,
    checkpoint: str | None = None,
    data_dir: str | Path | None = None,
    download: bool = False,
) -> Run:
    """Reads a run back.

    **Arguments:**

    - `experiment`: for a run that was started from an `Experiment` and not from a recipe: the same one again.
    - `checkpoint`: "best" (by validation; the default if there is one) or "last".
    - `data_dir`: where the data are, if not where they were.

    **Raises:** `CheckpointError` for a folder without a run, or a damaged one.
    """
    folder = Folder(Path(out))
    config = read_config(folder.config)
    if checkpoint is None:
        checkpoint = "best" if folder.checkpoint("best").exists() else "last"
    if checkpoint not in ("best", "last"):
        raise ValueError(f"got checkpoint={checkpoint!r}; expected 'best' or 'last'.")
    recipe = recipe_of(config)
    if recipe is not None and experiment is None:
        experiment = recipe.build()
    if experiment is None:
        raise ValueError(
            f"the run in {folder.path} was started from an Experiment, not from a recipe, so it cannot be "
            "rebuilt from its "
            "config.json. Fix: pass the same one again, experiment=..."
        )
    data_dir = data_dir if data_dir is not None else config["data_dir"]
    given = describe(experiment, recipe, seed=config["seed"], data_dir=data_dir, versions=versions())
    check_same(given, config, folder.path)
    task = prepare(experiment, seed=config["seed"], data_dir=data_dir, download=download)
    like, _, _ = initial_state(task)
    state, position = load_checkpoint(folder.checkpoint(checkpoint), like, fingerprint(config))
    return Run(
        folder=folder.path,
        config=config,
        metrics=read_metrics(folder.metrics),
        summary=read_summary(folder.summary),
        task=task,
        checkpoint=checkpoint,
        parameters=on_device(state.parameters),
        position=position,
        score_batch=compile_score(task, one_device()),
    )
