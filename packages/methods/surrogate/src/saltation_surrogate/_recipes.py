"""Recipes: experiments that the baseline trains, on the networks that exact methods train. Times are in ms."""

import functools

import saltation as st

from ._surrogate import Surrogate


def yinyang(
    *,
    hidden: int = 30,
    epochs: int = 100,
    batch_size: int = 100,
    learning_rate: float = 0.01,
    temperature: float = 1.5,
    keep_firing: float = 20.0,
    step: float = 1.0,
    shape: str = "fast_sigmoid",
    slope: float = 5.0,
    decoding: str = "interpolated",
    at_most_once: bool = True,
) -> st.Experiment:
    """Yin-Yang by the first spikes of leaky integrate-and-fire neurons, in discrete time.

    The network, the data and the loss of `ode/yinyang`. Kriener et al., "The Yin-Yang dataset", 2022.

    **Arguments:** `temperature` of the loss in ms; `keep_firing`, strength of the pull on silent neurons; `step`,
    `shape`, `slope` and `decoding` as in `Surrogate`; with `at_most_once=False` hidden neurons spike as often as they
    like.
    """
    lif = st.get_neuron("lif")(tau_mem=20.0, tau_syn=10.0)
    once = st.get_neuron("at_most_once")
    return st.first_spike_experiment(
        name="surrogate/yinyang",
        dataset="yinyang",
        sizes=(4 + 2, hidden, 3),
        neurons=(once(lif) if at_most_once else lif, once(lif)),
        encode=lambda x: st.latency(x, t_min=1.5, t_max=20.0, bias=(0.0, 20.0)),
        weights=(st.normal(9.0, 5.0), st.normal(2.0, 4.0)),
        t1=200.0,
        method=Surrogate(step=step, shape=shape, slope=slope, decoding=decoding, max_spikes=20),
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        temperature=temperature,
        keep_firing=keep_firing,
        summary=f"Yin-Yang, {hidden} hidden LIF neurons, first-spike cross-entropy, surrogate gradients",
    )


def digits(
    *,
    hidden: int = 100,
    epochs: int = 40,
    batch_size: int = 64,
    learning_rate: float = 0.01,
    temperature: float = 2.0,
    keep_firing: float = 1.0,
    noise: float = 0.2,
    step: float = 2.0,
    shape: str = "fast_sigmoid",
    slope: float = 5.0,
    decoding: str = "interpolated",
) -> st.Experiment:
    """Handwritten digits of 8 x 8 pixels by first spikes, in discrete time: the network, data and loss of `ode/digits`.

    **Arguments:** `noise`: standard deviation of the noise on training pixels, of the full range; others as in
    `yinyang`.
    """
    once = st.get_neuron("at_most_once")(st.get_neuron("lif")(tau_mem=40.0, tau_syn=20.0))
    return st.first_spike_experiment(
        name="surrogate/digits",
        dataset="digits",
        sizes=(64 + 1, hidden, 10),
        neurons=(once, once),
        encode=lambda x: st.latency(x, t_min=0.0, t_max=20.0, bias=(0.0,), inverted=True),
        weights=(st.normal(10.0, 7.0), st.normal(1.0, 0.5)),
        t1=240.0,
        method=Surrogate(step=step, shape=shape, slope=slope, decoding=decoding),
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        temperature=temperature,
        keep_firing=keep_firing,
        augment=functools.partial(st.noisy, noise=noise) if noise else None,
        summary=f"8 x 8 digits, {hidden} hidden LIF neurons, first-spike cross-entropy, surrogate gradients",
    )
