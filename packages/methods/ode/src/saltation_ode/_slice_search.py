"""The search through slices: a loop in which all neurons advance at once, as far as no spike reaches another.

A slice is at most as long as the least delay. It ends before that where a state is asked for, where one of its rooms is
full, or where a neuron would spike twice; so its rooms are never too small.
"""

from typing import NamedTuple

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array

import saltation as st

from ._chunks import loop_over_chunks, padded_length
from ._found import Flags
from ._record import iota
from ._slice_advance import Firing, Incoming, advance
from ._slice_find import first_spikes
from ._slice_layer import SliceLayer
from ._slice_record import Slices, SlicesFound, gather, incoming_of

_CHUNK_FLOATS = 400_000  # of a chunk's kicks, about


class _Carry(NamedTuple):
    t: Array
    v: Array
    i: Array
    external: Array  # the next arrival from outside, [] or [n]
    taken: Array  # of each wire, how many spikes have arrived, [wires]; where each neuron has its own order: none
    log: Array  # all spikes in order of time, [n * max_spikes]; only where each neuron has its own order
    logged: Array
    oldest: Array  # the first of the log that has not reached all
    times: Array  # [n * max_spikes]
    ready: Array
    count: Array
    sample: Array
    samples: tuple[Array, ...]  # v and i, [S, n]; nothing where no states are asked for
    min_slope: Array
    flat: Array
    full: Array
    crowded: Array
    finished: Array


def search_slices(layer: SliceLayer) -> SlicesFound:
    """All spikes up to `t1`."""
    width = layer.rooms.external + layer.rooms.internal * (len(layer.links) if layer.own_order else 1)
    chunk = min(max(8, _CHUNK_FLOATS // (width * layer.size)), 64)
    length = padded_length(layer.rooms.slices, chunk)
    carry, record, starts, chunks = loop_over_chunks(
        lambda carry, _: _slice(layer, carry),
        _start(layer),
        length,
        chunk,
        active=lambda carry: ~carry.finished,
        start_of=lambda carry: (carry.v, carry.i),
    )
    theta, v_reset = layer.constants.theta, layer.constants.v_reset
    above = jnp.any(layer.v >= theta) | jnp.any(jnp.asarray(v_reset) >= theta)
    unfinished = carry.crowded | ~(carry.finished | carry.full)
    short = jnp.any(layer.delay < layer.length)
    flags = Flags(carry.full, unfinished & ~short, jnp.zeros((), bool), above, short)
    final = carry.v, carry.i
    found = carry.times, carry.ready, final, carry.samples, carry.count, carry.min_slope, carry.flat
    return SlicesFound(record, starts, chunks, *found, flags)


def _start(layer: SliceLayer) -> _Carry:
    n, room, dtype = layer.size, layer.size * layer.max_spikes, layer.v.dtype
    no, zero, none = jnp.zeros((), bool), jnp.zeros((), dtype), jnp.zeros((), jnp.int32)
    own = layer.own_order
    states = jnp.zeros((layer.samples.shape[0], n), dtype)
    return _Carry(
        t=zero,
        v=layer.v,
        i=layer.i,
        external=jnp.zeros(layer.time.shape[1:], jnp.int32),
        taken=jnp.zeros(0 if own else layer.kicks.shape[0], jnp.int32),
        log=jnp.full(room if own else 0, -1, jnp.int32),
        logged=none,
        oldest=none,
        times=jnp.full(room, jnp.inf, dtype),
        ready=jnp.zeros(room if own else 0, dtype),
        count=jnp.zeros(n, jnp.int32),
        sample=none,
        samples=(states, states) if states.shape[0] else (),
        min_slope=jnp.full(n, jnp.inf, dtype),
        flat=jnp.zeros(n, jnp.int32),
        full=no,
        crowded=no,
        finished=no,
    )


def _slice(layer: SliceLayer, carry: _Carry) -> tuple[_Carry, Slices]:
    n, room = layer.size, layer.max_spikes
    start, going = carry.t, ~carry.finished
    samples = jnp.concatenate([layer.samples, jnp.full(1, jnp.inf, start.dtype)])
    wanted = samples[carry.sample]
    end = jnp.maximum(start, jnp.minimum(jnp.minimum(start + layer.length, wanted), layer.t1))

    # What may arrive, and an end before which there is room for it.
    window, end = _from_outside(layer, carry, end)
    wires, arrives, missed, end = (_on_their_way if layer.own_order else _from_inside)(layer, carry, end)
    spikes = jnp.full(layer.rooms.spikes, -1, jnp.int32)

    def taken_by(end):
        beyond = carry.external + jnp.sum(window[:-1] <= end, axis=0, dtype=jnp.int32)
        return Slices(start, end, carry.external, beyond, jnp.where(arrives <= end, wires, -1), spikes, none, going)

    none = jnp.full((), -1, jnp.int32)
    one = taken_by(end)
    gathered = gather(layer, one)

    # Who spikes, and an end before which nobody spikes twice.
    first, cut = _first(layer, carry, end, incoming_of(layer, one, gathered, carry.times, carry.ready))
    lane, when, end = _earliest(first, layer.rooms.spikes, jnp.maximum(start, jnp.minimum(cut, end)))
    more = jnp.sum(first <= end) > jnp.sum(when <= end)
    fired = (when <= end) & going
    full = fired & (carry.count[lane] >= room)
    noted = fired & ~full
    place = jnp.where(noted, lane * room + carry.count[lane], n * room)
    one = taken_by(end)._replace(spikes=jnp.where(noted, place, -1).astype(jnp.int32))
    incoming = incoming_of(layer, one, gathered, carry.times, carry.ready)
    firing = Firing(lane, jnp.where(fired, when, jnp.inf))
    given = layer.observed is not None
    after = advance(layer.constants, carry.v, carry.i, start, end, incoming, firing, layer.slope_floor, given)
    v = after.v if given else _below(layer, carry, after.v)

    # Nothing of this instant is left over, to be taken by a slice of no length.
    settled = going & ~(more | jnp.any(window[-1] <= end) | (missed <= end))
    sampling = settled & (wanted <= end)
    slot = jnp.where(sampling, carry.sample, layer.samples.shape[0])
    sample = carry.sample + sampling.astype(jnp.int32)
    one = one._replace(sample=jnp.where(sampling, carry.sample, -1))
    who = jnp.where(fired, lane, n)
    carry = carry._replace(
        t=jnp.where(going, end, start),
        v=jnp.where(going, v, carry.v),
        i=jnp.where(going, after.i, carry.i),
        external=jnp.where(going, one.beyond, carry.external),
        times=carry.times.at[place].set(when, mode="drop"),
        count=carry.count.at[jnp.where(noted, lane, n)].add(1, mode="drop"),
        sample=sample,
        samples=tuple(kept.at[slot].set(x, mode="drop") for kept, x in zip(carry.samples, (v, after.i), strict=False)),
        min_slope=carry.min_slope.at[who].min(after.slope, mode="drop"),
        flat=carry.flat.at[who].add((after.slope <= 0).astype(jnp.int32), mode="drop"),
        full=carry.full | jnp.any(full),
        finished=carry.finished | jnp.any(full) | (settled & (end >= layer.t1) & (samples[sample] > layer.t1)),
    )
    return (_log if layer.own_order else _take_wires)(layer, carry, one), one


def _from_outside(layer: SliceLayer, carry: _Carry, end: Array) -> tuple[Array, Array]:
    """The next arrivals from outside and the one after them, `[A + 1]` or `[A + 1, n]`."""
    steps = iota(layer.rooms.external + 1)
    if layer.time.ndim == 1:
        window = layer.time[carry.external + steps]
    else:
        window = layer.time[carry.external[None, :] + steps[:, None], iota(layer.size)]
    if layer.rooms.external == 0:
        return window, end
    last = jnp.where(window[-1] <= end, window[-2], end)
    return window, jnp.maximum(carry.t, jnp.min(last))


def _from_inside(layer: SliceLayer, carry: _Carry, end: Array):
    """The next arrivals from inside in order, one of a wire, and when the first comes for which there is no room."""
    room, wires = layer.max_spikes, layer.kicks.shape[0]
    times = carry.times.reshape(layer.size, room)
    source = layer.wire_source()
    following = times.at[source, carry.taken].get(mode="fill", fill_value=jnp.inf) + layer.delay
    second = times.at[source, carry.taken + 1].get(mode="fill", fill_value=jnp.inf) + layer.delay
    missed = jnp.min(second)
    number = layer.rooms.internal
    if number < wires:
        wire = st.argsort_times(following)[: number + 1]
        soonest = following[wire]
        missed = jnp.minimum(missed, soonest[-1])
        end = jnp.where(soonest[-1] <= end, soonest[-2], end)
        following, wire = soonest[:-1], wire[:-1]
    else:
        wire = iota(wires)
    end = jnp.maximum(carry.t, jnp.minimum(end, jnp.min(second)))
    spike = wire * room + jnp.minimum(carry.taken[wire], room - 1)
    return spike.astype(jnp.int32), following, missed, end


def _take_wires(layer: SliceLayer, carry: _Carry, one: Slices) -> _Carry:
    """The wires on, whose spikes have arrived."""
    wire = jnp.where((one.wires >= 0) & one.real, one.wires // layer.max_spikes, layer.kicks.shape[0])
    return carry._replace(taken=carry.taken.at[wire].add(1, mode="drop"))


def _on_their_way(layer: SliceLayer, carry: _Carry, end: Array):
    """All spikes that have not reached everyone, through each of the connections, in order of time."""
    number, room = layer.rooms.internal, layer.max_spikes
    log = jnp.pad(carry.log, (0, number), constant_values=-1)
    spike = lax.dynamic_slice_in_dim(log, carry.oldest, number)
    lane, rank = spike // room, spike % room
    wires, before = [], 0
    for first, size in layer.links:
        here = (spike >= 0) & (lane >= first) & (lane < first + size)
        wires.append(jnp.where(here, (before + lane - first) * room + rank, -1))
        before += size
    never = jnp.full((), jnp.inf, end.dtype)
    # Which of them arrive where is a matter of their times: they are all taken along.
    return jnp.concatenate(wires), jnp.zeros(number * len(wires), end.dtype) + carry.t, never, end


def _log(layer: SliceLayer, carry: _Carry, one: Slices) -> _Carry:
    """The slice's own spikes at the end of the log, and those that have reached everyone off its front."""
    room, number, all_ = layer.max_spikes, layer.rooms.internal, carry.log.shape[0]
    fired = one.spikes >= 0
    place = carry.logged + jnp.cumsum(fired.astype(jnp.int32)) - 1
    log = carry.log.at[jnp.where(fired, place, all_)].set(one.spikes, mode="drop")
    ready = carry.ready.at[jnp.where(fired, one.spikes, all_)].set(one.end, mode="drop")
    logged = carry.logged + jnp.sum(fired, dtype=jnp.int32)

    slowest = jnp.full(layer.size, -jnp.inf, one.end.dtype).at[layer.wire_source()].max(jnp.max(layer.delay, axis=1))
    spike = lax.dynamic_slice_in_dim(jnp.pad(log, (0, number), constant_values=-1), carry.oldest, number)
    last = carry.times[jnp.maximum(spike, 0)] + slowest[jnp.maximum(spike, 0) // room]
    reached = (spike >= 0) & (jnp.maximum(last, jnp.nextafter(ready[jnp.maximum(spike, 0)], jnp.inf)) <= one.end)
    oldest = carry.oldest + jnp.where(jnp.all(reached), number, jnp.argmin(reached)).astype(jnp.int32)
    crowded = carry.crowded | (logged - oldest > number)
    return carry._replace(log=log, ready=ready, logged=logged, oldest=oldest, crowded=crowded)


def _first(layer: SliceLayer, carry: _Carry, end: Array, incoming: Incoming) -> tuple[Array, Array]:
    """When each neuron spikes first, and an end before which it does not again."""
    if layer.observed is not None:
        rows = iota(layer.size)
        first, second = (
            layer.observed.at[rows, carry.count + later].get(mode="fill", fill_value=jnp.inf) for later in (0, 1)
        )
        return first, jnp.min(jnp.where(second <= end, 0.5 * (first + second), jnp.inf))
    since = incoming._replace(time=jnp.maximum(incoming.time - carry.t, 0.0))
    once = layer.spikes_once()
    silent = once & (carry.count > 0)
    first, cut = first_spikes(layer.constants, carry.v, carry.i, end - carry.t, since, silent, once)
    return jnp.minimum(carry.t + first, jnp.where(jnp.isfinite(first), end, jnp.inf)), carry.t + cut


def _earliest(first: Array, number: int, end: Array) -> tuple[Array, Array, Array]:
    """The neurons that spike first, in order, their times, and an end before which no other spikes."""
    lane = st.argsort_times(first)[: number + 1]
    soonest = first[lane]
    if number < first.shape[0]:
        end = jnp.minimum(end, jnp.where(soonest[-1] <= end, 0.5 * (soonest[-1] + soonest[-2]), jnp.inf))
    return lane[:number], soonest[:number], end


def _below(layer: SliceLayer, carry: _Carry, v: Array) -> Array:
    """What is at the threshold by rounding alone is below it, so that the next slice has the crossing."""
    theta = jnp.zeros_like(v) + layer.constants.theta
    below = jnp.minimum(v, jnp.nextafter(theta, jnp.full_like(theta, -jnp.inf)))
    may_spike = ~(layer.spikes_once() & (carry.count > 0))
    return jnp.where(may_spike & (carry.v < theta), below, v)
