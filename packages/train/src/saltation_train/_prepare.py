"""A task: an experiment with its data and its initial model in place, every check passed."""

import dataclasses
from dataclasses import dataclass
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

import saltation as st

from ._keys import MODEL, stream


@dataclass(frozen=True, eq=False)
class Task:
    """What a run trains.

    - `experiment`: with its arrays in the experiment's dtype.
    - `dataset`: inputs in the experiment's dtype.
    - `parameters`: the initial values of what is trained, and of the statistics that solutions update.
    - `frozen`: the model's other arrays; `static` is the rest of it.
    """

    experiment: st.Experiment
    dataset: st.Dataset
    seed: int
    parameters: PyTree
    frozen: PyTree
    static: PyTree

    @property
    def steps_per_epoch(self) -> int:
        """Full batches in an epoch."""
        return len(self.dataset.train) // self.experiment.batch_size

    @property
    def dtype(self) -> Any:
        return jnp.dtype(self.experiment.dtype)

    def model(self, parameters: PyTree) -> st.Model:
        """The model with these parameters."""
        return eqx.combine(parameters, self.frozen, self.static)


def prepare(experiment: st.Experiment, *, seed: int, data_dir: Any = None, download: bool = False) -> Task:
    """Loads the data, draws the model, and checks that all parts fit each other.

    **Raises:** `ValueError` or a `SaltationError` that says which part does not fit and what would.
    """
    _checked_dtype(experiment.dtype)
    if experiment.epochs < 1 or experiment.batch_size < 1:
        raise ValueError(
            f"got epochs={experiment.epochs} and batch_size={experiment.batch_size}; expected at least 1 of each."
        )
    load = st.get_dataset(experiment.dataset)
    dataset = load(data_dir=data_dir, download=download, **experiment.dataset_options)
    return prepare_with(dataset, experiment, seed=seed)


def prepare_with(dataset: st.Dataset, experiment: st.Experiment, *, seed: int) -> Task:
    """The same with data that are there already."""
    dtype = _checked_dtype(experiment.dtype)
    # What a recipe gives as arrays, such as `Save(states_at=...)`, has JAX's default dtype.
    experiment = dataclasses.replace(
        experiment, method=_cast(experiment.method, dtype), save=_cast(experiment.save, dtype)
    )
    dataset = _cast_dataset(dataset, np.dtype(experiment.dtype))
    if len(dataset.train) < experiment.batch_size:
        raise ValueError(
            f"got batch_size={experiment.batch_size} with {len(dataset.train)} training samples of "
            f"{experiment.dataset!r}; expected at most as many. Fix: lower the batch size."
        )
    model = _cast(experiment.model(stream(seed, MODEL)), dtype)
    _check_method(experiment.method, experiment, model)
    parameters, rest = eqx.partition(model, kept_in_state(experiment, model))
    frozen, static = eqx.partition(rest, eqx.is_array)
    return Task(experiment, dataset, seed, parameters, frozen, static)


def with_method(task: Task, method: st.AbstractMethod) -> Task:
    """The same task, data and initial model included, for another method.

    **Raises:** `UnsupportedError` for a method that cannot solve the network, or does not differentiate what the loss
    needs.
    """
    method = _cast(method, task.dtype)
    _check_method(method, task.experiment, task.model(task.parameters))
    return dataclasses.replace(task, experiment=dataclasses.replace(task.experiment, method=method))


def _check_method(method: st.AbstractMethod, experiment: st.Experiment, model: st.Model) -> None:
    st.check_supported(method, model.network)
    st.check_needs(method, experiment.loss.needs, f"the loss {experiment.loss.name or 'function'!r}")
    st.check_needs(method, model.readout.needs, f"the read-out {type(model.readout).__name__}")


def kept_in_state(experiment: st.Experiment, model: st.Model) -> PyTree[bool]:
    """A filter for what a run changes: what is trained, and the statistics of normalisations."""
    trained, statistics = st.trainable(model, *experiment.trainable), st.statistics_of(model)
    return jax.tree.map(lambda one, other: one or other, trained, statistics)


def count_parameters(parameters: PyTree) -> int:
    """How many numbers are trained."""
    leaves, statistics = jax.tree.leaves(parameters), jax.tree.leaves(st.statistics_of(parameters))
    return sum(leaf.size for leaf, is_statistics in zip(leaves, statistics, strict=True) if not is_statistics)


def _checked_dtype(name: str) -> Any:
    if name not in ("float32", "float64"):
        raise ValueError(f"got dtype={name!r}; expected 'float32' or 'float64'.")
    if name == "float64" and jax.dtypes.canonicalize_dtype(np.float64) != np.float64:
        raise ValueError(
            "got an experiment in float64 while JAX is set to 32 bit. "
            'Fix: call jax.config.update("jax_enable_x64", True) first (the command line does so by itself).'
        )
    return jnp.dtype(name)


def _cast(tree: PyTree, dtype: Any) -> PyTree:
    return jax.tree.map(lambda leaf: leaf.astype(dtype) if eqx.is_inexact_array(leaf) else leaf, tree)


def _cast_dataset(dataset: st.Dataset, dtype: np.dtype) -> st.Dataset:
    def cast(array: np.ndarray, integer: Any) -> np.ndarray:
        wanted = dtype if np.issubdtype(array.dtype, np.floating) else integer
        return array.astype(wanted, copy=False)

    splits = {
        name: st.Split(cast(split.inputs, split.inputs.dtype), cast(split.targets, np.int32))
        for name, split in (
            ("train", dataset.train),
            ("validation", dataset.validation),
            ("test", dataset.test),
        )
    }
    return dataclasses.replace(dataset, **splits)
