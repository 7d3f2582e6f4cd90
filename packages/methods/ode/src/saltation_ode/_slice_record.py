"""A record of slices, and what arrives in each of them."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array

from ._component import Lookup
from ._found import Flags
from ._record import iota
from ._slice_advance import Firing, Incoming
from ._slice_layer import SliceLayer
from ._take import take


class Slices(NamedTuple):
    """One entry for each slice, with any axes before."""

    start: Array
    end: Array
    external: Array  # the first arrival from outside that it takes, [] or [n]
    beyond: Array  # and the first that it does not
    wires: Array  # [E], the spikes from inside that may arrive: wire * max_spikes + rank, -1 for none
    spikes: Array  # [R], its own spikes: neuron * max_spikes + rank, -1 for none
    sample: Array  # the sample that is taken at its end, -1 for none
    real: Array  # bool


class SlicesFound(NamedTuple):
    """What the search of a layer found."""

    record: Slices  # [C, c, ...]
    starts: tuple[Array, Array]  # v and i before each chunk, [C, n]
    chunks: Array  # [], how many of them something happens in, for any sample
    times: Array  # [n * max_spikes], `inf` where there is no spike
    ready: Array  # [n * max_spikes], the end of the slice of each
    final: tuple[Array, Array]  # v and i at the end, [n]
    samples: tuple[Array, ...]  # [S, n]; nothing where no states are asked for
    count: Array  # [n]
    min_slope: Array
    flat: Array
    flags: Flags


class Gathered(NamedTuple):
    """What the arrivals of slices take from the layer."""

    time: Array  # [..., A] or [..., A, n], of those from outside
    external: Array  # [..., A, n]
    delay: Array  # [..., E] or [..., E, n]
    kicks: Array  # [..., E, n]


def gather(layer: SliceLayer, slices: Slices) -> Gathered:
    """For any number of slices at once: inside of a loop its transpose would write into all weights for each slice."""
    entry = _entries(layer, slices)
    index = entry.reshape(-1, *layer.time.shape[1:])
    time = take(layer.time, index).reshape(entry.shape)
    if isinstance(layer.external, Lookup):
        unit = jnp.where(entry >= 0, layer.external.index[jnp.maximum(entry, 0)], -1)
        rows = jax.vmap(layer.external.synapse.kick)(unit.reshape(-1)).astype(layer.v.dtype)
    else:
        rows = take(layer.external, index if index.ndim == 2 else index[:, None])
    wire = jnp.maximum(slices.wires, 0) // layer.max_spikes
    return Gathered(time, rows.reshape(*entry.shape[: slices.start.ndim + 1], -1), layer.delay[wire], layer.kicks[wire])


def _entries(layer: SliceLayer, slices: Slices) -> Array:
    """The entries of the arrivals from outside, `[..., A]` or `[..., A, n]`, -1 for none."""
    axis = slices.start.ndim
    first, beyond = (jnp.expand_dims(x, axis) for x in (slices.external, slices.beyond))
    steps = iota(layer.rooms.external).reshape(*[1] * axis, -1, *[1] * (layer.time.ndim - 1))
    return jnp.where(first + steps < beyond, first + steps, -1)


def source_spike(layer: SliceLayer, wires: Array) -> Array:
    """The spikes, neuron * max_spikes + rank, that arrive through `wires`; any where there is none."""
    known = jnp.maximum(wires, 0)
    return layer.wire_source()[known // layer.max_spikes] * layer.max_spikes + known % layer.max_spikes


def incoming_of(layer: SliceLayer, one: Slices, gathered: Gathered, sent: Array, ready: Array) -> Incoming:
    """All arrivals of one slice; `sent` are the times of all spikes, `[n * max_spikes]`."""
    spike = source_spike(layer, one.wires)
    inside = one.wires >= 0
    arrives = jnp.where(inside, sent[spike], 0.0)
    if layer.own_order:
        arrives, inside = arrives[:, None] + gathered.delay, inside[:, None]
        # Always after the slice that sent it, whatever the sum is rounded to.
        after = jnp.maximum(arrives, jnp.nextafter(ready[spike], jnp.inf)[:, None])
        inside = inside & (after > one.start) & (after <= one.end)
    else:
        arrives = arrives + gathered.delay
    outside = _entries(layer, one) >= 0
    time = gathered.time
    if arrives.ndim != time.ndim:
        wide = lambda x: x if x.ndim == 2 else jnp.broadcast_to(x[:, None], (x.shape[0], layer.size))  # noqa: E731
        time, outside, arrives, inside = wide(time), wide(outside), wide(arrives), wide(inside)
    kicks = jnp.concatenate([gathered.external, gathered.kicks])
    return Incoming(jnp.concatenate([time, arrives]), kicks, jnp.concatenate([outside, inside]))


def firing_of(layer: SliceLayer, one: Slices, sent: Array) -> Firing:
    fired = one.spikes >= 0
    known = jnp.maximum(one.spikes, 0)
    return Firing(known // layer.max_spikes, jnp.where(fired, sent[known], jnp.inf))
