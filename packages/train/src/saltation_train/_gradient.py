"""The gradient of the mean loss of a batch, in which samples may have failed, and which devices may share."""

from functools import partial
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int, Key, PyTree

import saltation as st

from ._across import anywhere, total
from ._prepare import Task
from ._solve import SUCCESSFUL, Outcome, solve_batch


class Pass(NamedTuple):
    """One attempt at a batch's gradient, by one of the devices that share it.

    `loss`, `gradient`, `number` (of solved samples) and `health` are sums over this device's samples first, and
    then what they come to on all of them: means, and the sums of the latter two.
    """

    tries: Array
    again: Array
    rows: Array
    mask: Array
    code: Array
    loss: Array
    outcome: Outcome
    gradient: PyTree
    number: Array
    health: dict[str, Array]


def batch_gradient(
    task: Task, parameters: PyTree, frozen: PyTree, inputs: Array, targets: Array, keys: Key[Array, " batch"]
) -> Pass:
    """The gradient of the mean loss of a batch's solved samples, and the outcome of this device's share.

    A failed sample has weight zero, but zero times what became of it inside the solver may still be NaN. If
    so, the batch is solved once more with a solved sample, of weight zero too, in place of each failed one. A
    loop runs both passes, so that the solver is compiled once.
    """
    experiment = task.experiment
    size = inputs.shape[0]
    data = frozen, inputs, targets, keys
    per_sample = experiment.loss.over == "sample"
    # What is taken over the batch is taken by all devices at the same time, so all try equally often.
    in_step = not per_sample or any(jax.tree.leaves(st.statistics_of(parameters)))

    # Compiled into what calls it; as a function of its own it is traced once, for its shapes and for its gradient.
    @partial(jax.jit, inline=True)
    def summed_loss(parameters, rows, mask, frozen, inputs, targets, keys):
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

    def attempt(last: Pass) -> Pass:
        differentiate = jax.value_and_grad(summed_loss, has_aux=True)
        (loss, outcome), gradient = differentiate(parameters, last.rows, last.mask, *data)
        code = jnp.where(last.tries == 0, outcome.code, last.code)
        solved = code == SUCCESSFUL
        first = jnp.argmax(solved).astype(last.rows.dtype)
        complete = jnp.all(solved) if per_sample else ~anywhere(~jnp.all(solved))
        mask = last.mask & solved & (complete | per_sample)
        rows = jnp.where(solved, jnp.arange(size, dtype=last.rows.dtype), first)
        some_failed = (last.tries == 0) & jnp.any(mask) & ~jnp.all(mask)
        again = jax.lax.cond(some_failed, _spoilt, lambda gradient: jnp.zeros((), bool), gradient)
        again = anywhere(again) if in_step else again
        return Pass(last.tries + 1, again, rows, mask, code, loss, outcome, gradient, *_sums(mask, outcome))

    rows = jnp.arange(size, dtype=jnp.int32)
    mask = jnp.ones(size, bool)
    loss, outcome = jax.eval_shape(summed_loss, parameters, rows, mask, *data)
    loss, outcome, gradient = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), (loss, outcome, parameters))
    start = jnp.zeros((), jnp.int32), jnp.ones((), bool), rows, mask, jnp.zeros(size, jnp.int32)
    empty = Pass(*start, loss, outcome, gradient, *_sums(mask, outcome))
    return _together(jax.lax.while_loop(lambda last: last.again, attempt, empty))


def _sums(mask: Array, outcome: Outcome) -> tuple[Array, dict[str, Array]]:
    counted = mask & (outcome.code == SUCCESSFUL)
    # As a real number, to travel with the gradient: it is exact for any batch that fits into a memory.
    number = jnp.sum(counted).astype(outcome.loss.dtype)
    # Of failed samples too: it says why they failed.
    return number, {name: jnp.sum(count) for name, count in outcome.health.items()}


def _together(found: Pass) -> Pass:
    """The pass with the means and sums over the samples of all devices, from those over this one's."""
    # Where every sample of a device failed, none could take their place, and zero times what became of them may be NaN.
    none = found.number == 0
    gradient = jax.tree.map(lambda g: jnp.where(none, 0.0, g), found.gradient)
    loss, gradient, number, health = total((found.loss, gradient, found.number, found.health))
    loss, gradient = jax.tree.map(lambda x: x / jnp.maximum(number, 1.0).astype(x.dtype), (loss, gradient))
    return found._replace(loss=loss, gradient=gradient, number=number.astype(jnp.int32), health=health)


def _spoilt(gradient: PyTree) -> Bool[Array, ""]:
    """Whether an entry is not finite, or the sum of an array overflows, which takes a fraction of the time to find."""
    return ~jnp.all(jnp.stack([jnp.isfinite(jnp.sum(leaf)) for leaf in jax.tree.leaves(gradient)]))


def first_bad(gradient: PyTree) -> Int[Array, " arrays"]:
    """For each array the first entry that is not finite, `-1` for none."""

    def search() -> Array:
        flat = [~jnp.isfinite(leaf).reshape(-1) for leaf in jax.tree.leaves(gradient)]
        return jnp.stack([jnp.where(jnp.any(x), jnp.argmax(x), -1).astype(jnp.int32) for x in flat])

    # To look at each entry takes as long as a step of the optimiser.
    none = jnp.full(len(jax.tree.leaves(gradient)), -1, jnp.int32)
    return jax.lax.cond(_spoilt(gradient), search, lambda: none)
