"""The training step, and many of them in one call: compiled once, dispatched about twice a second."""

from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Bool, Float, Int, Key, PRNGKeyArray, PyTree

import saltation as st

from ._across import AXIS, anywhere, gathered, least, share, total
from ._prepare import Task, kept_in_state
from ._solve import RESULT_NAMES, SUCCESSFUL, Outcome, solve_batch


class Tally(eqx.Module):
    """Sums over the samples of an epoch so far.

    - `seen`, `counted`, `correct`: samples, those solved, and those of them with the right class.
    - `loss`: the sum over counted samples.
    - `codes`: how many samples ended in each of `RESULT_NAMES`.
    - `skipped`: steps without an update, since a gradient was not finite or no sample was solved.
    - `remedied`: steps in which the experiment's remedy took the place of the update.
    - `spikes`: of each neuron, `[n]` by population; `min_slope`: the flattest crossing by population.
    - `flat`: spikes without a derivative by population; `health`: counters of a backend in the loop.
    - `bad`: for each trained array the first entry whose gradient was last seen not finite, `-1` for none.
    - `broken`: the loss of a solved sample was not finite; nothing is changed from there on.
    """

    seen: Int[Array, ""]
    counted: Int[Array, ""]
    correct: Int[Array, ""]
    loss: Float[Array, ""]
    codes: Int[Array, " results"]
    skipped: Int[Array, ""]
    remedied: Int[Array, ""]
    spikes: dict[str, Int[Array, " n"]]
    min_slope: dict[str, Float[Array, ""]]
    flat: dict[str, Int[Array, ""]]
    health: dict[str, Float[Array, ""]]
    bad: Int[Array, " arrays"]
    broken: Bool[Array, ""]


class State(eqx.Module):
    """What training changes, and what a checkpoint holds. `remedy` is the memory of the experiment's remedy, if any."""

    parameters: PyTree
    optimiser: PyTree
    tally: Tally
    remedy: PyTree = None


class _Pass(NamedTuple):
    """One attempt at a batch's gradient, by one of the devices that share it."""

    tries: Array
    again: Array
    rows: Array
    mask: Array
    code: Array
    loss: Array
    outcome: Outcome
    gradient: PyTree


def empty_tally(task: Task) -> Tally:
    """A tally of nothing, with the populations that this task's solutions report on."""
    outcome = outcome_shapes(task)
    zero = jnp.zeros((), jnp.int32)
    return Tally(
        seen=zero,
        counted=zero,
        correct=zero,
        loss=jnp.zeros((), task.dtype),
        codes=jnp.zeros(len(RESULT_NAMES), jnp.int32),
        skipped=zero,
        remedied=zero,
        spikes={name: jnp.zeros(count.shape[1:], jnp.int32) for name, count in outcome.spike_count.items()},
        min_slope={name: jnp.full((), jnp.inf, slope.dtype) for name, slope in outcome.min_slope.items()},
        flat=dict.fromkeys(outcome.flat, zero),
        health={name: jnp.zeros((), count.dtype) for name, count in outcome.health.items()},
        bad=jnp.full(len(jax.tree.leaves(task.parameters)), -1, jnp.int32),
        broken=jnp.zeros((), bool),
    )


def outcome_shapes(task: Task) -> Outcome:
    """The shapes of a batch's outcome; an encoder or a loss that does not fit is noticed here first."""
    return eqx.filter_eval_shape(
        lambda parameters, *batch: solve_batch(task.experiment, task.model(parameters), *batch),
        task.parameters,
        *example_batch(task),
    )


def example_batch(task: Task) -> tuple[Array, Array, Key[Array, " batch"]]:
    """The first batch of the training split."""
    size = task.experiment.batch_size
    split = task.dataset.train
    keys = jax.random.split(jax.random.key(0), size)
    return jnp.asarray(split.inputs[:size]), jnp.asarray(split.targets[:size]), keys


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

        return jax.lax.while_loop(going, step, (start, state))[1]

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
    found = _gradient(task, state.parameters, frozen, inputs, targets, keys)
    counted = found.mask & (found.outcome.code == SUCCESSFUL)
    bad = _first_bad(found.gradient)
    solved = anywhere(jnp.any(counted))
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
    tally = _count(state.tally, found, counted, targets, good | acted, bad)
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


def _gradient(
    task: Task, parameters: PyTree, frozen: PyTree, inputs: Array, targets: Array, keys: Key[Array, " batch"]
) -> _Pass:
    """The gradient of the mean loss of a batch's solved samples, and the outcome of this device's share.

    A failed sample has weight zero, but zero times what became of it inside the solver may still be NaN. If
    so, the batch is solved once more with a solved sample, of weight zero too, in place of each failed one. A
    loop runs both passes, so that the solver is compiled once.
    """
    experiment = task.experiment
    size = inputs.shape[0]
    per_sample = experiment.loss.over == "sample"

    def summed_loss(parameters, rows, mask):
        # Statistics are among the parameters, since a run changes them, but no gradient does.
        statistics = st.statistics_of(parameters)
        parameters = jax.tree.map(lambda p, s: jax.lax.stop_gradient(p) if s else p, parameters, statistics)
        model = eqx.combine(parameters, frozen, task.static)
        outcome = solve_batch(experiment, model, inputs[rows], targets[rows], keys[rows], shared=True)
        counted = mask & (outcome.code == SUCCESSFUL)
        if not per_sample:
            # A loss over the batch cannot leave samples out: a batch with a failed one has no gradient.
            counted = counted & ~anywhere(~jnp.all(counted))
        return jnp.sum(jnp.where(counted, outcome.loss, 0.0)), outcome

    def attempt(last: _Pass) -> _Pass:
        (loss, outcome), gradient = jax.value_and_grad(summed_loss, has_aux=True)(parameters, last.rows, last.mask)
        code = jnp.where(last.tries == 0, outcome.code, last.code)
        solved = code == SUCCESSFUL
        first = jnp.argmax(solved).astype(last.rows.dtype)
        complete = jnp.all(solved) if per_sample else ~anywhere(~jnp.all(solved))
        mask = last.mask & solved & (complete | per_sample)
        rows = jnp.where(solved, jnp.arange(size, dtype=last.rows.dtype), first)
        replaceable = jnp.any(mask) & ~jnp.all(mask)
        again = (last.tries == 0) & anywhere(_spoilt(gradient) & replaceable)
        return _Pass(last.tries + 1, again, rows, mask, code, loss, outcome, gradient)

    rows = jnp.arange(size, dtype=jnp.int32)
    mask = jnp.ones(size, bool)
    (loss, outcome), gradient = eqx.filter_eval_shape(
        lambda p: jax.value_and_grad(summed_loss, has_aux=True)(p, rows, mask), parameters
    )
    loss, outcome, gradient = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), (loss, outcome, gradient))
    start = jnp.zeros((), jnp.int32), jnp.ones((), bool)
    empty = _Pass(*start, rows, mask, jnp.zeros(size, jnp.int32), loss, outcome, gradient)
    found = jax.lax.while_loop(lambda last: last.again, attempt, empty)
    return _mean(found)


def _mean(found: _Pass) -> _Pass:
    """The pass with loss and gradient over the solved samples of all devices, instead of sums over this one's."""
    counted = found.mask & (found.outcome.code == SUCCESSFUL)
    # Where every sample of a device failed, none could take their place.
    useless = _spoilt(found.gradient) & ~jnp.any(counted)
    gradient = jax.tree.map(lambda g: jnp.where(useless, 0.0, g), found.gradient)
    loss, gradient, number = total((found.loss, gradient, jnp.sum(counted).astype(jnp.int32)))
    divide = lambda x: x / jnp.maximum(number, 1).astype(x.dtype)  # noqa: E731
    return found._replace(loss=divide(loss), gradient=jax.tree.map(divide, gradient))


def _augmentation_key(key: PRNGKeyArray) -> PRNGKeyArray:
    # Not one of the two into which the sample's key is split later.
    return jax.random.fold_in(key, 1)


def _spoilt(gradient: PyTree) -> Bool[Array, ""]:
    return jnp.any(_first_bad(gradient) >= 0)


def _first_bad(gradient: PyTree) -> Int[Array, " arrays"]:
    """For each array the first entry that is not finite, `-1` for none."""
    flat = [~jnp.isfinite(leaf).reshape(-1) for leaf in jax.tree.leaves(gradient)]
    return jnp.stack([jnp.where(jnp.any(x), jnp.argmax(x), -1).astype(jnp.int32) for x in flat])


def _count(tally: Tally, found: _Pass, counted: Array, targets: Array, good: Array, bad: Array) -> Tally:
    outcome = found.outcome
    classes = jnp.issubdtype(targets.dtype, jnp.integer)
    correct = counted & (outcome.prediction == targets) if classes else jnp.zeros_like(counted)
    codes = jnp.arange(len(RESULT_NAMES), dtype=found.code.dtype)
    sums = total(
        {
            "counted": jnp.sum(counted).astype(jnp.int32),
            "correct": jnp.sum(correct).astype(jnp.int32),
            "codes": jnp.sum(found.code[:, None] == codes[None, :], axis=0).astype(jnp.int32),
            "spikes": {
                name: jnp.sum(jnp.where(counted[:, None], count, 0), axis=0).astype(jnp.int32)
                for name, count in outcome.spike_count.items()
            },
            "flat": {
                name: jnp.sum(jnp.where(counted, count, 0)).astype(jnp.int32) for name, count in outcome.flat.items()
            },
            # Of failed samples too: it says why they failed.
            "health": {name: jnp.sum(count) for name, count in outcome.health.items()},
        }
    )
    slopes = least({name: jnp.min(jnp.where(counted, x, jnp.inf)) for name, x in outcome.min_slope.items()})
    more = lambda one, other: jax.tree.map(jnp.add, one, other)  # noqa: E731
    return Tally(
        seen=tally.seen + counted.shape[0] * jax.lax.axis_size(AXIS),
        counted=tally.counted + sums["counted"],
        correct=tally.correct + sums["correct"],
        loss=tally.loss + found.loss * sums["counted"].astype(found.loss.dtype),
        codes=tally.codes + sums["codes"],
        skipped=tally.skipped + jnp.where(good, 0, 1).astype(jnp.int32),
        remedied=tally.remedied,
        spikes=more(tally.spikes, sums["spikes"]),
        min_slope=jax.tree.map(jnp.minimum, tally.min_slope, slopes),
        flat=more(tally.flat, sums["flat"]),
        health=more(tally.health, sums["health"]),
        bad=bad,
        broken=tally.broken,
    )
