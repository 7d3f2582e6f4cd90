"""Recipes whose networks fit onto the chip: Yin-Yang by first spikes, with times in microseconds of the chip."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray

import saltation as st

_TAU_SYN = 6.0


def yinyang_w(
    *,
    hidden: int = 30,
    bias: bool = False,
    epochs: int = 100,
    batch_size: int = 150,
    learning_rate: float = 0.02,
    early: float = 0.005,
    keep_firing: float = 20.0,
    noise: float = 0.0,
) -> st.Experiment:
    """Yin-Yang by first spikes on the chip, trained in its weights alone.

    **Arguments:**

    - `bias`: two more inputs that always spike, at the start and after all others.
    - `early`: strength of the pull towards early spikes, as in the published loss.
    - `noise`: standard deviation of the noise on training inputs, of their range.
    """
    return _yinyang("yinyang-w", None, hidden, bias, epochs, batch_size, learning_rate, 0.0, early, keep_firing, noise)


def yinyang_axonal(
    *,
    hidden: int = 30,
    bias: bool = False,
    epochs: int = 100,
    batch_size: int = 150,
    learning_rate: float = 0.02,
    delay_rate: float = 0.02,
    early: float = 0.005,
    keep_firing: float = 20.0,
    noise: float = 0.0,
) -> st.Experiment:
    """Yin-Yang by first spikes on the chip, trained in its weights and in one delay for each source of spikes.

    **Arguments:** as in `yinyang_w`.
    """
    return _yinyang(
        "yinyang-axonal",
        "axonal",
        hidden,
        bias,
        epochs,
        batch_size,
        learning_rate,
        delay_rate,
        early,
        keep_firing,
        noise,
    )


def _yinyang(
    name: str,
    delay: str | None,
    hidden: int,
    bias: bool,
    epochs: int,
    batch_size: int,
    learning_rate: float,
    delay_rate: float,
    early: float,
    keep_firing: float,
    noise: float,
) -> st.Experiment:
    t_min, t_max, t1 = 0.15 * _TAU_SYN, 2.0 * _TAU_SYN, 6.0 * _TAU_SYN
    extra = (0.0, t_max) if bias else ()
    lif = st.get_neuron("lif")(tau_mem=2 * _TAU_SYN, tau_syn=_TAU_SYN)
    once = st.get_neuron("at_most_once")(lif)

    def model(key: PRNGKeyArray) -> st.Model:
        network = st.feedforward(
            [4 + len(extra), hidden, 3],
            once,
            weight=[st.normal(12.0, 6.0), st.normal(15.0, 5.5)],
            delay=delay,
            initial_delay=0.5 * _TAU_SYN,
            positive=st.Sigmoid(scale=_TAU_SYN),
            key=key,
        )
        return st.Model(network, st.FirstSpikes("out"))

    def encoder(x: Array, key: PRNGKeyArray) -> st.Stimulus:
        return {"in": st.latency(x, t_min=t_min, t_max=t_max, bias=extra)}

    def augment(x: Array, key: PRNGKeyArray) -> Array:
        return jnp.clip(x + noise * jax.random.normal(key, x.shape, x.dtype), 0.0, 1.0)

    def loss(solution: st.Solution, times: Array, label: Array) -> Array:
        return st.first_spike_cross_entropy(
            times, label, temperature=0.2 * _TAU_SYN, silent=t1, early=early, early_scale=_TAU_SYN
        )

    def regulariser(network: st.Network, solution: st.Solution) -> Array:
        return st.keep_firing(network, solution, strength=keep_firing, drive=20.0)

    rates = {"delay": delay_rate} if delay else {}
    return st.Experiment(
        name=f"bss2/{name}",
        dataset="yinyang",
        encoder=encoder,
        augment=augment if noise else None,
        model=model,
        method=st.get_method("delgrad")(),
        loss=st.Loss(loss, needs=("spikes",), name="first_spike_cross_entropy"),
        regulariser=regulariser if keep_firing else None,
        trainable=("weight", "delay") if delay else ("weight",),
        t1=t1,
        optimiser=st.Optimiser("adam", learning_rate, rates=rates, schedule="cosine", clip_norm=1.0),
        batch_size=batch_size,
        epochs=epochs,
        time_unit="us",
        summary=f"Yin-Yang, {hidden} hidden LIF neurons, " + ("weights alone" if delay is None else "axonal delays"),
    )
