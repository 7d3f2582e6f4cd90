"""Gradients of several methods against each other, on the same weights and the same samples."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

import saltation as st

from ._diagnose import array_name
from ._engine import epoch_order
from ._keys import SAMPLES, stream
from ._prepare import Task
from ._solve import SUCCESSFUL, solve_batch
from ._tally import example_batch


@dataclass(frozen=True)
class Agreement:
    """Gradients of the mean loss by several methods at one set of parameters.

    - `methods`: their names; `arrays`: what is trained, by name.
    - `cosine`: `[methods, methods]`, of all arrays together; NaN where a gradient is zero.
    - `cosine_of`: the same by array, `[arrays, methods, methods]`.
    - `norm`: `[methods]`; `norm_of`: `[arrays, methods]`.
    - `samples`: over how many, those that every method could solve.
    """

    methods: tuple[str, ...]
    arrays: tuple[str, ...]
    cosine: np.ndarray
    cosine_of: np.ndarray
    norm: np.ndarray
    norm_of: np.ndarray
    samples: int


class Probe:
    """The compiled gradient of one method: the sum over samples of a batch, and how each sample ended."""

    def __init__(self, task: Task) -> None:
        self.task = task
        inputs, targets, keys = example_batch(task)
        mask = jnp.ones(len(inputs), bool)
        compiled = jax.jit(self._gradient).lower(task.parameters, task.frozen, inputs, targets, keys, mask).compile()
        self._compiled = compiled
        analysis = compiled.memory_analysis()
        # Not every device says.
        self.step_memory_bytes = None if analysis is None else int(analysis.temp_size_in_bytes)

    def __call__(self, parameters: PyTree, rows: np.ndarray, mask: np.ndarray) -> tuple[list[np.ndarray], np.ndarray]:
        train, task = self.task.dataset.train, self.task
        keys = jax.random.split(stream(task.seed, SAMPLES), len(rows))
        batch = jnp.asarray(train.inputs[rows]), jnp.asarray(train.targets[rows]), keys, jnp.asarray(mask)
        gradient, code = self._compiled(parameters, task.frozen, *batch)
        return [np.asarray(leaf, np.float64) for _, leaf in trained_arrays(gradient)], np.asarray(code)

    def _gradient(self, parameters: PyTree, frozen: PyTree, inputs, targets, keys, mask):
        def total(parameters: PyTree):
            model = eqx.combine(parameters, frozen, self.task.static)
            outcome = solve_batch(self.task.experiment, model, inputs, targets, keys)
            counted = mask & (outcome.code == SUCCESSFUL)
            return jnp.sum(jnp.where(counted, outcome.loss, 0.0)), outcome.code

        return jax.grad(total, has_aux=True)(parameters)


def agreement(probes: Mapping[str, Probe], parameters: PyTree, *, batches: int = 4) -> Agreement | None:
    """How the gradients of several methods agree at `parameters`, over the first batches of the first epoch.

    **Returns:** `None` if there is no sample that every method can solve.
    """
    task = next(iter(probes.values())).task
    sums: dict[str, list[np.ndarray]] = {}
    samples = 0
    for rows in np.asarray(epoch_order(task, 0))[:batches]:
        found, solved = _common(probes, parameters, rows)
        samples += int(solved.sum())
        for name, gradient in found.items():
            sums[name] = [a + b for a, b in zip(sums[name], gradient, strict=True)] if name in sums else gradient
    if not samples:
        return None
    model = task.model(parameters)
    arrays = tuple(array_name(model, path) for path, _ in trained_arrays(parameters))
    vectors = [[sums[name][i].ravel() / samples for name in probes] for i in range(len(arrays))]
    whole = [np.concatenate([array[m] for array in vectors]) for m in range(len(probes))]
    return Agreement(
        methods=tuple(probes),
        arrays=arrays,
        cosine=_cosines(whole),
        cosine_of=np.stack([_cosines(array) for array in vectors]),
        norm=np.array([np.linalg.norm(vector) for vector in whole]),
        norm_of=np.array([[np.linalg.norm(vector) for vector in array] for array in vectors]),
        samples=samples,
    )


def trained_arrays(parameters: PyTree) -> list[tuple[Any, Any]]:
    """The arrays that are trained, with their paths: all parameters but the statistics of normalisations."""
    leaves = jax.tree_util.tree_flatten_with_path(parameters)[0]
    statistics = jax.tree.leaves(st.statistics_of(parameters))
    return [leaf for leaf, is_statistics in zip(leaves, statistics, strict=True) if not is_statistics]


def _common(probes: Mapping[str, Probe], parameters: PyTree, rows: np.ndarray):
    """The gradients over those of `rows` that every method solves."""
    everything = np.ones(len(rows), bool)
    found = {name: probe(parameters, rows, everything) for name, probe in probes.items()}
    solved = np.all([code == SUCCESSFUL for _, code in found.values()], axis=0)
    if not solved.any():
        return {}, solved
    if not solved.all():
        # A sample of weight zero may still bring a NaN: another takes its place.
        rows = np.where(solved, rows, rows[np.argmax(solved)])
        found = {name: probe(parameters, rows, solved) for name, probe in probes.items()}
    return {name: gradient for name, (gradient, _) in found.items()}, solved


def _cosines(vectors: list[np.ndarray]) -> np.ndarray:
    matrix = np.stack(vectors)
    norms = np.linalg.norm(matrix, axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.clip(matrix @ matrix.T / np.outer(norms, norms), -1.0, 1.0)
