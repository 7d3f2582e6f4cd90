"""The recipe of real spike trains: an auditory receptor of a grasshopper, from the sound that it hears."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray

import saltation as st

from ._mmd import scoring_rule
from ._roughsde import RoughSDE
from ._spike_kernel import spike_gram

JUMP_SCALE = 0.4


def grasshopper(
    *,
    recording: int = 1,
    window: float = 100.0,
    latency: int = 5,
    copies: int = 8,
    epochs: int = 60,
    batch_size: int = 20,
    learning_rate: float = 0.01,
    dt: float = 1.0,
) -> st.Experiment:
    """Fits a stochastic neuron to a receptor's recorded spikes: the kernel score of samples, given each window's sound.

    **Arguments:**

    - `recording`, `window`: as of the data set, in ms.
    - `latency`: how much later than the sound the neuron answers, in bins of 1 ms.
    - `copies`: how many independent samples of each window there are: neurons with the same parameters and sound.
    """

    def model(key: PRNGKeyArray) -> st.Model:
        number = lambda value: jnp.asarray(value)  # noqa: E731
        neuron = st.get_neuron("stochastic_lif")(
            copies,
            tau_mem=number(3.0),
            v_threshold=number(0.25),
            v_leak=number(0.0),
            v_drop=number(0.4),
            beta=number(8.0),
            tau_escape=number(2.0),
            alpha=0.03,
            sigma=number(0.02),
        )
        # All copies hear the same; the gain is 1, since only its ratio to the parameters counts.
        connection = st.Connection("sound", "out", st.OneToOne(copies))
        return st.Model(st.Network({"sound": copies}, {"out": neuron}, [connection], ["out"]), st.FirstSpikes("out"))

    def encoder(x: Array, key: PRNGKeyArray) -> st.Stimulus:
        # What came before the window is not known: its first value stands for it.
        heard = jnp.concatenate([jnp.full(latency, x[0]), x[: x.shape[0] - latency]])
        value = jnp.broadcast_to(heard[:, None], (heard.shape[0], copies))
        return {"sound": st.Current(value, start=jnp.arange(heard.shape[0], dtype=x.dtype))}

    def score(solution: st.Solution, output: Array, target: Array) -> Array:
        assert solution.spikes is not None
        trains = solution.spikes["out"].to_dense(target.shape[-1], throw=False)
        # One Gram matrix of samples and the observation together.
        gram = normalised_gram(jnp.concatenate([trains, target])[:, None], window)
        return scoring_rule(jnp.arange(copies), jnp.full(1, copies), lambda a, b: gram[a][:, b])

    return st.Experiment(
        name="roughsde/grasshopper",
        dataset="grasshopper",
        dataset_options={"recording": recording, "window": window},
        encoder=encoder,
        model=model,
        method=RoughSDE(dt=dt, max_spikes=24),
        loss=st.Loss(score, needs=("spikes",), name="kernel_score"),
        trainable=("tau_mem", "v_threshold", "v_leak", "v_drop", "beta", "tau_escape"),
        t1=window,
        time_unit="ms",
        optimiser=st.Optimiser(
            "adam",
            learning_rate,
            rates={"tau_mem": 5 * learning_rate, "beta": 10 * learning_rate, "tau_escape": 5 * learning_rate},
            schedule="cosine",
            clip_norm=10.0,
        ),
        batch_size=batch_size,
        epochs=epochs,
        max_failed_share=0.2,
        summary=f"a grasshopper's receptor, recording {recording}, windows of {window:g} ms",
    )


def normalised_gram(times: Array, window: float) -> Array:
    """The signature kernel of trains `[n, units, k]`, divided by their norms: no window outweighs the others."""
    trains = jax.vmap(st.Spikes.from_dense)(times)
    gram = spike_gram(trains, trains, t1=window, time_scale=1 / window, jump_scale=JUMP_SCALE)
    length = jnp.sqrt(jnp.diagonal(gram))
    return gram / (length[:, None] * length[None])
