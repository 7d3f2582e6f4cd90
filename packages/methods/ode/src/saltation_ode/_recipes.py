"""Recipes: experiments that the ODE-exact method trains. Times are in ms."""

import functools

import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray

import saltation as st

from ._ode import ODE


def yinyang(
    *,
    hidden: int = 30,
    epochs: int = 400,
    batch_size: int = 150,
    learning_rate: float = 0.02,
    temperature: float = 1.0,
    keep_firing: float = 20.0,
    max_spikes: int = 10,
    at_most_once: bool = True,
) -> st.Experiment:
    """Yin-Yang by the first spikes of leaky integrate-and-fire neurons.

    Four features and two bias units spike once each; the output neuron that spikes first names the class.
    `tau_mem = 2 tau_syn`. Kriener et al., "The Yin-Yang dataset", 2022; the loss is that of Göltz et al., 2021.

    **Arguments:** `temperature` of the loss in ms; `keep_firing`, strength of the pull on silent neurons; with
    `at_most_once=False` hidden neurons spike as often as they like, up to `max_spikes`.
    """
    lif = st.get_neuron("lif")(tau_mem=20.0, tau_syn=10.0)
    once = st.get_neuron("at_most_once")
    return st.first_spike_experiment(
        name="ode/yinyang",
        dataset="yinyang",
        sizes=(4 + 2, hidden, 3),
        neurons=(once(lif) if at_most_once else lif, once(lif)),
        encode=lambda x: st.latency(x, t_min=1.5, t_max=20.0, bias=(0.0, 20.0)),
        weights=(st.normal(9.0, 5.0), st.normal(2.0, 4.0)),
        t1=200.0,
        method=ODE(max_spikes=1 if at_most_once else max_spikes),
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        temperature=temperature,
        keep_firing=keep_firing,
        summary=f"Yin-Yang, {hidden} hidden LIF neurons, first-spike cross-entropy",
    )


def digits(
    *,
    hidden: int = 100,
    epochs: int = 60,
    batch_size: int = 64,
    learning_rate: float = 0.01,
    temperature: float = 2.0,
    keep_firing: float = 10.0,
    noise: float = 0.2,
) -> st.Experiment:
    """Handwritten digits of 8 x 8 pixels by first spikes: the brighter a pixel, the earlier it spikes.

    1797 real digits that come with the data-sets package, so it runs offline.

    **Arguments:** `noise`: standard deviation of the noise on training pixels, of the full range; others as in
    `yinyang`.
    """
    once = st.get_neuron("at_most_once")(st.get_neuron("lif")(tau_mem=40.0, tau_syn=20.0))
    return st.first_spike_experiment(
        name="ode/digits",
        dataset="digits",
        sizes=(64 + 1, hidden, 10),
        neurons=(once, once),
        encode=lambda x: st.latency(x, t_min=0.0, t_max=20.0, bias=(0.0,), inverted=True),
        # Widely spread hidden weights, so that the neurons differ; outputs that start alike.
        weights=(st.normal(10.0, 7.0), st.normal(1.0, 0.5)),
        t1=240.0,
        method=ODE(max_spikes=1),
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        temperature=temperature,
        keep_firing=keep_firing,
        augment=functools.partial(st.noisy, noise=noise) if noise else None,
        summary=f"8 x 8 digits, {hidden} hidden LIF neurons, first-spike cross-entropy",
    )


def yinyang_state(
    *,
    hidden: int = 30,
    epochs: int = 150,
    batch_size: int = 100,
    learning_rate: float = 0.01,
    gain: float = 4.0,
    max_spikes: int = 8,
) -> st.Experiment:
    """Yin-Yang read from membrane potentials: the output with the highest mean potential names the class."""
    lif = st.get_neuron("lif")
    neurons = [lif(tau_mem=20.0, tau_syn=10.0), lif(tau_mem=20.0, tau_syn=10.0, v_threshold=1e6)]
    readout_times = jnp.linspace(25.0, 60.0, 8)

    def model(key: PRNGKeyArray) -> st.Model:
        weights = [st.normal(8.0, 5.0), st.normal(0.0, 2.0)]
        return st.Model(st.feedforward([4 + 2, hidden, 3], neurons, weight=weights, key=key), st.Membrane("out"))

    def loss(solution: st.Solution, output: Array, target: Array) -> Array:
        return st.state_cross_entropy(output, target, gain=gain)

    return st.Experiment(
        name="ode/yinyang-state",
        dataset="yinyang",
        encoder=lambda x, key: {"in": st.latency(x, t_min=1.5, t_max=20.0, bias=(0.0, 20.0))},
        model=model,
        method=ODE(max_spikes=max_spikes),
        loss=st.Loss(loss, needs=("states",), name="state_cross_entropy"),
        t1=60.0,
        save=st.Save(states_at=readout_times),
        optimiser=st.Optimiser("adam", learning_rate, schedule="cosine", clip_norm=1.0),
        batch_size=batch_size,
        epochs=epochs,
        summary=f"Yin-Yang, {hidden} hidden LIF neurons, read from membrane potentials",
    )
