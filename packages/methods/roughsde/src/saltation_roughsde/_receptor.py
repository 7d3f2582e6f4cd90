"""A recipe on real spikes: the auditory receptor of a grasshopper, and the sound that it heard."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

import saltation as st

from ._lift import marcus_lift
from ._roughsde import RoughSDE
from ._signature import truncated_signature

LEAD = 20.0  # ms
TRAINED = ("tau_mem", "beta", "alpha", "sigma", "v_drop")
# From the sound to a spike it takes 5 ms, [ms].
LAGS = (2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 10.0, 12.0, 15.0)
_FIRST_LAG = 5.0
# The logarithm of the amplitude is about normal, with a deviation of 6 dB.
_MEAN, _DEVIATION = -2.07, 0.68
_ROOM = 12
_RESOLUTION = 1.0


def receptor(
    *,
    window: float = 25.0,
    trials: int = 8,
    depth: int = 4,
    fade: float = 5.0,
    time_scale: float = 2.0,
    jump_scale: float = 1.0,
    recording: int = 1,
    batch_size: int = 40,
    epochs: int = 120,
    learning_rate: float = 1e-2,
) -> st.Experiment:
    """A stochastic neuron learns to spike like an auditory receptor of a grasshopper that hears the same sound.

    Its current is a filter of the sound's level; the filter and the neuron's time constant, rest, noise, steepness,
    drop and refractory hazard are learnt. In each window `trials` samples of the model are compared to the one
    recorded train by the kernel score of signatures up to `depth`.

    **Arguments:** `window` and `fade` in ms: a spike counts less near the ends of a window, so that the gradient knows
    of spikes that come in or leave; `time_scale`: the duration of a window, `jump_scale`: a spike, both as lengths of
    the path; `recording`: 1 or 2.
    """
    scales = {"t1": window, "time_scale": time_scale / window, "jump_scale": jump_scale, "fade": (fade, fade)}

    def score(solution: st.Solution, output: Array, target: Array) -> Array:
        assert solution.spikes is not None
        samples = in_window(solution.spikes["out"].to_dense(_ROOM, throw=False))
        return signature_score(samples, target[0], depth=depth, **scales)

    def model(key: PRNGKeyArray) -> st.Model:
        return st.Model(receptor_network(trials), st.FirstSpikes("out"))

    windows = int((10_000.0 - LEAD) // window)
    return st.Experiment(
        name="roughsde/grasshopper",
        dataset="grasshopper",
        dataset_options={
            "recording": recording,
            "window": window,
            "resolution": _RESOLUTION,
            "lead": LEAD,
            "interleaved": True,
            "validation_size": windows // 10,
            "test_size": 3 * windows // 10,
        },
        encoder=hear,
        model=model,
        # A sample has room for twice the spikes that the recording has on average.
        method=RoughSDE(dt=_RESOLUTION, max_spikes=_ROOM, max_events=math.ceil(trials * 0.2 * (LEAD + window))),
        loss=st.Loss(score, needs=("spikes",), name="kernel score"),
        t1=LEAD + window,
        time_unit="ms",
        optimiser=st.Optimiser("adam", learning_rate, schedule="cosine"),
        trainable=("weight", "v_leak", *TRAINED),
        batch_size=batch_size,
        epochs=epochs,
        summary="a stochastic neuron that spikes like an auditory receptor of a grasshopper",
    )


class Trials(st.AbstractParametrised):
    """All-to-all synapses to the repetitions of one neuron: each has the weights `[pre]`."""

    weight: Float[Array, " pre"]
    trials: int = eqx.field(static=True)

    def sizes(self) -> tuple[int, int]:
        return self.weight.shape[0], self.trials

    def resolve(self, *, key: PRNGKeyArray | None = None) -> st.Dense:
        return st.Dense(jnp.broadcast_to(self.weight[:, None], self.sizes()))


def receptor_network(trials: int) -> st.Network:
    """The neuron before it learns, in `trials` repetitions that differ by their noise alone."""
    neuron = st.get_neuron("stochastic_lif")(
        trials,
        tau_mem=3.0,
        tau_syn=math.inf,
        v_leak=jnp.array(0.4),
        v_drop=1.0,
        beta=4.0,
        tau_escape=1.0,
        alpha=0.2,
        sigma=0.1,
    )
    bump = jnp.exp(-0.5 * (jnp.array(LAGS) - _FIRST_LAG) ** 2)
    synapse = Trials(0.5 * bump / jnp.sum(bump), trials)
    neurons = {"out": st.get_neuron("positive")(neuron, *TRAINED)}
    return st.Network({"in": len(LAGS)}, neurons, [st.Connection("in", "out", synapse)], ["out"])


def hear(x: Float[Array, " bins"], key: PRNGKeyArray) -> st.Stimulus:
    """The level of the sound at each of the lags, smoothed, as a current."""
    del key
    level = (jnp.log(x) - _MEAN) / _DEVIATION
    past, lags = (np.arange(round(LEAD / _RESOLUTION))[:, None] + 0.5) * _RESOLUTION, np.array(LAGS)
    # Later bumps are wider.
    bumps = np.exp(-0.5 * ((past - lags) / (0.5 + 0.1 * lags)) ** 2)
    bumps = jnp.asarray(bumps / bumps.sum(axis=0), x.dtype)
    filtered = jax.vmap(lambda bump: jnp.convolve(level, bump)[: level.shape[0]], 1, 1)(bumps)
    return {"in": st.Current(filtered, start=_RESOLUTION * jnp.arange(level.shape[0], dtype=x.dtype))}


def in_window(times: Float[Array, "*n k"]) -> Float[Array, "*n k"]:
    """Spike times of samples as times in the window that follows the lead, those before it left out."""
    return jnp.sort(jnp.where(times >= LEAD, times - LEAD, jnp.inf), axis=-1)


def signature_score(
    samples: Float[Array, "m k"],
    observed: Float[Array, " o"],
    *,
    depth: int,
    t1: float,
    time_scale: float,
    jump_scale: float,
    fade: tuple[float, float],
) -> Float[Array, ""]:
    """The kernel score of samples against one observation, plus a constant that makes it the squared distance of
    expected signatures, without bias."""

    def signature(times):
        train = st.Spikes.from_dense(times[None])
        path = marcus_lift(train, t1=t1, time_scale=time_scale, jump_scale=jump_scale, fade=fade)
        return jnp.concatenate([level.reshape(-1) for level in truncated_signature(path, depth=depth)])

    x, y, m = jax.vmap(signature)(samples), signature(observed), samples.shape[0]
    total = jnp.sum(x, axis=0)
    return (total @ total - jnp.sum(x * x)) / (m * (m - 1)) - 2 * (total @ y) / m + y @ y
