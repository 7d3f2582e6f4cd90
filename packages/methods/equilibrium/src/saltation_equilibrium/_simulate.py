"""The spiking simulation: all steps in one scan, which keeps sums and not trains unless they are asked for."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, Float, Int

from ._system import Input, Layer, Rates, System


class Simulated(NamedTuple):
    """What a simulation counted.

    - `rates`: `sum_t leak^(T-1-t) s_t / sum_t leak^t` of each neuron, `[n]` by population.
    - `count`: how often each neuron spiked.
    - `charge`: after the last reset, before the leak.
    - `trains`: `[steps, n]` by population, `None` if not asked for.
    """

    rates: Rates
    count: dict[str, Int[Array, " n"]]
    charge: Rates
    trains: dict[str, Bool[Array, "steps n"]] | None


def simulate(system: System, given: Input, *, steps: int, keep_trains: bool) -> Simulated:
    """All spikes of `steps` steps from rest. Memory does not grow with `steps` unless trains are kept or given."""
    # Nothing has fed back before the first step, which saves a product with each feedback matrix.
    first = {name: counts[0] for name, counts in given.counts.items()}
    later = {name: counts[1:] for name, counts in given.counts.items()}
    silent = {layer.name: jnp.zeros_like(given.drive[layer.name]) for layer in system.layers}
    start = silent, {}, silent, {name: jnp.zeros(x.shape, jnp.int32) for name, x in silent.items()}
    carry, train = _step(system, given, start, first)

    def step(carry, counts):
        carry, train = _step(system, given, carry, counts)
        return carry, train if keep_trains else None

    (charge, _, total, count), trains = lax.scan(step, carry, later, length=steps - 1)
    leak = system.leak
    weight = steps if leak == 1 else (1 - leak**steps) / (1 - leak)
    rates = {name: value / weight for name, value in total.items()}
    if keep_trains:
        trains = jax.tree.map(lambda one, rest: jnp.concatenate([one[None], rest]), train, trains)
    return Simulated(rates, count, {name: value / leak for name, value in charge.items()}, trains)


def _step(system: System, given: Input, carry, counts: Rates):
    charge, before, total, count = carry
    charge, total, count = dict(charge), dict(total), dict(count)
    spikes: dict[str, Array] = {}
    trains = {}
    for layer in system.layers:
        name = layer.name
        u = charge[name] + given.drive[name] + _arriving(layer, counts, spikes, before)
        s = u >= layer.threshold
        trains[name], spikes[name] = s, s.astype(u.dtype)
        charge[name] = system.leak * (u - layer.threshold * spikes[name])
        total[name] = system.leak * total[name] + spikes[name]
        count[name] = count[name] + s.astype(jnp.int32)
    feeding = {edge.source for layer in system.layers for edge in layer.edges if edge.feedback}
    fed_back = {name: spikes[name] for name in spikes if name in feeding}
    return (charge, fed_back, total, count), trains


def _arriving(layer: Layer, counts: Rates, now: Rates, before: Rates) -> Float[Array, " n"] | float:
    total = 0.0
    for edge in layer.edges:
        source = before if edge.feedback else (counts if edge.source in counts else now)
        # Currents are in the drive, and before the first step nobody has spiked.
        if edge.source in source:
            total = total + edge.synapse.apply(source[edge.source])
    return total
