"""Neurons: NIR's nodes as Saltation's populations, and back.

NIR: LIF `tau dv/dt = v_leak - v + r I`; CubaLIF `tau_syn dI/dt = -I + w_in S`, `tau_mem dv/dt = v_leak - v + r I`;
IF `dv/dt = r I`. `I` (or `S`) is the sum of what the edges bring: a spike is a pulse of integral `charge`, a bias
stays.
"""

from typing import Any, NamedTuple

import nir
import numpy as np

import saltation as st

from ._layout import Shape, flat, population, unflat, uniform
from ._scale import Scale

NEURONS = (nir.LIF, nir.CubaLIF, nir.IF)


class Population(NamedTuple):
    """A population and its inputs: a weight of NIR times `kick` is Saltation's, a bias times `drive` its current."""

    neuron: st.AbstractNeuron
    kick: np.ndarray
    drive: np.ndarray
    filtered: bool
    """Whether a bias passes the synapse, and so rises with its time constant."""


class Node(NamedTuple):
    """A node of NIR and its inputs: Saltation's weight over `kick` is NIR's, a current over `drive` its bias."""

    node: nir.NIRNode
    kick: np.ndarray
    drive: np.ndarray | None


def population_of(node: Any, shape: Shape, scale: Scale) -> Population:
    """The population that a neuron node of NIR stands for."""

    def value(name: str) -> np.ndarray:
        return flat(getattr(node, name), shape)

    def parameter(values: np.ndarray) -> Any:
        found = uniform(values)
        return found if isinstance(found, float) else found.reshape(population(shape))

    potentials = {name: parameter(value(name)) for name in ("v_threshold", "v_reset")}
    r = value("r")
    if isinstance(node, nir.IF):
        neuron = st.get_neuron("if")(population(shape), tau_syn=None, **potentials)
        return Population(neuron, r * scale.charge, r * scale.time_unit, False)
    potentials["v_leak"] = parameter(value("v_leak"))
    lif = st.get_neuron("lif")
    if isinstance(node, nir.LIF):
        tau_mem = parameter(value("tau") / scale.time_unit)
        neuron = lif(population(shape), tau_mem=tau_mem, tau_syn=None, **potentials)
        return Population(neuron, r * scale.charge / scale.time_unit, r, False)
    tau_syn, gain = value("tau_syn"), r * value("w_in")
    tau_mem = parameter(value("tau_mem") / scale.time_unit)
    neuron = lif(population(shape), tau_mem=tau_mem, tau_syn=parameter(tau_syn / scale.time_unit), **potentials)
    return Population(neuron, gain * scale.charge / tau_syn, gain, True)


def node_of(name: str, neuron: Any, shape: Shape, scale: Scale) -> Node:
    """The node of NIR that a population is. Raises `UnsupportedError` with the reason if NIR has none."""

    def value(number: Any) -> np.ndarray:
        numbers = np.asarray(number, np.float64)
        return unflat(np.broadcast_to(numbers, neuron.shape).reshape(-1), shape)

    def each(values: np.ndarray) -> np.ndarray:
        return flat(values, shape)

    dynamics = neuron.lif()
    if dynamics is not None and not dynamics.at_most_once and uniform(np.asarray(dynamics.g_leak)) == 1.0:
        tau_mem, tau_syn = value(dynamics.tau_mem) * scale.time_unit, value(dynamics.tau_syn) * scale.time_unit
        node = nir.CubaLIF(
            tau_syn=tau_syn,
            tau_mem=tau_mem,
            r=np.ones(shape),
            v_leak=value(dynamics.v_leak),
            v_threshold=value(dynamics.v_threshold),
            v_reset=value(dynamics.v_reset),
            w_in=tau_syn / scale.charge,
        )
        return Node(node, np.ones(neuron.size), None)
    if _is(neuron, "lif") and neuron.tau_syn is None and neuron.reset_mode == "value":
        tau = value(neuron.tau_mem) * scale.time_unit
        r = tau / scale.charge
        node = nir.LIF(
            tau=tau,
            r=r,
            v_leak=value(neuron.v_leak),
            v_threshold=value(neuron.v_threshold),
            v_reset=value(neuron.v_reset),
        )
        return Node(node, each(value(neuron.tau_mem)), each(r))
    if _is(neuron, "if") and neuron.tau_syn is None and neuron.reset_mode == "value":
        r = np.full(shape, 1.0 / scale.charge)
        node = nir.IF(r=r, v_threshold=value(neuron.v_threshold), v_reset=value(neuron.v_reset))
        capacitance = each(value(neuron.c_mem))
        return Node(node, capacitance, capacitance * scale.time_unit / scale.charge)
    raise st.UnsupportedError(f"NIR cannot say the population {name!r}: {_reason(neuron)}")


def _is(neuron: Any, name: str) -> Any:
    # NIR's delta synapses have no trait of their own, so the registered names are matched: a converter maps names.
    try:
        return isinstance(neuron, st.get_neuron(name))
    except st.UnknownNameError:
        return False


def _reason(neuron: st.AbstractNeuron) -> str:
    dynamics = neuron.lif()
    if dynamics is not None and dynamics.at_most_once:
        return (
            "at most one spike a trial (AtMostOnce). Export the neuron inside it, which spikes as often as it crosses."
        )
    if dynamics is not None:
        return "an integrate-and-fire neuron without a leak has delta synapses in NIR. Use tau_syn=None."
    if neuron.rate() is not None or (_is(neuron, "lif") or _is(neuron, "if")):
        return "a soft reset (reset_mode='subtract'); its neurons are set to a value. Use reset_mode='value'."
    return (
        f"{type(neuron).__name__} is none of its neurons: LIF, current-based LIF (CubaLIF) and IF with a reset to a "
        "value, and no refractory period."
    )
