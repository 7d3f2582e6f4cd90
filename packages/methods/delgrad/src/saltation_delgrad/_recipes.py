"""Recipes: experiments that DelGrad trains. Times are in ms; `tau_mem = 2 tau_syn`, 20 and 10 ms."""

import functools
from collections.abc import Callable
from typing import Any

import saltation as st

from ._delgrad import DelGrad

_TAU_SYN = 10.0


def yinyang_w(
    *,
    hidden: int = 30,
    epochs: int = 300,
    batch_size: int = 50,
    learning_rate: float = 0.05,
    temperature: float = 0.5,
    keep_firing: float = 20.0,
) -> st.Experiment:
    """Yin-Yang by first spikes, trained in its weights alone."""
    return _yinyang(
        delay=None,
        hidden=hidden,
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        delay_rate=0.0,
        temperature=temperature,
        keep_firing=keep_firing,
    )


def _yinyang_with_delays(delay: str, what: str) -> Callable[..., st.Experiment]:
    """The recipe that trains delays of one kind as well."""

    def recipe(
        *,
        hidden: int = 30,
        epochs: int = 300,
        batch_size: int = 50,
        learning_rate: float = 0.05,
        delay_rate: float = 0.02,
        temperature: float = 0.5,
        keep_firing: float = 20.0,
    ) -> st.Experiment:
        return _yinyang(
            delay=delay,
            hidden=hidden,
            epochs=epochs,
            batch_size=batch_size,
            learning_rate=learning_rate,
            delay_rate=delay_rate,
            temperature=temperature,
            keep_firing=keep_firing,
        )

    recipe.__name__ = recipe.__qualname__ = f"yinyang_{delay}"
    recipe.__doc__ = f"Yin-Yang by first spikes, trained in its weights and in one delay for each {what}."
    return recipe


yinyang_axonal = _yinyang_with_delays("axonal", "source of spikes")
yinyang_dendritic = _yinyang_with_delays("dendritic", "target of spikes")
yinyang_synaptic = _yinyang_with_delays("synaptic", "synapse")


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
    `yinyang_w`.
    """
    return st.first_spike_experiment(
        name="delgrad/digits",
        dataset="digits",
        sizes=(64 + 1, hidden, 10),
        neurons=_once(40.0, 20.0),
        method=DelGrad(),
        encode=lambda x: st.latency(x, t_min=0.0, t_max=20.0, bias=(0.0,), inverted=True),
        # Widely spread hidden weights, so that the neurons differ; outputs that start alike.
        weights=(st.normal(10.0, 7.0), st.normal(1.0, 0.5)),
        t1=240.0,
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        temperature=temperature,
        keep_firing=keep_firing,
        augment=functools.partial(st.noisy, noise=noise) if noise else None,
        summary=f"8 x 8 digits, {hidden} hidden LIF neurons, first-spike cross-entropy",
    )


def mnist(
    *,
    hidden: int = 350,
    epochs: int = 30,
    batch_size: int = 128,
    learning_rate: float = 0.02,
    temperature: float = 0.7,
    keep_firing: float = 1.0,
    shift: int = 1,
    leaky: bool = True,
) -> st.Experiment:
    """MNIST by first spikes, 784-350-10: the brighter a pixel, the earlier it spikes; dark ones stay silent.

    **Arguments:** `shift`: by how many pixels training images are moved at most; `leaky`: LIF neurons, or those without
    a leak; others as in `yinyang_w`.
    """
    lif, no_leak = st.get_neuron("lif")(tau_mem=80.0, tau_syn=40.0), st.get_neuron("if")(c_mem=80.0, tau_syn=40.0)
    return st.first_spike_experiment(
        name="delgrad/mnist",
        dataset="mnist",
        sizes=(784 + 1, hidden, 10),
        neurons=st.get_neuron("at_most_once")(lif if leaky else no_leak),
        method=DelGrad(),
        encode=lambda x: st.latency(x, t_min=0.0, t_max=20.0, bias=(0.0,), threshold=0.25, inverted=True),
        weights=(st.normal(60.0, 20.0), st.normal(0.3, 0.5)),
        t1=240.0,
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        temperature=temperature,
        keep_firing=keep_firing,
        augment=functools.partial(st.shifted, pixels=shift) if shift else None,
        summary=f"MNIST, {hidden} hidden {'LIF' if leaky else 'IF'} neurons, first-spike cross-entropy",
    )


def _yinyang(*, delay: str | None, hidden: int, **settings: Any) -> st.Experiment:
    # Many hidden neurons would move an output too far for a steady start.
    shrink = min(1.0, 30 / hidden)
    return st.first_spike_experiment(
        name=f"delgrad/yinyang-{delay or 'w'}",
        dataset="yinyang",
        sizes=(4 + 2, hidden, 3),
        neurons=_once(2 * _TAU_SYN, _TAU_SYN),
        method=DelGrad(),
        encode=lambda x: st.latency(x, t_min=1.5, t_max=20.0, bias=(0.0, 20.0)),
        weights=(st.normal(9.0, 5.0), st.normal(2.0 * shrink, 4.0 * shrink**0.5)),
        t1=200.0,
        # A neuron that barely reaches its threshold has a huge gradient, which a longer memory would hold against it.
        # In small layers that memory keeps training steady.
        beta2=0.99 if hidden > 30 else 0.999,
        delay=delay,
        initial_delay=0.5 * _TAU_SYN,
        positive=st.Sigmoid(scale=_TAU_SYN),
        summary=f"Yin-Yang, {hidden} hidden LIF neurons, " + ("weights alone" if delay is None else f"{delay} delays"),
        **settings,
    )


def _once(tau_mem: float, tau_syn: float) -> st.AbstractNeuron:
    return st.get_neuron("at_most_once")(st.get_neuron("lif")(tau_mem=tau_mem, tau_syn=tau_syn))
