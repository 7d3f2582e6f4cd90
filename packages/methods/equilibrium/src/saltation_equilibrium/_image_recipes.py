"""Recipes: convolutional networks with feedback. Time is in steps; thresholds and weights are charges."""

import functools
from collections.abc import Callable, Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray

import saltation as st

from ._contracting import Contracting
from ._equilibrium import Equilibrium
from ._picard import Picard
from ._recipes import neuron

_THRESHOLD = 1.0


class Stack(NamedTuple):
    """Convolutions one after the other, `(channels, kernel, stride)` each, and the kernel of the feedback."""

    layers: tuple[tuple[int, int, int], ...]
    feedback: int


SINGLE = Stack(((64, 5, 2),), 5)
ARCHITECTURES = {
    "alexnet-f": Stack(((96, 3, 2), (256, 3, 1), (384, 3, 2), (384, 3, 1), (256, 3, 1)), 3),
    "cifarnet-f": Stack(((128, 3, 2), (256, 3, 1), (512, 3, 2), (1024, 3, 1), (512, 3, 1)), 3),
}


def mnist(
    *,
    channels: int = 64,
    steps: int = 30,
    leak: float = 0.95,
    epochs: int = 40,
    batch_size: int = 128,
    learning_rate: float = 0.05,
    dropout: float = 0.2,
    gradient_at: str = "rates",
    shift: int = 1,
) -> st.Experiment:
    """MNIST with one convolutional layer that feeds back to itself, 64C5s(F64C5).

    **Arguments:** as `fashion_mnist`; `channels`: of the layer; `dropout`: of the feedback; `shift`: by how many pixels
    training images are moved at most.
    """
    return _convolutional(
        name="equilibrium/mnist",
        dataset="mnist",
        shape=(28, 28, 1),
        mean=(0.1307,),
        deviation=(0.3081,),
        stack=Stack(((channels, 5, 2),), 5),
        classes=10,
        steps=steps,
        leak=leak,
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        dropout=dropout,
        gradient_at=gradient_at,
        augment=functools.partial(st.shifted, pixels=shift) if shift else None,
        summary=f"MNIST, {channels}C5s(F{channels}C5), {steps} steps",
    )


def nmnist(
    *,
    steps: int = 30,
    leak: float = 0.95,
    epochs: int = 100,
    batch_size: int = 128,
    learning_rate: float = 0.05,
    dropout: float = 0.2,
    gradient_at: str = "rates",
    train_size: int | None = None,
    test_size: int | None = None,
) -> st.Experiment:
    """N-MNIST, spike trains of an event camera, with one convolutional layer that feeds back, 64C5s(F64C5).

    **Arguments:** as `mnist`; `train_size`, `test_size`: how many recordings are read, all if left out (5 GB).
    """
    return _convolutional(
        name="equilibrium/nmnist",
        dataset="n_mnist",
        dataset_options={"steps": steps, "train_size": train_size, "test_size": test_size},
        shape=(34, 34, 2),
        mean=None,
        deviation=None,
        stack=SINGLE,
        classes=10,
        steps=steps,
        leak=leak,
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        dropout=dropout,
        gradient_at=gradient_at,
        summary=f"N-MNIST, 64C5s(F64C5), {steps} steps",
    )


def cifar10(
    *,
    architecture: str = "cifarnet-f",
    steps: int = 100,
    leak: float = 1.0,
    epochs: int = 200,
    batch_size: int = 128,
    learning_rate: float = 0.05,
    dropout: float = 0.2,
    gradient_at: str = "rates",
) -> st.Experiment:
    """CIFAR-10 with five convolutional layers, the last of which feeds back to the first.

    **Arguments:** as `mnist`; `architecture`: "alexnet-f" or "cifarnet-f".
    """
    return _cifar("cifar10", 10, architecture, steps, leak, epochs, batch_size, learning_rate, dropout, gradient_at)


def cifar100(
    *,
    architecture: str = "cifarnet-f",
    steps: int = 100,
    leak: float = 1.0,
    epochs: int = 200,
    batch_size: int = 128,
    learning_rate: float = 0.05,
    dropout: float = 0.2,
    gradient_at: str = "rates",
) -> st.Experiment:
    """CIFAR-100, as `cifar10`."""
    return _cifar("cifar100", 100, architecture, steps, leak, epochs, batch_size, learning_rate, dropout, gradient_at)


def _cifar(
    dataset: str,
    classes: int,
    architecture: str,
    steps: int,
    leak: float,
    epochs: int,
    batch_size: int,
    learning_rate: float,
    dropout: float,
    gradient_at: str,
) -> st.Experiment:
    if architecture not in ARCHITECTURES:
        raise ValueError(f"got architecture={architecture!r}; expected one of {list(ARCHITECTURES)}.")
    return _convolutional(
        name=f"equilibrium/{dataset}",
        dataset=dataset,
        shape=(32, 32, 3),
        mean=(0.4914, 0.4822, 0.4465),
        deviation=(0.2470, 0.2435, 0.2616),
        stack=ARCHITECTURES[architecture],
        classes=classes,
        steps=steps,
        leak=leak,
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        dropout=dropout,
        gradient_at=gradient_at,
        augment=_shift_and_mirror,
        summary=f"{dataset}, {architecture}, {steps} steps",
    )


def _convolutional(
    *,
    name: str,
    dataset: str,
    shape: tuple[int, int, int],
    mean: Sequence[float] | None,
    deviation: Sequence[float] | None,
    stack: Stack,
    classes: int,
    steps: int,
    leak: float,
    epochs: int,
    batch_size: int,
    learning_rate: float,
    dropout: float,
    gradient_at: str,
    summary: str,
    dataset_options: dict | None = None,
    augment: Callable[[Array, PRNGKeyArray], Array] | None = None,
) -> st.Experiment:
    def model(key: PRNGKeyArray) -> st.Model:
        network_key, readout_key = jax.random.split(key)
        network = _network(shape, stack, leak, dropout, network_key)
        (output,) = network.outputs
        return st.Model(network, st.Linear(st.Rates(output), network.size(output), classes, key=readout_key))

    def current(x: Array, key: PRNGKeyArray) -> st.Stimulus:
        assert mean is not None and deviation is not None
        image = x.reshape(shape)
        normal = (image - jnp.asarray(mean, x.dtype)[None, None]) / jnp.asarray(deviation, x.dtype)[None, None]
        return {"in": st.constant_current(normal)}

    def spikes(x: Array, key: PRNGKeyArray) -> st.Stimulus:
        return {"in": _in_the_middle_of_steps(x)}

    return st.Experiment(
        name=name,
        dataset=dataset,
        dataset_options=dataset_options or {},
        encoder=spikes if mean is None else current,
        augment=augment,
        model=model,
        method=Equilibrium(gradient_at=gradient_at, forward=Picard(rtol=1e-3), backward=Picard(rtol=1e-3)),
        loss=st.Loss(
            lambda solution, scores, label: st.rate_cross_entropy(scores, label),
            needs=("rates",),
            name="rate_cross_entropy",
        ),
        save=st.Save(spikes=False, rates=True),
        trainable=("weight", "bias", "gain", "shift"),
        t1=float(steps),
        time_unit="steps",
        optimiser=st.Optimiser(
            "sgd", learning_rate, schedule="cosine", weight_decay=5e-4, options={"momentum": 0.9}, clip_norm=5.0
        ),
        batch_size=batch_size,
        epochs=epochs,
        summary=summary,
    )


def _network(shape: tuple[int, int, int], stack: Stack, leak: float, dropout: float, key: PRNGKeyArray) -> st.Network:
    """Normalised convolutions, and feedback from the last layer to the first that contracts."""
    keys = jax.random.split(key, len(stack.layers) + 1)
    prototype = neuron(leak, _THRESHOLD)
    neurons, connections, shapes = {}, [], {"in": shape}
    source = "in"
    for number, (channels, side, stride) in enumerate(stack.layers, start=1):
        name = f"hidden{number}"
        synapse = st.Conv2d(_kernel(keys[number - 1], side, shapes[source][2], channels), shapes[source], stride=stride)
        shapes[name] = synapse.shape_out
        neurons[name] = prototype.with_shape(synapse.shape_out)
        connections.append(st.Connection(source, name, st.Normalised(synapse, channels, gain=0.5 * _THRESHOLD)))
        source = name
    first, last = "hidden1", source
    kernel = 0.3 * _kernel(keys[-1], stack.feedback, shapes[last][2], shapes[first][2])
    ratio = shapes[first][0] // shapes[last][0]
    back = st.Conv2d(kernel, shapes[last]) if ratio == 1 else st.ConvTranspose2d(kernel, shapes[last], stride=ratio)
    # Dropout makes what is left stronger, so the norm is bounded with room for it.
    feedback = Contracting(back, bound=0.9 * _THRESHOLD * (1 - dropout), steps=12)
    connections.append(st.Connection(last, first, st.Dropout(feedback, dropout)))
    return st.Network({"in": shape}, neurons, connections, [last])


def _kernel(key: PRNGKeyArray, side: int, channels_in: int, channels_out: int) -> Array:
    return jax.random.normal(key, (side, side, channels_in, channels_out)) / (side * channels_in**0.5)


def _in_the_middle_of_steps(counts: Array) -> st.Spikes:
    """Counts `[steps, ...]` of 0 or 1 as spikes in the middle of their steps."""
    frames = counts.reshape(counts.shape[0], -1) > 0
    steps, size = frames.shape
    middle = jnp.arange(steps).astype(jnp.result_type(float))[:, None] + 0.5
    time = jnp.where(frames, middle, jnp.inf).reshape(-1)
    index = jnp.where(frames, jnp.arange(size, dtype=jnp.int32)[None], -1).reshape(-1)
    order = st.argsort_times(time)
    return st.Spikes(time[order], index[order], size)


def _shift_and_mirror(x: Array, key: PRNGKeyArray) -> Array:
    """An image moved by up to 4 pixels, and mirrored half of the time."""
    keys = jax.random.split(key)
    padded = jnp.pad(x, ((4, 4), (4, 4), (0, 0)))
    corner = jax.random.randint(keys[0], (2,), 0, 9)
    moved = jax.lax.dynamic_slice(padded, (corner[0], corner[1], jnp.zeros_like(corner[0])), x.shape)
    return jnp.where(jax.random.bernoulli(keys[1]), jnp.flip(moved, axis=1), moved)
