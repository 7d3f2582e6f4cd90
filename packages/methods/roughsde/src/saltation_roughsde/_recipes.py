"""Recipes: distributions of spike trains that a stochastic network learns."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray

import saltation as st

from ._first_spikes import first_spikes_mse
from ._lift import marcus_lift
from ._mmd import mmd_squared
from ._samples import (
    NETWORK_FADE,
    NETWORK_SPIKES,
    NETWORK_T1,
    SINGLE_SPIKES,
    SINGLE_T1,
    layers_4_16_2,
    load_sampled_trains,
    network_method,
    single_method,
    single_neuron,
)
from ._signature import expected_signature_distance
from ._spike_kernel import spike_gram


def estimate_current(
    *,
    loss: str = "signature",
    samples: int = 128,
    sigma: float = 0.25,
    start: float = 0.565,
    steps: int = 1500,
    learning_rate: float = 1e-3,
    dt: float = 0.01,
    data_seed: int = 0,
) -> st.Experiment:
    """Estimates the constant current of a stochastic neuron, 1.5, from the first three spikes of some samples.

    **Arguments:** `loss`: "signature" (distance of expected signatures at depth 3), "first_spikes" (squared difference
    of mean spike times) or "mmd" (of the signature kernel); `samples`: how many trains there are, and how many are
    drawn in a step; `start`: the first guess; `data_seed`: of the samples.
    """
    options = {
        "network": "single",
        "samples": samples,
        "sigma": sigma,
        "dt": dt,
        "seed": data_seed,
        "held_out": samples,
    }
    observed = jnp.asarray(load_sampled_trains(**options).train.targets)
    steps_per_epoch = min(50, steps)

    def distance(solution: st.Solution, output: Array, target: Array) -> Array:
        return distance_of_trains(loss, _first_of(solution, SINGLE_SPIKES), observed.astype(output.dtype), SINGLE_T1)

    def model(key: PRNGKeyArray) -> st.Model:
        return st.Model(single_neuron(sigma, jnp.array([start])), st.FirstSpikes("out"))

    return st.Experiment(
        name="roughsde/single-neuron",
        dataset="sampled_trains",
        dataset_options={**options, "repeat": steps_per_epoch},
        encoder=_constant,
        model=model,
        method=single_method(dt),
        loss=st.Loss(distance, needs=("spikes",), over="batch", name=loss),
        t1=SINGLE_T1,
        time_unit="s",
        optimiser=st.Optimiser("rmsprop", learning_rate, options={"decay": 0.7, "momentum": 0.3}),
        batch_size=samples,
        epochs=max(1, steps // steps_per_epoch),
        summary=f"one stochastic neuron, {samples} samples, sigma = {sigma}: its current by {loss}",
    )


def teacher_student(
    *,
    loss: str = "signature",
    samples: int = 256,
    sigma: float = 0.25,
    batch_size: int = 128,
    epochs: int = 30,
    learning_rate: float = 3e-3,
    dt: float = 0.01,
    data_seed: int = 0,
) -> st.Experiment:
    """A network of 4, 16 and 2 stochastic neurons learns to spike like another one, from samples of its output.

    **Arguments:** `loss`: "signature" (distance of expected signatures at depth 3) or "mmd" (of the signature
    kernel: exact, and many times slower);
    `samples`: how many trains of the teacher there are; `data_seed`: of the teacher and its samples. An epoch has 50
    steps; the learning rate falls to a third after two thirds of them.
    """
    options = {"network": "teacher", "samples": samples, "sigma": sigma, "dt": dt, "seed": data_seed, "held_out": 256}

    def distance(solution: st.Solution, output: Array, target: Array) -> Array:
        return distance_of_trains(loss, _first_of(solution, NETWORK_SPIKES), target, NETWORK_T1, fade=NETWORK_FADE)

    def model(key: PRNGKeyArray) -> st.Model:
        return st.Model(layers_4_16_2(key, sigma), st.FirstSpikes("out"))

    return st.Experiment(
        name="roughsde/teacher-student",
        dataset="sampled_trains",
        dataset_options={**options, "repeat": max(1, -(-50 * batch_size // samples))},
        encoder=_constant,
        model=model,
        method=network_method(dt),
        loss=st.Loss(distance, needs=("spikes",), over="batch", name=loss),
        t1=NETWORK_T1,
        time_unit="s",
        optimiser=st.Optimiser(
            "rmsprop",
            learning_rate,
            schedule="exponential",
            decay=1 / 3,
            decay_epochs=max(1, -(-2 * epochs // 3)),
            options={"decay": 0.7, "momentum": 0.3},
        ),
        batch_size=batch_size,
        epochs=epochs,
        summary=f"4-16-2 stochastic neurons, {samples} samples of a teacher, by {loss}",
    )


def distance_of_trains(loss: str, x: Array, y: Array, t1: float, *, fade: float = 0.0) -> Array:
    """A distance of two samples of spike trains `[samples, units, spikes]`, by name.

    **Arguments:** `fade`: for how long before `t1` a spike counts less in "mmd" and "signature", so that the gradient
    sees spikes that come in or leave there.

    **Raises:** `ValueError` for an unknown name.
    """
    if loss == "first_spikes":
        return first_spikes_mse(x, y, silent=t1)
    a, b = (jax.vmap(st.Spikes.from_dense)(times) for times in (x, y))
    if loss == "mmd":
        scales = {"time_scale": 1 / t1, "jump_scale": 0.5, "fade": (0.0, fade)}
        return mmd_squared(a, b, lambda a, b: spike_gram(a, b, t1=t1, **scales))
    if loss == "signature":
        lift = jax.vmap(lambda train: marcus_lift(train, t1=t1, fade=(0.0, fade)))
        return expected_signature_distance(lift(a), lift(b), depth=3)
    raise ValueError(f"got loss={loss!r}; expected 'signature', 'mmd' or 'first_spikes'.")


def _first_of(solution: st.Solution, spikes: int) -> Array:
    assert solution.spikes is not None
    return jax.vmap(lambda train: train.to_dense(spikes, throw=False))(solution.spikes["out"])


def _constant(x: Array, key: PRNGKeyArray) -> st.Stimulus:
    return {"in": st.Current(x)}
