"""Recipes: fully connected networks with feedback. Time is in steps; thresholds and weights are charges."""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray

import saltation as st

from ._contracting import Contracting
from ._equilibrium import Equilibrium
from ._monotone import Monotone
from ._picard import Picard


def digits(
    *,
    hidden: int = 200,
    steps: int = 20,
    leak: float = 1.0,
    epochs: int = 60,
    batch_size: int = 64,
    learning_rate: float = 0.05,
    dropout: float = 0.1,
    feedback: str = "contracting",
    gradient_at: str = "fixed_point",
    noise: float = 0.1,
) -> st.Experiment:
    """Handwritten digits of 8 x 8 pixels, which come with the data-sets package, so it runs offline.

    **Arguments:** as `fashion_mnist`; `noise`: standard deviation of noise on training pixels, of the full range.
    """
    return _fully_connected(
        name="equilibrium/digits",
        dataset="digits",
        features=64,
        mean=0.31,
        deviation=0.38,
        hidden=hidden,
        steps=steps,
        leak=leak,
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        dropout=dropout,
        feedback=feedback,
        gradient_at=gradient_at,
        noise=noise,
        mirror=False,
        normalise=False,
        weight_decay=5e-4,
        summary=f"8 x 8 digits, {hidden} neurons with feedback, {steps} steps",
    )


def fashion_mnist(
    *,
    hidden: int = 400,
    steps: int = 5,
    leak: float = 1.0,
    epochs: int = 100,
    batch_size: int = 128,
    learning_rate: float = 0.05,
    dropout: float = 0.2,
    feedback: str = "contracting",
    gradient_at: str = "rates",
    noise: float = 0.0,
    mirror: bool = False,
    normalise: bool = True,
    weight_decay: float = 1e-4,
    validation_size: int = 1000,
) -> st.Experiment:
    """Fashion-MNIST with one layer that feeds back to itself.

    **Arguments:** `steps`: of the simulation; `leak`: what a step leaves of a charge (1: IF, less: LIF); `dropout`: the
    share of inputs and of feedback that is dropped in training; `feedback`: "contracting", "monotone" or "free";
    `gradient_at`: as of `Equilibrium`; `noise`: standard deviation of noise on training pixels; `mirror`: whether
    training images are mirrored, left and right, half of the time; `normalise`: whether what the image brings to each
    neuron has its mean and variance over the batch set; `validation_size`: of the 60,000 images, how many are not
    trained on but choose the parameters to keep.
    """
    return _fully_connected(
        name="equilibrium/fashion-mnist",
        dataset="fashion_mnist",
        dataset_options={"validation_size": validation_size},
        features=784,
        mean=0.286,
        deviation=0.353,
        hidden=hidden,
        steps=steps,
        leak=leak,
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        dropout=dropout,
        feedback=feedback,
        gradient_at=gradient_at,
        noise=noise,
        mirror=mirror,
        normalise=normalise,
        weight_decay=weight_decay,
        summary=f"Fashion-MNIST, {hidden} neurons with feedback, {steps} steps",
    )


_THRESHOLD = 2.0


def _fully_connected(
    *,
    name: str,
    dataset: str,
    dataset_options: dict[str, int] | None = None,
    features: int,
    mean: float,
    deviation: float,
    hidden: int,
    steps: int,
    leak: float,
    epochs: int,
    batch_size: int,
    learning_rate: float,
    dropout: float,
    feedback: str,
    gradient_at: str,
    noise: float,
    mirror: bool,
    normalise: bool,
    weight_decay: float,
    summary: str,
) -> st.Experiment:
    def model(key: PRNGKeyArray) -> st.Model:
        keys = jax.random.split(key, 3)
        weight = jax.random.normal(keys[0], (features, hidden)) * features**-0.5
        into = st.Dropout(st.Dense(weight), dropout)
        if normalise:
            into = st.Normalised(into, gain=0.5 * _THRESHOLD)
        network = st.Network(
            {"in": features, "bias": 1},
            {"hidden": neuron(leak, _THRESHOLD).with_shape(hidden)},
            [
                st.Connection("in", "hidden", into),
                st.Connection("bias", "hidden", st.Dense(jnp.full((1, hidden), 0.5 * _THRESHOLD))),
                st.Connection("hidden", "hidden", st.Dropout(_feedback(feedback, hidden, keys[1]), dropout)),
            ],
            ["hidden"],
        )
        return st.Model(network, st.Linear(st.Rates("hidden"), hidden, 10, key=keys[2]))

    def encoder(x: Array, key: PRNGKeyArray) -> st.Stimulus:
        return {"in": st.constant_current((x - mean) / deviation), "bias": st.Current(jnp.ones(1, x.dtype))}

    def augment(x: Array, key: PRNGKeyArray) -> Array:
        coin, draws = jax.random.split(key)
        if mirror:
            x = jnp.where(jax.random.bernoulli(coin), jnp.flip(x, axis=1), x)
        return x + noise * jax.random.normal(draws, x.shape, x.dtype) if noise else x

    return st.Experiment(
        name=name,
        dataset=dataset,
        dataset_options=dataset_options or {},
        encoder=encoder,
        augment=augment if noise or mirror else None,
        model=model,
        method=Equilibrium(gradient_at=gradient_at, forward=Picard(rtol=1e-3), backward=Picard(rtol=1e-3)),
        loss=st.Loss(
            lambda solution, scores, label: st.rate_cross_entropy(scores, label),
            needs=("rates",),
            name="rate_cross_entropy",
        ),
        save=st.Save(spikes=False, rates=True),
        trainable=("weight", "bias", *(["skew"] * (feedback == "monotone")), *(["gain", "shift"] * normalise)),
        t1=float(steps),
        time_unit="steps",
        optimiser=st.Optimiser(
            "sgd",
            learning_rate,
            schedule="cosine",
            weight_decay=weight_decay,
            options={"momentum": 0.9},
            clip_norm=5.0,
        ),
        batch_size=batch_size,
        epochs=epochs,
        summary=summary,
    )


def neuron(leak: float, threshold: float) -> st.AbstractNeuron:
    """A prototype with a threshold in charge, of whose charge a step leaves `leak`.

    **Raises:** `ValueError` for a leak outside (0, 1].
    """
    if not 0 < leak <= 1:
        raise ValueError(f"got leak={leak}; expected what a step leaves of a charge, in (0, 1].")
    if leak == 1:
        return st.get_neuron("if")(tau_syn=None, reset_mode="subtract", v_threshold=threshold)
    tau_mem = -1 / math.log(leak)
    return st.get_neuron("lif")(tau_mem=tau_mem, tau_syn=None, reset_mode="subtract", v_threshold=threshold / tau_mem)


def _feedback(kind: str, size: int, key: PRNGKeyArray) -> st.AbstractSynapse:
    if kind == "monotone":
        return Monotone.random(size, scale=_THRESHOLD, key=key)
    weight = jax.random.normal(key, (size, size)) * (0.25 * _THRESHOLD / size**0.5)
    if kind == "contracting":
        return Contracting(st.Dense(weight), bound=0.9 * _THRESHOLD, steps=12)
    if kind == "free":
        return st.Dense(weight)
    raise ValueError(f"got feedback={kind!r}; expected 'contracting', 'monotone' or 'free'.")
