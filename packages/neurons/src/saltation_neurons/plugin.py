"""What this package brings to Saltation: read by plugin discovery, so it imports nothing heavy."""

from collections.abc import Iterable

from saltation.plugins import NeuronSpec, hookimpl


@hookimpl
def saltation_neurons() -> Iterable[NeuronSpec]:
    """The neuron models of this package."""
    yield NeuronSpec("lif", "saltation_neurons:LIF", "leaky integrate-and-fire, current-based synapses")
    yield NeuronSpec("qif", "saltation_neurons:QIF", "quadratic integrate-and-fire")
    yield NeuronSpec("theta", "saltation_neurons:Theta", "quadratic integrate-and-fire, to infinity and back")
    yield NeuronSpec("eif", "saltation_neurons:EIF", "exponential integrate-and-fire")
    yield NeuronSpec("adex", "saltation_neurons:AdEx", "adaptive exponential integrate-and-fire")
    yield NeuronSpec("izhikevich", "saltation_neurons:Izhikevich", "Izhikevich's neuron of two variables")
    yield NeuronSpec("alif", "saltation_neurons:ALIF", "leaky integrate-and-fire, with an adaptive threshold")
    yield NeuronSpec("egru", "saltation_neurons:EGRU", "event-based gated recurrent unit, with a port for each gate")
    yield NeuronSpec(
        "dendritic_lif", "saltation_neurons:DendriticLIF", "leaky integrate-and-fire, with an active dendrite"
    )
    yield NeuronSpec("if", "saltation_neurons:IF", "integrate-and-fire without a leak")
    yield NeuronSpec(
        "stochastic_lif", "saltation_neurons:StochasticLIF", "leaky integrate-and-fire with escape noise and diffusion"
    )
    yield NeuronSpec("refractory", "saltation_neurons:Refractory", "any neuron, with an absolute refractory period")
    yield NeuronSpec("at_most_once", "saltation_neurons:AtMostOnce", "any neuron, spiking at most once a trial")
    yield NeuronSpec(
        "positive", "saltation_neurons:Positive", "any neuron, with parameters that training keeps positive"
    )
