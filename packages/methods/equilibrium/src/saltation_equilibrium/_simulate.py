"""The spiking simulation: all steps in one scan, which keeps sums and not trains unless they are asked for."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Int

from ._system import Input, Layer, Rates, System

Counts = dict[str, Int[Array, " _"]]
Fired = dict[str, Bool[Array, " _"]]


class Simulated(NamedTuple):
    """What a simulation counted.

    - `rates`: `sum_t leak^(T-1-t) s_t / sum_t leak^t` of each neuron, `[n]` by population.
    - `count`: how often each neuron spiked.
    - `charge`: after the last reset, before the leak.
    - `trains`: `[steps, n]` by population, `None` if not asked for.
    """

    rates: Rates
    count: Counts
    charge: Rates
    trains: dict[str, Bool[Array, "steps n"]] | None


def simulate(system: System, given: Input, *, steps: int, keep_trains: bool) -> Simulated:
    """All spikes of `steps` steps from rest. Memory does not grow with `steps` unless trains are kept or given."""
    # Nothing has fed back before the first step, which saves a product with each feedback matrix.
    first = {name: counts[0] for name, counts in given.counts.items()}
    later = {name: counts[1:] for name, counts in given.counts.items()}
    count = {layer.name: jnp.zeros(given.drive[layer.name].shape, jnp.int32) for layer in system.layers}
    # Without a leak a rate is a count: to carry weighted sums as well would only move memory.
    total = {} if system.leak == 1 else {name: jnp.zeros_like(given.drive[name]) for name in count}
    start = _potentials(system, given, {}, {}, first), total, count

    def step(carry, counts):
        # A step begins with the spikes of the last one, so that a pass over memory is for one purpose only.
        potential, total, count = carry
        fired = _fired(system, potential)
        total, count = _counted(system, total, count, fired)
        carry = _potentials(system, given, potential, fired, counts), total, count
        return carry, fired if keep_trains else None

    (potential, total, count), trains = lax.scan(step, start, later, length=steps - 1)
    fired = _fired(system, potential)
    total, count = _counted(system, total, count, fired)
    charge = {layer.name: _after_reset(layer, potential, fired) for layer in system.layers}
    leak = system.leak
    if leak == 1:
        rates = {name: value.astype(charge[name].dtype) / steps for name, value in count.items()}
    else:
        rates = {name: value * (1 - leak) / (1 - leak**steps) for name, value in total.items()}
    if keep_trains:
        trains = jax.tree.map(lambda rest, last: jnp.concatenate([rest, last[None]]), trains, fired)
    return Simulated(rates, count, charge, trains)


def _potentials(system: System, given: Input, last: Rates, fired: Fired, counts: Rates) -> Rates:
    """The charges of a step before its spikes are paid for, from those of the `last` step; none before the first."""
    potential: Rates = {}
    spikes: Rates = {}
    before = {name: s.astype(given.drive[name].dtype) for name, s in fired.items()}
    for layer in system.layers:
        name = layer.name
        left = system.leak * _after_reset(layer, last, fired) if last else 0.0
        u = left + given.drive[name] + _arriving(layer, counts, spikes, before)
        potential[name], spikes[name] = u, (u >= layer.threshold).astype(u.dtype)
    return potential


def _fired(system: System, potential: Rates) -> Fired:
    return {layer.name: potential[layer.name] >= layer.threshold for layer in system.layers}


def _counted(system: System, total: Rates, count: Counts, fired: Fired) -> tuple[Rates, Counts]:
    total = {name: system.leak * value + fired[name].astype(value.dtype) for name, value in total.items()}
    return total, {name: value + fired[name].astype(jnp.int32) for name, value in count.items()}


def _after_reset(layer: Layer, potential: Rates, fired: Fired) -> Float[Array, " n"]:
    u = potential[layer.name]
    return u - layer.threshold * fired[layer.name].astype(u.dtype)


def _arriving(layer: Layer, counts: Rates, now: Rates, before: Rates) -> Float[Array, " n"] | float:
    total = 0.0
    for edge in layer.edges:
        source = before if edge.feedback else (counts if edge.source in counts else now)
        # Currents are in the drive, and before the first step nobody has spiked.
        if edge.source in source:
            total = total + edge.synapse.apply(source[edge.source])
    return total
