"""Where a number stopped being finite: in which connection or population, at which neuron."""

import functools
from collections.abc import Iterator
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

import saltation as st

from ._engine import Engine
from ._solve import SUCCESSFUL, solve_sample
from ._tally import Tally


def diagnose(engine: Engine, parameters: PyTree, tally: Tally, *, epoch: int, batch: int) -> list[str]:
    """Sentences on what is not finite: parameters first, then what the network computes, then gradients.

    **Arguments:** `epoch` and `batch` (both from 0) are where the loss was not finite; `parameters` those
    before.
    """
    model = engine.task.model(parameters)
    return [
        *in_parameters(model, parameters),
        *_in_solution(engine, model, parameters, epoch, batch),
        *in_gradients(engine.task.model(parameters), parameters, tally.bad),
    ]


def in_gradients(model: st.Model, parameters: PyTree, bad: Any) -> Iterator[str]:
    """The first entry of each gradient that is not finite.

    **Arguments:** `bad`: for each trained array the position of that entry, `-1` for none.
    """
    paths = jax.tree_util.tree_flatten_with_path(parameters)[0]
    for (path, leaf), position in zip(paths, np.asarray(bad), strict=True):
        if position >= 0:
            yield f"the gradient of {_entry(model, path, leaf.shape, int(position))} is not finite"


def in_parameters(model: st.Model, parameters: PyTree) -> Iterator[str]:
    """The first entry of each parameter that is not finite."""
    for path, leaf in jax.tree_util.tree_flatten_with_path(parameters)[0]:
        bad = ~np.isfinite(np.asarray(leaf)).reshape(-1)
        if bad.any():
            yield f"{_entry(model, path, leaf.shape, int(np.argmax(bad)))} is not finite"


def _in_solution(engine: Engine, model: st.Model, parameters: PyTree, epoch: int, batch: int) -> Iterator[str]:
    """The first sample of the batch whose loss is not finite, solved alone."""
    task = engine.task
    rows = engine.order(epoch)[batch]
    inputs, targets = task.dataset.train.inputs[rows], task.dataset.train.targets[rows]
    keys = jax.random.split(jax.random.fold_in(engine.key(epoch), batch), len(rows))
    outcome = engine.score(parameters, inputs, targets, keys)
    spoilt = (np.asarray(outcome.code) == SUCCESSFUL) & ~np.isfinite(np.asarray(outcome.loss))
    if not spoilt.any():
        return
    sample = int(np.argmax(spoilt))
    yield f"the loss of training sample {rows[sample]} is {float(outcome.loss[sample])}"
    solve = eqx.filter_jit(functools.partial(solve_sample, task.experiment))
    solution = solve(model, jnp.asarray(inputs[sample]), keys[sample], task.experiment.save)
    for stage in model.network.stages():
        for name in stage.populations:
            yield from in_population(solution, name)
    bad = ~np.isfinite(np.asarray(outcome.output[sample]))
    if bad.any():
        value = float(outcome.output[sample][np.argmax(bad)])
        yield f"output {int(np.argmax(bad))} of the read-out is {value}"


def in_population(solution: st.Solution, name: str) -> Iterator[str]:
    """The first spike time and the first state of a population that are not finite."""
    if solution.spikes is not None:
        train = solution.spikes[name]
        bad = np.isnan(np.asarray(train.time))
        if bad.any():
            yield f"population {name!r}: a spike time of neuron {int(train.index[np.argmax(bad)])} is NaN"
    for path, leaf in jax.tree_util.tree_flatten_with_path((solution.final or {}).get(name))[0]:
        bad = ~np.isfinite(np.asarray(leaf)).reshape(-1)
        if bad.any():
            variable = jax.tree_util.keystr(path).lstrip(".")
            yield f"population {name!r}: the state {variable} of neuron {int(np.argmax(bad))} is not finite"


def array_name(model: st.Model, path: tuple) -> str:
    """What an array of the model is, such as `weight in -> hidden`."""
    names = names_on(path)
    if names[:2] == ["network", "connections"]:
        connection = model.network.connections[names[2]]
        kind = "delay" if "delay" in names else names[-1]
        return f"{kind} {connection.source} -> {connection.target}"
    if names[:2] == ["network", "neurons"]:
        return f"{names[-1]} {names[2]}"
    return ".".join(map(str, names))


def names_on(path: tuple) -> list[Any]:
    """The field names, keys and positions on the way to an array."""
    return [getattr(key, "name", getattr(key, "key", getattr(key, "idx", ""))) for key in path]


def _entry(model: st.Model, path: tuple, shape: tuple[int, ...], position: int) -> str:
    """One entry of an array of the model, such as `weight[3, 7] of the connection 'in' -> 'hidden'`."""
    names = names_on(path)
    index = [int(i) for i in np.unravel_index(position, shape)]
    entry = f"{names[-1]}{index if index else ''}"
    if names[:2] == ["network", "connections"]:
        connection = model.network.connections[names[2]]
        where = f"the connection {connection.source!r} -> {connection.target!r}"
        neuron = f" (onto neuron {index[1]} of {connection.target!r})" if len(index) == 2 else ""
        return f"{entry} of {where}{neuron}"
    if names[:2] == ["network", "neurons"]:
        neuron = f" (neuron {position})" if index else ""
        return f"{entry} of the population {names[2]!r}{neuron}"
    return f"{entry} of the {'.'.join(str(name) for name in names[:-1]) or 'model'}"
