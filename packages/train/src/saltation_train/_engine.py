"""The compiled parts of a run: the training steps and the scoring of a batch."""

import functools
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
from jaxtyping import Array, Key, PRNGKeyArray, PyTree

from ._keys import ORDER, SAMPLES, stream
from ._optimiser import make_optimiser
from ._prepare import Task
from ._solve import solve_batch
from ._step import State, empty_tally, example_batch, make_steps


@dataclass(frozen=True, eq=False)
class Engine:
    """A task's compiled functions.

    - `steps(state, order, key, start, stop) -> state`: training steps; gives up the memory of the state it
      got.
    - `score(parameters, inputs, targets, keys) -> Outcome`: a batch in evaluation mode.
    - `learning_rate(step)`.
    - `initial`: the state before the first step, on the host.
    """

    task: Task
    steps: Callable[..., State]
    score: Callable[..., Any]
    learning_rate: Callable[[int], Any]
    initial: State
    compile_seconds: float

    def order(self, epoch: int) -> Array:
        """The rows of each batch of an epoch, `[steps, batch]`."""
        return epoch_order(self.task, epoch)

    def key(self, epoch: int) -> PRNGKeyArray:
        """The key from which the samples of an epoch draw."""
        return jax.random.fold_in(stream(self.task.seed, SAMPLES), epoch)


def epoch_order(task: Task, epoch: int) -> Array:
    """The rows of each batch of an epoch, `[steps, batch]`: a function of the seed and the epoch alone.

    The last, incomplete batch is left out; another order in each epoch leaves out other samples.
    """
    shape = task.steps_per_epoch, task.experiment.batch_size
    return _order(stream(task.seed, ORDER), epoch, len(task.dataset.train), shape)


@functools.partial(jax.jit, static_argnums=(2, 3))
def _order(key: PRNGKeyArray, epoch: int | Array, samples: int, shape: tuple[int, int]) -> Array:
    rows = jax.random.permutation(jax.random.fold_in(key, epoch), samples)
    return rows[: shape[0] * shape[1]].reshape(shape).astype(jnp.int32)


def initial_state(task: Task) -> tuple[State, optax.GradientTransformation, Callable[[int], Any]]:
    """The state before the first step, on the host, the optimiser, and its learning rate by step."""
    optimiser, schedule = make_optimiser(
        task.experiment.optimiser,
        task.parameters,
        trainable=task.experiment.trainable,
        epochs=task.experiment.epochs,
        steps_per_epoch=task.steps_per_epoch,
    )
    remedy = task.experiment.remedy
    memory = None if remedy is None else remedy.init(task.model(task.parameters).network)
    state = State(task.parameters, optimiser.init(task.parameters), empty_tally(task), memory)
    return on_host(state), optimiser, schedule


def on_host(tree: PyTree) -> PyTree:
    """NumPy copies of all arrays."""
    return jax.tree.map(np.array, tree)


def on_device(tree: PyTree) -> PyTree:
    """Copies of all arrays that may be donated: nothing else has their memory."""
    return jax.tree.map(lambda leaf: jnp.array(leaf, copy=True), tree)


def compile_engine(task: Task) -> Engine:
    """Compiles all that a run calls, before the first step, and measures how long that takes."""
    start = time.perf_counter()
    initial, optimiser, schedule = initial_state(task)
    train = task.dataset.train
    inputs, targets = jax.device_put((train.inputs, train.targets))
    size = task.experiment.batch_size
    order = jax.ShapeDtypeStruct((task.steps_per_epoch, size), jnp.int32)
    index = jax.ShapeDtypeStruct((), jnp.int32)
    lowered = jax.jit(make_steps(task, optimiser), donate_argnums=0).lower(
        initial, task.frozen, inputs, targets, order, jax.random.key(0), index, index
    )
    # XLA leaves Python alone while it compiles, so that the two do not wait for each other.
    with ThreadPoolExecutor(1) as pool:
        compiling = pool.submit(lowered.compile)
        score = compile_score(task)
        compiled = compiling.result()

    def steps(state: State, order: Array, key: PRNGKeyArray, start: int, stop: int) -> State:
        bounds = jnp.asarray(start, jnp.int32), jnp.asarray(stop, jnp.int32)
        return compiled(state, task.frozen, inputs, targets, order, key, *bounds)

    return Engine(task, steps, score, schedule, initial, time.perf_counter() - start)


def compile_score(task: Task) -> Callable[..., Any]:
    """`score(parameters, inputs, targets, keys) -> Outcome` of one batch, without dropout and the like."""

    def score(parameters: PyTree, frozen: PyTree, inputs: Array, targets: Array, keys: Key[Array, " batch"]):
        model = eqx.nn.inference_mode(eqx.combine(parameters, frozen, task.static))
        return solve_batch(task.experiment, model, inputs, targets, keys)

    compiled = jax.jit(score).lower(task.parameters, task.frozen, *example_batch(task)).compile()
    return lambda parameters, *batch: compiled(parameters, task.frozen, *batch)
