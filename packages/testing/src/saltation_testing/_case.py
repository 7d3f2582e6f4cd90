"""Cases: a network, what drives it, and for how long."""

import dataclasses
from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np

from saltation import AbstractNeuron, Current, Network, Spikes


@dataclasses.dataclass(frozen=True)
class Case:
    """A network with a stimulus for it.

    **Arguments:** `stimulus` for each input; random spikes unless given. `t1`: the suite's unless given.
    """

    network: Network
    stimulus: Mapping[str, Spikes | Current] | None = None
    t1: float | None = None


@dataclasses.dataclass(frozen=True)
class CompleteCase:
    """A case with nothing left open."""

    network: Network
    stimulus: dict[str, Spikes | Current]
    t1: float


def completed(case: Case | Network, t1: float) -> CompleteCase:
    """The case with a stimulus and an end."""
    case = case if isinstance(case, Case) else Case(case)
    t1 = case.t1 if case.t1 is not None else t1
    stimulus = case.stimulus if case.stimulus is not None else random_stimulus(case.network, t1)
    return CompleteCase(case.network, dict(stimulus), float(t1))


def random_stimulus(network: Network, t1: float) -> dict[str, Spikes]:
    """One or two spikes of each input unit in the first half of the trial, no two close together."""
    rng = np.random.default_rng(0)
    stimulus = {}
    for name in network.inputs:
        units = network.size(name)
        grid = (0.5 + rng.permutation(2 * units) + rng.uniform(-0.3, 0.3, 2 * units)) / (2 * units)
        times = 0.5 * t1 * grid.reshape(units, 2)
        times[1::2, 1] = np.inf
        stimulus[name] = Spikes.from_dense(jnp.asarray(times))
    return stimulus


def at_rest(network: Network) -> bool:
    """Whether nothing happens in the network without a stimulus, so that time has no origin."""
    return all(_rests(neuron) for neuron in network.neurons.values())


def _rests(neuron: AbstractNeuron) -> bool:
    # A clock may run, as long as nothing depends on it.
    start = neuron.init()
    zero = jnp.zeros_like(neuron.guard(start))
    rates = neuron.vector_field(zero[(0,) * zero.ndim], start, zero)
    later = jax.tree.map(lambda x, dx: x + 7.0 * dx, start, rates)
    later_rates = neuron.vector_field(zero[(0,) * zero.ndim], later, zero)
    unchanged = [
        (rates, later_rates),
        (neuron.guard(start), neuron.guard(later)),
        (neuron.observe(start), neuron.observe(later)),
    ]
    silent = bool(jnp.all(jnp.isinf(neuron.next_timer(start))) & jnp.all(neuron.guard(start) < 0))
    return silent and all(
        np.allclose(a, b, rtol=1e-9, atol=1e-9)
        for one, other in unchanged
        for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True)
    )
