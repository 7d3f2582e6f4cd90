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

from ._across import gathered
from ._devices import Devices
from ._keys import ORDER, SAMPLES, stream
from ._optimiser import make_optimiser
from ._prepare import Task
from ._solve import solve_batch
from ._step import State, make_steps
from ._tally import empty_tally, example_batch


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
    devices: Devices
    steps: Callable[..., State]
    score: Callable[..., Any]
    learning_rate: Callable[[int], Any]
    initial: State
    compile_seconds: float

    def order(self, epoch: int) -> np.ndarray:
        """The rows of each batch of an epoch, `[steps, batch]`."""
        return np.asarray(epoch_order(self.task, epoch))

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
    """Copies of all arrays on this process's first device, in memory that nothing else has."""
    return jax.tree.map(lambda leaf: jnp.array(leaf, copy=True), tree)


def compile_engine(task: Task, devices: Devices) -> Engine:
    """Compiles all that a run calls, before the first step, and measures how long that takes."""
    start = time.perf_counter()
    initial, optimiser, schedule = initial_state(task)
    train = task.dataset.train
    make = make_steps(task, optimiser)

    def run(state, frozen, inputs, targets, order, key_data, start, stop):
        return make(state, frozen, inputs, targets, order, jax.random.wrap_key_data(key_data), start, stop)

    fixed = devices.replicate((task.frozen, train.inputs, train.targets))
    size = task.experiment.batch_size
    example = np.zeros((task.steps_per_epoch, size), np.int32), _data(jax.random.key(0)), *_bounds(0, 0)
    arguments = devices.replicate(initial), *fixed, *devices.replicate(example)
    lowered = jax.jit(devices.each(run), donate_argnums=0).lower(*arguments)
    # XLA leaves Python alone while it compiles, so that the two do not wait for each other.
    with ThreadPoolExecutor(1) as pool:
        compiling = pool.submit(lowered.compile)
        score = compile_score(task, devices)
        compiled = compiling.result()

    def steps(state: State, order: np.ndarray, key: PRNGKeyArray, start: int, stop: int) -> State:
        return compiled(state, *fixed, *devices.replicate((order, _data(key), *_bounds(start, stop))))

    return Engine(task, devices, steps, score, schedule, initial, time.perf_counter() - start)


def compile_score(task: Task, devices: Devices) -> Callable[..., Any]:
    """`score(parameters, inputs, targets, keys) -> Outcome` of one batch, without dropout and the like."""

    def score(parameters: PyTree, frozen: PyTree, inputs: Array, targets: Array, key_data: Array):
        model = eqx.nn.inference_mode(eqx.combine(parameters, frozen, task.static))
        keys = jax.random.wrap_key_data(key_data)
        return gathered(solve_batch(task.experiment, model, inputs, targets, keys, shared=True))

    def placed(parameters: PyTree, inputs: np.ndarray, targets: np.ndarray, keys: Key[Array, " batch"]):
        return *devices.replicate((parameters, task.frozen)), *devices.split((inputs, targets, _data(keys)))

    each = devices.each(score, shared=(False, False, True, True, True))
    compiled = jax.jit(each).lower(*placed(task.parameters, *_example(task))).compile()
    return lambda parameters, *batch: compiled(*placed(parameters, *batch))


def _example(task: Task) -> tuple[np.ndarray, np.ndarray, Key[Array, " batch"]]:
    inputs, targets, keys = example_batch(task)
    return np.asarray(inputs), np.asarray(targets), keys


def _data(keys: Key[Array, "..."]) -> np.ndarray:
    # What processes hand to a computation that they share are plain numbers.
    return np.asarray(jax.random.key_data(keys))


def _bounds(start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
    return np.asarray(start, np.int32), np.asarray(stop, np.int32)
