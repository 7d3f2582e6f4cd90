"""What is counted of an epoch, by each device for its own samples and for all of them together."""

import dataclasses
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Key

from ._across import AXIS, least, total
from ._gradient import Pass
from ._prepare import Task
from ._solve import RESULT_NAMES, Outcome, solve_batch


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


def empty_tally(task: Task) -> Tally:
    """A tally of nothing, with the populations that this task's solutions report on."""
    outcome = outcome_shapes(task)
    zero = _full((), 0, jnp.int32)
    return Tally(
        seen=zero,
        counted=zero,
        correct=zero,
        loss=_full((), 0.0, task.dtype),
        codes=_full(len(RESULT_NAMES), 0, jnp.int32),
        skipped=zero,
        remedied=zero,
        spikes={name: _full(count.shape[1:], 0, jnp.int32) for name, count in outcome.spike_count.items()},
        min_slope={name: _full((), np.inf, slope.dtype) for name, slope in outcome.min_slope.items()},
        flat=dict.fromkeys(outcome.flat, zero),
        health={name: _full((), 0.0, count.dtype) for name, count in outcome.health.items()},
        bad=_full(len(jax.tree.leaves(task.parameters)), -1, jnp.int32),
        broken=_full((), False, bool),
    )


def _full(shape: Any, value: Any, dtype: Any) -> Array:
    # By way of NumPy: JAX would compile something for each shape.
    return jnp.asarray(np.full(shape, value, dtype))


def outcome_shapes(task: Task) -> Outcome:
    """The shapes of a batch's outcome; an encoder or a loss that does not fit is noticed here first."""
    return eqx.filter_eval_shape(
        lambda parameters, *batch: solve_batch(task.experiment, task.model(parameters), *batch),
        task.parameters,
        *example_batch(task),
    )


def example_batch(task: Task) -> tuple[Array, Array, Key[Array, " batch"]]:
    """The first batch of the training split, for its shapes: all keys are the same one."""
    size = task.experiment.batch_size
    split = task.dataset.train
    data = np.asarray(jax.random.key_data(jax.random.key(0)))
    keys = jax.random.wrap_key_data(jnp.asarray(np.broadcast_to(data, (size, *data.shape))))
    return jnp.asarray(split.inputs[:size]), jnp.asarray(split.targets[:size]), keys


def count(tally: Tally, found: Pass, counted: Array, targets: Array, good: Array, bad: Array) -> Tally:
    """The tally with one more batch."""
    outcome = found.outcome
    classes = jnp.issubdtype(targets.dtype, jnp.integer)
    correct = counted & (outcome.prediction == targets) if classes else jnp.zeros_like(counted)
    codes = jnp.arange(len(RESULT_NAMES), dtype=found.code.dtype)
    return Tally(
        seen=tally.seen + counted.shape[0] * jax.lax.axis_size(AXIS),
        counted=tally.counted + found.number,
        correct=tally.correct + jnp.sum(correct).astype(jnp.int32),
        loss=tally.loss + found.loss * found.number.astype(found.loss.dtype),
        codes=tally.codes + jnp.sum(found.code[:, None] == codes[None, :], axis=0).astype(jnp.int32),
        skipped=tally.skipped + jnp.where(good, 0, 1).astype(jnp.int32),
        remedied=tally.remedied,
        spikes={
            name: tally.spikes[name] + jnp.sum(jnp.where(counted[:, None], count, 0), axis=0).astype(jnp.int32)
            for name, count in outcome.spike_count.items()
        },
        min_slope={
            name: jnp.minimum(tally.min_slope[name], jnp.min(jnp.where(counted, slope, jnp.inf)))
            for name, slope in outcome.min_slope.items()
        },
        flat={
            name: tally.flat[name] + jnp.sum(jnp.where(counted, count, 0)).astype(jnp.int32)
            for name, count in outcome.flat.items()
        },
        health={name: tally.health[name] + found.health[name] for name in outcome.health},
        bad=bad,
        broken=tally.broken,
    )


# Each device counts these for its own samples; in whole numbers the order of a sum does not matter.
_COUNTED_APART = ("correct", "codes", "spikes", "flat")


def own(tally: Tally) -> Tally:
    """The tally from which a device counts on: the first one has what was counted before."""
    first = jax.lax.axis_index(AXIS) == 0
    before = {name: getattr(tally, name) for name in _COUNTED_APART}
    return dataclasses.replace(tally, **jax.tree.map(lambda x: jnp.where(first, x, jnp.zeros_like(x)), before))


def of_all(tally: Tally) -> Tally:
    """The tally of all devices."""
    sums = total({name: getattr(tally, name) for name in _COUNTED_APART})
    return dataclasses.replace(tally, min_slope=least(tally.min_slope), **sums)
