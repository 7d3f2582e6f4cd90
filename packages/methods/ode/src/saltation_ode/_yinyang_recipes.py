"""Yin-Yang by the first spikes of neurons other than the leaky integrate-and-fire one. Times are in ms."""

from typing import Any

import diffrax

import saltation as st

from ._ode import ODE

# A neuron that runs away to infinity beyond its threshold must be reset: with a refractory period that outlasts the
# trial it spikes at most once, and is held at its reset value from then on.
_FOR_GOOD = 1e3

_EIF_UNIT = 60.0  # pA, about the least constant current that makes the neuron fire soon


def yinyang_qif(
    *,
    hidden: int = 20,
    epochs: int = 60,
    batch_size: int = 100,
    learning_rate: float = 0.03,
    temperature: float = 1.0,
    keep_firing: float = 1.0,
    max_spikes: int = 8,
    step: float = 1.0,
    neuron: str = "qif",
) -> st.Experiment:
    """Yin-Yang by the first spikes of quadratic integrate-and-fire neurons, solved numerically with a fixed step.

    The task of the notebook of Eventax, with a second bias unit: 6-20-3.

    **Arguments:** `step` of the solver, in ms; with `neuron="theta"` spikes go to infinity, as they do there.
    """
    return st.first_spike_experiment(
        name="ode/yinyang-qif",
        dataset="yinyang",
        sizes=(4 + 2, hidden, 3),
        # An output may spike again: a QIF neuron that may not would run away to infinity.
        neurons=st.get_neuron(neuron)(tau_mem=20.0, tau_syn=5.0),
        encode=lambda x: st.latency(x, t_min=0.0, t_max=30.0, bias=(0.0, 30.0)),
        weights=(st.normal(40.0, 20.0), st.normal(5.0, 5.0)),
        t1=110.0,
        method=ODE(max_spikes=max_spikes, solver=diffrax.Bosh3(), step=step),
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        temperature=temperature,
        keep_firing=keep_firing,
        summary=f"Yin-Yang, {hidden} hidden QIF neurons by a numerical solver, first-spike cross-entropy",
    )


def yinyang_eif(
    *,
    hidden: int = 30,
    epochs: int = 45,
    batch_size: int = 100,
    learning_rate: float = 0.03,
    temperature: float = 1.5,
    keep_firing: float = 1.0,
    step: float = 2.0,
) -> st.Experiment:
    """Yin-Yang by the first spikes of exponential integrate-and-fire neurons, solved numerically with a fixed step.

    Membrane and synaptic time constants are those of `ode/yinyang`; weights are trained in units of 60 pA.
    """
    eif = st.get_neuron("eif")(c_mem=200.0 / _EIF_UNIT, g_leak=10.0 / _EIF_UNIT, tau_syn=10.0)
    once = st.get_neuron("refractory")(eif, _FOR_GOOD)
    return _numerical(
        name="ode/yinyang-eif",
        once=once,
        output_current=1.2,
        weights=(st.normal(9.0, 5.0), st.normal(2.0, 4.0)),
        hidden=hidden,
        step=step,
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        temperature=temperature,
        keep_firing=keep_firing,
        summary=f"Yin-Yang, {hidden} hidden EIF neurons by a numerical solver, first-spike cross-entropy",
    )


def yinyang_izhikevich(
    *,
    hidden: int = 30,
    epochs: int = 45,
    batch_size: int = 100,
    learning_rate: float = 0.03,
    temperature: float = 1.5,
    keep_firing: float = 1.0,
    step: float = 2.0,
) -> st.Experiment:
    """Yin-Yang by the first spikes of Izhikevich's neurons, regular spiking, solved numerically with a fixed step."""
    izhikevich = st.get_neuron("izhikevich")(v_init=-70.0, tau_syn=10.0)
    once = st.get_neuron("refractory")(izhikevich, _FOR_GOOD)
    return _numerical(
        name="ode/yinyang-izhikevich",
        once=once,
        # It charges in a few milliseconds: a current from the start would leave no time for the hidden neurons.
        output_current=4.5,
        output_onset=30.0,
        weights=(st.normal(15.0, 10.0), st.normal(3.0, 8.0)),
        hidden=hidden,
        step=step,
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        temperature=temperature,
        keep_firing=keep_firing,
        summary=f"Yin-Yang, {hidden} hidden neurons of Izhikevich by a numerical solver, first-spike cross-entropy",
    )


def yinyang_alif(
    *,
    hidden: int = 30,
    epochs: int = 60,
    batch_size: int = 100,
    learning_rate: float = 0.02,
    temperature: float = 1.5,
    keep_firing: float = 1.0,
    max_spikes: int = 8,
) -> st.Experiment:
    """Yin-Yang by the first spikes of outputs behind hidden neurons with an adaptive threshold, several spikes each."""
    alif = st.get_neuron("alif")(tau_mem=20.0, tau_syn=10.0, tau_adapt=60.0, beta=0.5)
    output = st.get_neuron("at_most_once")(st.get_neuron("lif")(tau_mem=20.0, tau_syn=10.0))
    return st.first_spike_experiment(
        name="ode/yinyang-alif",
        dataset="yinyang",
        sizes=(4 + 2, hidden, 3),
        neurons=(alif, output),
        encode=lambda x: st.latency(x, t_min=1.5, t_max=20.0, bias=(0.0, 20.0)),
        weights=(st.normal(9.0, 5.0), st.normal(2.0, 4.0)),
        t1=100.0,
        method=ODE(max_spikes=max_spikes),
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        temperature=temperature,
        keep_firing=keep_firing,
        summary=f"Yin-Yang, {hidden} hidden ALIF neurons, first-spike cross-entropy",
    )


def _numerical(*, once: st.AbstractNeuron, hidden: int, step: float, **settings: Any) -> st.Experiment:
    """Layers of neurons that spike at most once and are solved with a fixed step; `settings` of the experiment."""
    return st.first_spike_experiment(
        dataset="yinyang",
        sizes=(4 + 2, hidden, 3),
        neurons=once,
        encode=lambda x: st.latency(x, t_min=1.5, t_max=20.0, bias=(0.0, 20.0)),
        t1=80.0,
        method=ODE(max_spikes=1, solver=diffrax.Bosh3(), step=step),
        **settings,
    )
