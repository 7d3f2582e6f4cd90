"""The search: finds every event of a component in order of time. It carries no gradient.

One iteration does one thing: it tries a step up to the next event that is known, and takes it, cuts it at the first
crossing, or rejects it. So locating a spike is step-size control, and there is no loop inside the loop. What may
happen at one instant happens in this order: crossings of the guard, timers, arrivals from outside, arrivals from
inside, then spikes of neurons that a kick has lifted over their threshold.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array

import saltation as st

from ._chunks import in_chunks, padded_length, scan_in_chunks
from ._component import Component, Lookup
from ._fence import fenced
from ._next import earliest, entry_at, first_of, join, link_row, next_arrival, next_delivery, row_at, upcoming
from ._record import Kind, Kinds, Record, iota

_SAFETY, _SHRINK, _GROW = 0.9, 0.2, 5.0
_RECOVER = 2.0
_CHUNK, _CHUNKS = 8, 32  # the least length of a chunk of iterations, and about the largest number of them


class Flags(NamedTuple):
    """What went wrong, bools."""

    max_spikes_reached: Array
    max_steps_reached: Array
    diverged: Array
    guard_at_start: Array


class Summary(NamedTuple):
    """What a user wants to know of a search, dictionaries by population."""

    flat: dict[str, Array]  # [n], how many spikes lie where the guard does not rise: they have no derivative
    count: dict[str, Array]  # [n], how often each neuron spiked
    min_slope: dict[str, Array]  # [n], slope of the guard at its flattest crossing, `inf` if there is none
    flags: Flags


class Before(NamedTuple):
    """What each iteration of a record started from, leaves `[C, c, n]`."""

    state: dict[str, Any]
    drive: dict[str, Array]  # of the populations whose external current changes; of others, it is the component's


class Found(NamedTuple):
    """What the search found."""

    record: Record
    times: dict[str, Array]  # [n, max_spikes], `inf` where there is no spike
    iteration: dict[str, Array]  # [n, max_spikes], the entry of the record that holds the spike
    count: dict[str, Array]  # [n]
    before: Before | None  # `None` if it is to be computed again
    final: dict[str, Any]
    sampled: Array  # [S], the entry of the record that holds the sample
    samples: dict[str, Any] | None  # the states at the samples, leaves [S, n]; `None` where `before` has them
    min_slope: dict[str, Array]  # [n], slope of the guard at its flattest crossing, `inf` if there is none
    flat: dict[str, Array]  # [n], how many spikes lie where the guard does not rise
    flags: Flags


class _Carry(NamedTuple):
    t: Array
    state: dict[str, Any]
    drive: dict[str, Array]
    armed: dict[str, Array]
    due: Array  # [all neurons], whose own crossing is at this instant, beside that of a neuron that has spiked
    count: dict[str, Array]
    times: dict[str, Array]
    iteration: dict[str, Array]
    min_slope: dict[str, Array]
    flat: dict[str, Array]
    arrived: dict[str, Array]
    delivered: tuple[Array, ...]
    sampled: Array
    samples_taken: Array
    samples: dict[str, Any] | None
    h_free: Array  # what the step-size control would take
    h_trial: Array  # where a crossing is expected, `inf` if none is
    finished: Array
    flags: Flags


def search(component: Component, *, max_steps: int, first_step: float, keep: bool) -> Found:
    """Find all events of one sample of `component` up to `t1`.

    `max_steps` is the room for iterations that are not events; a closed form needs none. `keep` the state that each
    iteration starts from, or leave it to be computed again.
    """
    room = component.event_bound() + (0 if component.closed else max_steps)
    # Short chunks end soon after the last event. But each costs the backward pass a sum over all arrivals: not more
    # of them than a fixed number keeps that linear.
    chunk = max(_CHUNK, room // _CHUNKS)
    length = padded_length(room, chunk)
    carry = _start(component, first_step, keep)

    stepped = [name for name, arrivals in component.arrivals.items() if arrivals.steps is not None]

    def step(carry, iteration):
        before = Before(carry.state, {name: carry.drive[name] for name in stepped})
        carry, record = _iterate(component, carry, iteration)
        return carry, (record, before if keep else None)

    carry, (record, before) = scan_in_chunks(
        step, carry, in_chunks(iota(length), chunk), active=lambda carry, _: ~carry.finished
    )
    flags = carry.flags._replace(max_steps_reached=~carry.finished)
    return Found(
        record=record,
        times=carry.times,
        iteration=carry.iteration,
        count=carry.count,
        before=before,
        final=carry.state,
        sampled=carry.sampled,
        samples=carry.samples,
        min_slope=carry.min_slope,
        flat=carry.flat,
        flags=flags,
    )


def _start(component: Component, first_step: float, keep: bool) -> _Carry:
    dtype = component.dtype
    no, zero = jnp.zeros((), bool), jnp.zeros((), dtype)
    room = {name: (component.size(name), component.max_spikes) for name in component.neurons}
    armed = {name: neuron.guard(component.state[name]) < 0 for name, neuron in component.neurons.items()}
    above = jnp.any(jnp.stack([jnp.any(~a) for a in armed.values()]))
    number = component.samples.shape[0]
    return _Carry(
        t=zero,
        state=component.state,
        drive=component.drive,
        armed=armed,
        due=jnp.zeros(sum(component.size(name) for name in component.neurons), bool),
        count={name: jnp.zeros(n, jnp.int32) for name, (n, _) in room.items()},
        times={name: jnp.full(shape, jnp.inf, dtype) for name, shape in room.items()},
        iteration={name: jnp.zeros(shape, jnp.int32) for name, shape in room.items()},
        min_slope={name: jnp.full(n, jnp.inf, dtype) for name, (n, _) in room.items()},
        flat={name: jnp.zeros(n, jnp.int32) for name, (n, _) in room.items()},
        arrived={name: jnp.zeros(arrivals.time.shape[1:], jnp.int32) for name, arrivals in component.arrivals.items()},
        delivered=tuple(jnp.zeros(link.delay.shape, jnp.int32) for link in component.links),
        sampled=jnp.zeros(component.samples.shape, jnp.int32),
        samples_taken=jnp.zeros((), jnp.int32),
        samples=None if keep else jax.tree.map(lambda x: jnp.zeros((number, *x.shape), x.dtype), component.state),
        h_free=jnp.full((), first_step, dtype),
        h_trial=jnp.full((), jnp.inf, dtype),
        finished=no,
        flags=Flags(no, no, no, above),
    )


def _iterate(component: Component, carry: _Carry, iteration: Array) -> tuple[_Carry, Record]:
    names = list(component.neurons)
    kinds = Kinds(len(names), len(component.links))
    t = carry.t

    # What is known to come next, and when.
    arrivals = {name: next_arrival(component.arrivals[name], carry.arrived[name]) for name in names}
    links = [
        next_delivery(link, carry.times[link.source], pointer)
        for link, pointer in zip(component.links, carry.delivered, strict=True)
    ]
    timers = {name: t + component.neurons[name].next_timer(carry.state[name]) for name in names}
    sample = entry_at(component.samples, carry.samples_taken, jnp.inf)
    end = jnp.asarray(component.t1, component.dtype)
    # At one instant the order is the order of this list.
    deliveries = [
        *((kinds.timer(p), *earliest(timers[name])) for p, name in enumerate(names)),
        *((kinds.arrival(p), *arrivals[name][:2]) for p, name in enumerate(names)),
        *((kinds.link(c), *link[:2]) for c, link in enumerate(links)),
    ]
    pending = first_of(deliveries)[0] <= t
    nothing = jnp.zeros((), jnp.int32)
    stop, planned_kind, planned_which = first_of(
        [*deliveries, (int(Kind.SAMPLE), sample, nothing), (int(Kind.END), end, nothing)]
    )
    stop = jnp.maximum(stop, t)

    # Neurons that a kick has lifted over their threshold, once everything of this instant has arrived.
    guard = join([component.neurons[name].guard(carry.state[name]) for name in names])
    armed = join([carry.armed[name] for name in names])
    lifted = armed & (guard >= 0) & (component.observed is None)
    due = jnp.any(carry.due)
    lift = jnp.any(lifted) & ~pending & ~due
    instant = lift | due
    remaining = jnp.where(instant, jnp.zeros_like(t), stop - t)

    if component.closed:
        h, crossed, accepted, reached, control = _closed_step(component, carry, remaining, instant)
        state = {
            name: component.flows[name].propagate(neuron, t, carry.state[name], h, carry.drive[name])
            for name, neuron in component.neurons.items()
        }
    else:
        h, crossed, accepted, reached, control, state = _numerical_step(component, carry, remaining, instant)
    crossed = jnp.where(due, carry.due, crossed & ~lift)
    spike = jnp.any(crossed)
    spiker = jnp.argmax(jnp.where(lift, lifted, crossed)).astype(jnp.int32)

    # What this iteration does.
    kind = jnp.where(reached, planned_kind, jnp.where(accepted, int(Kind.STEP), int(Kind.IDLE)))
    kind = jnp.where(spike, int(Kind.SPIKE), jnp.where(lift, int(Kind.LIFT), kind))
    kind = jnp.where(carry.finished, int(Kind.IDLE), kind).astype(jnp.int32)
    which = jnp.where(spike | lift, spiker, planned_which)
    active = kind != Kind.IDLE
    kind, which, h, reached, control = fenced(
        st.anywhere(~carry.finished), lambda *x: x, kind, which, h, reached, control
    )
    t_end = jnp.where(active, jnp.where(reached & ~spike & ~lift, stop, t + h), t)
    state = jax.tree.map(lambda new, old: jnp.where(active, new, old), state, carry.state)
    carry = carry._replace(t=t_end, state=state, h_free=control.h_free, h_trial=control.h_trial)
    if component.observed is None:
        carry = carry._replace(due=jnp.where(active, crossed & (iota(crossed.shape[0]) != spiker), carry.due))
    carry = carry._replace(flags=carry.flags._replace(diverged=carry.flags.diverged | control.diverged))

    carry, slot_of_spike = _spike(component, carry, (kind == Kind.SPIKE) | (kind == Kind.LIFT), spiker, iteration, lift)
    carry, slot_of_event = _deliver(component, carry, kinds, kind, which, arrivals, links)
    taking = kind == Kind.SAMPLE
    sampled = jnp.where(taking & (iota(carry.sampled.shape[0]) == carry.samples_taken), iteration, carry.sampled)
    overflow = carry.flags.max_spikes_reached
    if carry.samples is not None:
        here = taking & (iota(carry.sampled.shape[0]) == carry.samples_taken)
        carry = carry._replace(samples=noted(here, carry.state, carry.samples))
    carry = carry._replace(
        sampled=sampled,
        samples_taken=carry.samples_taken + taking.astype(jnp.int32),
        finished=carry.finished | (kind == Kind.END) | overflow | carry.flags.diverged,
    )
    slot = jnp.where(spike | lift, slot_of_spike, slot_of_event)
    slot = jnp.where(taking, carry.samples_taken - 1, slot)
    return carry, Record(kind, which, slot, t, jnp.where(active, h, 0.0), t_end)


def noted(here: Array, state: Any, samples: Any) -> Any:
    """`samples`, leaves `[S, n]`, with the state where `here`, `[S]`."""
    return jax.tree.map(lambda x, kept: jnp.where(here[:, None], x[None], kept), state, samples)


class _Control(NamedTuple):
    h_free: Array
    h_trial: Array
    diverged: Array


def _closed_step(component: Component, carry: _Carry, remaining: Array, instant: Array):
    """A step to the next event, and who crosses the threshold there: the exact flow is never rejected."""
    if component.observed is None:
        crossing = join([attempt.crossing for attempt in _attempts(component, carry, remaining)])
    else:
        crossing = join([upcoming(component.observed[name], carry.count[name]) - carry.t for name in component.neurons])
    first = jnp.min(crossing)
    spike = (first <= remaining) & ~instant
    h = jnp.where(spike, jnp.maximum(first, 0.0), remaining)
    # Equal to rounding is equal: what the clock resolves.
    crossed = spike & (crossing <= h + 4 * jnp.finfo(h.dtype).eps * (carry.t + h))
    control = _Control(carry.h_free, carry.h_trial, jnp.zeros((), bool))
    yes = jnp.ones((), bool)
    return h, crossed, yes, yes, control


def _numerical_step(component: Component, carry: _Carry, remaining: Array, instant: Array):
    """A step of the length that the error control, the next event and an expected crossing allow."""
    order = min(flow.order for flow in component.flows.values())  # pyright: ignore
    h = jnp.minimum(remaining, jnp.minimum(carry.h_free, carry.h_trial))
    attempts = _attempts(component, carry, h)
    error = jnp.max(jnp.stack([attempt.error for attempt in attempts]))
    crossing = join([attempt.crossing for attempt in attempts])
    located = join([attempt.located for attempt in attempts])
    approach = jnp.min(join([attempt.approach for attempt in attempts]))

    good = (error <= 1) | instant
    spike = good & jnp.any(located) & ~instant
    inside = good & jnp.isfinite(jnp.min(crossing)) & ~spike & ~instant
    accepted = good & ~inside
    locating = jnp.isfinite(carry.h_trial)

    # A crossing inside the step: try the step that ends there. A trial that ended below it: the next one is short.
    short = jnp.where(locating & jnp.isfinite(approach), 2.0 * approach, jnp.inf)
    h_trial = jnp.where(inside, jnp.min(crossing), jnp.where(spike | ~accepted, jnp.inf, short))
    step = next(iter(component.flows.values())).step
    if step is None:
        factor = jnp.clip(_SAFETY * jnp.maximum(error, 1e-10) ** (-1.0 / order), _SHRINK, _GROW)
        suggested = h * jnp.where(jnp.isfinite(error), factor, _SHRINK)
        # A step that something else has cut short says nothing against the long one.
        grown = jnp.where(h < carry.h_free, jnp.maximum(carry.h_free, suggested), suggested)
        h_free = jnp.where(instant | inside, carry.h_free, jnp.where(good, grown, suggested))
    else:
        # A fixed step that runs away is tried again shorter: there may be a crossing on the way.
        recovered = jnp.minimum(_RECOVER * carry.h_free, step)
        h_free = jnp.where(instant | inside, carry.h_free, jnp.where(good, recovered, _SHRINK * h))
    smallest = component.t1 * jnp.finfo(h.dtype).eps ** 2
    diverged = ~jnp.isfinite(error) & (h < smallest) & (h > 0) & ~carry.finished
    reached = accepted & (h >= remaining)
    state = {name: attempt.end for name, attempt in zip(component.neurons, attempts, strict=True)}
    control = _Control(h_free.astype(h.dtype), h_trial.astype(h.dtype), diverged)
    return h, spike & located, accepted, reached, control, state


def _attempts(component: Component, carry: _Carry, h: Array):
    def attempt(h):
        return [
            component.flows[name].attempt(neuron, carry.t, carry.state[name], h, carry.drive[name])
            for name, neuron in component.neurons.items()
        ]

    return fenced(st.anywhere(~carry.finished), attempt, h)


def _spike(component: Component, carry: _Carry, spiking: Array, spiker: Array, iteration: Array, lift: Array):
    """Note the spike of one neuron, and reset it."""
    offsets = component.offsets()
    state, armed = dict(carry.state), dict(carry.armed)
    count, times, where = dict(carry.count), dict(carry.times), dict(carry.iteration)
    min_slope, flat = dict(carry.min_slope), dict(carry.flat)
    slot = jnp.zeros((), jnp.int32)
    full = stuck = jnp.zeros((), bool)
    for name, neuron in component.neurons.items():
        n = component.size(name)
        mine = spiking & (iota(n) + offsets[name] == spiker)
        slot = slot + jnp.sum(jnp.where(mine, count[name], 0), dtype=jnp.int32)
        full = full | jnp.any(mine & (count[name] >= component.max_spikes))
        here = mine[:, None] & (iota(component.max_spikes)[None, :] == count[name][:, None])
        times[name] = jnp.where(here, carry.t, times[name])
        where[name] = jnp.where(here, iteration, where[name])
        count[name] = count[name] + mine.astype(jnp.int32)
        slopes = neuron.vector_field(carry.t, state[name], carry.drive[name])
        slope = jax.jvp(neuron.guard, (state[name],), (slopes,))[1]
        min_slope[name] = jnp.where(mine & ~lift, jnp.minimum(min_slope[name], slope), min_slope[name])
        flat[name] = flat[name] + (mine & ~lift & (slope <= 0)).astype(jnp.int32)
        reset = neuron.reset(state[name])
        state[name] = jax.tree.map(lambda new, old, mine=mine: jnp.where(mine, new, old), reset, state[name])
    carry = carry._replace(
        state=state,
        count=count,
        times=times,
        iteration=where,
        min_slope=min_slope,
        flat=flat,
        flags=carry.flags._replace(max_spikes_reached=carry.flags.max_spikes_reached | full),
    )
    for name, neuron in component.neurons.items():
        n = component.size(name)
        mine = spiking & (iota(n) + offsets[name] == spiker)
        below = neuron.guard(state[name]) < 0
        stuck = stuck | jnp.any(mine & ~below)
        armed[name] = jnp.where(mine, below, armed[name] | below)
    stuck = carry.flags.guard_at_start | stuck
    return carry._replace(armed=armed, flags=carry.flags._replace(guard_at_start=stuck)), slot


def _deliver(component: Component, carry: _Carry, kinds: Kinds, kind: Array, which: Array, arrivals, links):
    """Carry out a timer or an arrival."""
    state, drive = dict(carry.state), dict(carry.drive)
    arrived, delivered = dict(carry.arrived), list(carry.delivered)
    slot = jnp.zeros((), jnp.int32)
    for p, (name, neuron) in enumerate(component.neurons.items()):
        lanes = iota(component.size(name))
        fired = (kind == kinds.timer(p)) & (lanes == which)
        state[name] = jax.tree.map(
            lambda new, old, fired=fired: jnp.where(fired, new, old), neuron.on_timer(state[name]), state[name]
        )

        here = kind == kinds.arrival(p)
        incoming, pointer = component.arrivals[name], arrived[name]
        entry = arrivals[name][2]
        slot = jnp.where(here, entry, slot)
        mask = here & (lanes == which) if incoming.own_order else here
        for port, kicks in incoming.kicks.items():
            assert not isinstance(kicks, Lookup)
            state[name] = neuron.receive(state[name], jnp.where(mask, row_at(kicks, entry), 0.0), port)
        if incoming.steps is not None:
            drive[name] = drive[name] + jnp.where(mask, row_at(incoming.steps, entry), 0.0)
        arrived[name] = pointer + (mask if incoming.own_order else here).astype(jnp.int32)

    for c, (link, pointer) in enumerate(zip(component.links, carry.delivered, strict=True)):
        here = kind == kinds.link(c)
        entry = links[c][2]
        slot = jnp.where(here, entry, slot)
        row = link_row(link, which)
        state[link.target] = component.neurons[link.target].receive(
            state[link.target], jnp.where(here, row, 0.0), link.port
        )
        flat = iota(link.delay.size).reshape(link.delay.shape)
        delivered[c] = pointer + (here & (flat == which)).astype(jnp.int32)
    return carry._replace(state=state, drive=drive, arrived=arrived, delivered=tuple(delivered)), slot
