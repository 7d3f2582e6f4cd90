"""A record: what happened in a component, event by event, as the search found it.

It carries no gradient. Following it through the same steps is differentiable, and needs no search.
"""

from enum import IntEnum
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array


class Kind(IntEnum):
    """What an iteration did. From `ARRIVAL` on there is one kind for each population or link: see `Kinds`."""

    IDLE = 0  # nothing: a rejected step, or a component that is finished
    STEP = 1  # a step without an event
    SPIKE = 2  # the guard rose through zero
    LIFT = 3  # a kick lifted the guard over zero: the spike has the time of the kick
    SENT = 4  # as SPIKE, and what it sends inside without a delay has arrived
    SAMPLE = 5  # a state was asked for
    END = 6
    ARRIVAL = 7


class Kinds:
    """The numbers of the kinds that belong to one population or one link."""

    def __init__(self, populations: int, links: int):
        self._populations = populations
        self._links = links

    def arrival(self, population: int) -> int:
        return Kind.ARRIVAL + population

    def link(self, link: int) -> int:
        return Kind.ARRIVAL + self._populations + link

    def timer(self, population: int) -> int:
        return Kind.ARRIVAL + self._populations + self._links + population


def is_crossing(kind: Array) -> Array:
    """Whether a guard rose through zero."""
    return (kind == Kind.SPIKE) | (kind == Kind.SENT)


class Record(NamedTuple):
    """One entry for each iteration, arrays of `[C, c]`: in chunks, as they are made and followed."""

    kind: Array
    # The neuron (numbered over all populations), the lane of an arrival, or the synapse of a link; `None` if there is
    # but one neuron, to which nothing of its own returns: it is 0.
    which: Array | None
    slot: Array  # which of the arrivals, of the neuron's spikes, or of the source's spikes
    start: Array  # the time at the start of the step
    duration: Array
    held: dict[str, Array] | None = None  # by population, [C, c, n]: who waits in a replay


def iota(n: int) -> Array:
    """`0 .. n - 1` in the integer type of a record."""
    return jnp.arange(n, dtype=jnp.int32)
