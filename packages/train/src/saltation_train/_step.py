"""The training step, and many of them in one call: compiled once, dispatched about twice a second."""

import dataclasses
from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Key, PRNGKeyArray, PyTree

import saltation as st

from ._across import gathered, share
from ._gradient import batch_gradient, first_bad
from ._prepare import Task, kept_in_state
from ._solve import SUCCESSFUL, Outcome
from ._tally import Tally, count, of_all, own


class State(eqx.Module):
    """What training changes, and what a checkpoint holds. `remedy` is the memory of the experiment's remedy, if any."""

    parameters: PyTree
    optimiser: PyTree
    tally: Tally
    remedy: PyTree = None


def make_steps(
    task: Task, optimiser: optax.GradientTransformation
) -> Callable[[State, PyTree, Array, Array, Array, PRNGKeyArray, Array, Array], State]:
    """`steps(state, frozen, inputs, targets, order, key, start, stop)`: from `start` to before `stop`.

    `order[step]` are the rows of a batch; a step's samples draw from `key` folded with the step, so it does
    not matter for the result how an epoch is cut into calls, nor how many devices share a batch. Runs on
    each of them (`Devices.each`), and each reads its own samples only.
    """

    def steps(state, frozen, inputs, targets, order, key, start, stop):
        def step(carry):
            index, state = carry
            rows = share(order[index])
            keys = share(jax.random.split(jax.random.fold_in(key, index), order.shape[1]))
            batch = inputs[rows]
            if task.experiment.augment is not None:
                batch = jax.vmap(task.experiment.augment)(batch, jax.vmap(_augmentation_key)(keys))
            state = train_step(task, optimiser, state, frozen, batch, targets[rows], keys)
            return index + 1, state

        def going(carry):
            index, state = carry
            return (index < stop) & ~state.tally.broken

        # What can wait is added up at the end: over a network a message costs more than what is in it.
        alone = dataclasses.replace(state, tally=own(state.tally))
        state = jax.lax.while_loop(going, step, (start, alone))[1]
        return dataclasses.replace(state, tally=of_all(state.tally))

    return steps


def train_step(
    task: Task,
    optimiser: optax.GradientTransformation,
    state: State,
    frozen: PyTree,
    inputs: Array,
    targets: Array,
    keys: Key[Array, " batch"],
) -> State:
    """One step on one batch, of which this device has these samples."""
    found = batch_gradient(task, state.parameters, frozen, inputs, targets, keys)
    counted = found.mask & (found.outcome.code == SUCCESSFUL)
    bad = first_bad(found.gradient)
    solved = found.number > 0
    broken = solved & ~jnp.isfinite(found.loss)
    good = solved & ~broken & jnp.all(bad < 0)

    updates, optimiser_state = optimiser.update(found.gradient, state.optimiser, state.parameters)
    parameters = optax.apply_updates(state.parameters, updates)
    if found.outcome.updates:
        parameters = _with_statistics(task, parameters, frozen, found.outcome.updates)
    keep = lambda new, old: jnp.where(good, new, old)  # noqa: E731
    parameters = jax.tree.map(keep, parameters, state.parameters)
    optimiser_state = jax.tree.map(keep, optimiser_state, state.optimiser)
    memory, acted = state.remedy, jnp.zeros((), bool)
    if task.experiment.remedy is not None:
        remedied, memory, acted = _remedy(task, state, frozen, found.outcome, counted)
        acted = acted & solved & ~broken
        instead = lambda new, old: jnp.where(acted, new, old)  # noqa: E731
        parameters = jax.tree.map(instead, remedied, parameters)
        optimiser_state = jax.tree.map(instead, state.optimiser, optimiser_state)
        memory = jax.tree.map(lambda new, old: jnp.where(solved & ~broken, new, old), memory, state.remedy)
    tally = count(state.tally, found, counted, targets, good | acted, bad)
    tally = eqx.tree_at(lambda t: t.remedied, tally, tally.remedied + acted.astype(jnp.int32))
    tally = jax.tree.map(lambda new, old: jnp.where(broken, old, new), tally, state.tally)
    tally = eqx.tree_at(lambda t: (t.broken, t.bad), tally, (broken, jnp.where(good, state.tally.bad, bad)))
    return State(parameters, optimiser_state, tally, memory)


def _remedy(
    task: Task, state: State, frozen: PyTree, outcome: Outcome, counted: Array
) -> tuple[PyTree, PyTree, Bool[Array, ""]]:
    """The parameters that the remedy wants, its next memory, and whether it wants them now."""
    remedy = task.experiment.remedy
    assert remedy is not None
    model = eqx.combine(state.parameters, frozen, task.static)
    # Of a failed sample it is not known who would have spiked.
    silent = gathered({name: (count == 0) & counted[:, None] for name, count in outcome.spike_count.items()})
    network, memory, acted = remedy.apply(model.network, silent, state.remedy)
    changed = eqx.tree_at(lambda m: m.network, model, network)
    return eqx.filter(changed, kept_in_state(task.experiment, changed)), memory, acted


def _with_statistics(task: Task, parameters: PyTree, frozen: PyTree, updates: dict) -> PyTree:
    """The parameters, with the statistics of normalisations that the batch left."""
    model = eqx.combine(parameters, frozen, task.static)
    changed = eqx.tree_at(lambda m: m.network, model, st.updated(model.network, updates))
    return eqx.filter(changed, kept_in_state(task.experiment, changed))


def _augmentation_key(key: PRNGKeyArray) -> PRNGKeyArray:
    # Not one of the two into which the sample's key is split later.
    return jax.random.fold_in(key, 1)
