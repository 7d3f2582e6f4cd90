"""The search: finds every event of a component in order of time. It carries no gradient.

One iteration does one thing: it tries a step up to the next event that is known, and takes it, cuts it at the first
crossing, or rejects it. So locating a spike is step-size control; a step is tried at most twice in an iteration, which
is enough for most spikes. What may happen at one instant happens in this order: crossings of the guard, timers,
arrivals from outside, arrivals from inside, then spikes of neurons that a kick has lifted over their threshold.
"""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array

from ._carry import Carry, start
from ._chunks import loop_over_chunks, padded_length
from ._component import Component
from ._fence import fenced, running_in
from ._found import Flags, Found, Start
from ._happen import deliver, fire
from ._held import wait
from ._next import earliest, entry_at, first_of, join, next_arrival, next_delivery
from ._record import Kind, Kinds, Record, iota, is_crossing
from ._trial import closed_step, numerical_step, replayed_step

_CHUNK, _CHUNKS = 8, 64  # the least length of a chunk of iterations, and about the largest number of them
_SMALL = 8  # numbers, of a state that is about as large as what is noted of an iteration


def search(component: Component, *, max_steps: int, first_step: float, keep: bool) -> Found:
    """Find all events of one sample of `component` up to `t1`.

    `max_steps` is the room for iterations that are not events; a closed form needs none. Where samples are taken,
    `keep` the states of all iterations, or note the samples alone.
    """
    room = component.event_bound() + (0 if component.closed else max_steps)
    chunk = _chunk(component, room)
    length = padded_length(room, chunk)
    carry = start(component, first_step, keep)

    stepped = [name for name, arrivals in component.arrivals.items() if arrivals.steps is not None]
    sampling = keep and component.samples.shape[0] > 0
    storing = sampling and chunk > 1

    def step(carry, iteration):
        before = carry.state if storing else None
        running = running_in(chunk, iteration, carry.going)
        carry, record = _iterate(component, carry, iteration, running)
        return carry, (record, before)

    def start_of(carry):
        return Start(carry.state, {name: carry.drive[name] for name in stepped})

    carry, (record, states), starts, chunks = loop_over_chunks(
        step, carry, length, chunk, active=lambda carry: carry.going, start_of=start_of
    )
    if sampling and not storing:
        states = jax.tree.map(lambda x: x[:, None], starts.state)  # each is a chunk's start
    flags = Flags(_overflow(component, carry), carry.going, carry.diverged, carry.guard_at_start)
    return Found(
        record=record,
        times=carry.times,
        iteration=carry.iteration,
        count=carry.count,
        starts=starts,
        chunks=chunks,
        states=states,
        final=carry.state,
        sampled=carry.sampled,
        samples=carry.samples,
        min_slope=carry.min_slope,
        flat=carry.flat,
        flags=flags,
    )


def _chunk(component: Component, room: int) -> int:
    """How many iterations the backward pass computes again at a time, from the state that the first one starts from.

    Where a state is small, one: to keep every state costs little then, and nothing is computed twice.
    """
    if sum(x.size for x in jax.tree.leaves(component.state)) <= _SMALL:
        return 1
    # Short chunks end soon after the last event. But each costs the backward pass a sum over all links: not more of
    # them than a fixed number keeps that linear.
    return max(_CHUNK, room // _CHUNKS)


def _iterate(component: Component, carry: Carry, iteration: Array, running: Array) -> tuple[Carry, Record]:
    names = list(component.neurons)
    kinds = Kinds(len(names), len(component.links))
    t = carry.t

    # What is known to come next, and when.
    arrivals = {name: next_arrival(component.arrivals[name], carry.arrived[name]) for name in names}
    links = [
        next_delivery(link, carry.times[link.source], pointer)
        for link, pointer in zip(component.links, carry.delivered, strict=True)
    ]
    timers = {
        name: t + neuron.next_timer(carry.state[name])
        for name, neuron in component.neurons.items()
        if component.schedules(name)
    }
    sample = entry_at(component.samples, carry.samples_taken, jnp.inf)
    end = jnp.asarray(component.t1, component.dtype)
    # At one instant the order is the order of this list.
    deliveries = [
        *((kinds.timer(p), *earliest(timers[name])) for p, name in enumerate(names) if name in timers),
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
    # One neuron alone never has another one beside it; said here, because XLA does not find out.
    due = jnp.zeros((), bool) if component.alone else jnp.any(carry.due)
    lift = jnp.any(lifted) & ~pending & ~due
    instant = lift | due
    remaining = jnp.where(instant, jnp.zeros_like(t), stop - t)

    rise = None
    if component.closed:
        h, crossed, accepted, reached, control = closed_step(component, carry, remaining, instant, running)
        state = {
            name: component.flows[name].propagate(neuron, t, carry.state[name], h, carry.drive[name])
            for name, neuron in component.neurons.items()
        }
    elif component.observed is not None:
        h, crossed, accepted, reached, control, state = replayed_step(component, carry, remaining, running)
    else:
        h, crossed, accepted, reached, control, state, rise = numerical_step(
            component, carry, remaining, instant, running
        )
    crossed = jnp.where(due, carry.due, crossed & ~lift)
    spike = jnp.any(crossed)
    spiker = nothing if component.alone else jnp.argmax(jnp.where(lift, lifted, crossed)).astype(jnp.int32)
    others = crossed & (iota(crossed.shape[0]) != spiker)

    # What this iteration does.
    kind = jnp.where(reached, planned_kind, jnp.where(accepted, int(Kind.STEP), int(Kind.IDLE)))
    kind_of_spike = jnp.asarray(int(Kind.SPIKE), jnp.int32)
    if not all(link.delayed for link in component.links):
        # Where nothing else happens at this instant, what is sent arrives at once.
        kind_of_spike = jnp.where((stop > t + h) & ~jnp.any(others), int(Kind.SENT), kind_of_spike)
    kind = jnp.where(spike, kind_of_spike, jnp.where(lift, int(Kind.LIFT), kind))
    kind = jnp.where(carry.going, kind, int(Kind.IDLE)).astype(jnp.int32)
    which = jnp.where(spike | lift, spiker, planned_which)
    active = kind != Kind.IDLE
    kind = fenced(running, kind)
    t_end = jnp.where(active, jnp.where(reached & ~spike & ~lift, stop, t + h), t)
    state = jax.tree.map(lambda new, old: jnp.where(active, new, old), state, carry.state)
    carry = carry._replace(t=t_end, state=state, h_free=control.h_free, h_trial=control.h_trial)
    if component.observed is None:
        carry = carry._replace(due=jnp.where(active, others, carry.due))
    carry = carry._replace(diverged=carry.diverged | control.diverged)

    held = None if carry.waiting is None else carry.waiting.held
    if carry.waiting is not None:
        waiting = wait(component, carry.waiting, carry.t, carry.state, carry.drive, carry.h_free)
        carry = carry._replace(waiting=waiting)
    spiking = is_crossing(kind) | (kind == Kind.LIFT)
    carry, slot_of_spike = fire(component, carry, spiking, spiker, iteration, lift, rise)
    carry, slot_of_event = deliver(component, carry, kinds, kind, which, arrivals, links)
    taking = kind == Kind.SAMPLE
    sampled = jnp.where(taking & (iota(carry.sampled.shape[0]) == carry.samples_taken), iteration, carry.sampled)
    if carry.samples is not None:
        here = taking & (iota(carry.sampled.shape[0]) == carry.samples_taken)
        carry = carry._replace(samples=noted(here, carry.state, carry.samples))
    carry = carry._replace(
        sampled=sampled,
        samples_taken=carry.samples_taken + taking.astype(jnp.int32),
        going=carry.going & (kind != Kind.END) & ~_overflow(component, carry) & ~carry.diverged,
    )
    slot = jnp.where(spike | lift, slot_of_spike, slot_of_event)
    slot = jnp.where(taking, carry.samples_taken - 1, slot)
    noted_which = None if component.alone else which
    return carry, Record(kind, noted_which, slot, t, jnp.where(active, h, 0.0), held)


def _overflow(component: Component, carry: Carry) -> Array:
    """Whether a neuron has spiked more often than there is room for."""
    return jnp.any(join(list(carry.count.values())) > component.max_spikes)


def noted(here: Array, state: Any, samples: Any) -> Any:
    """`samples`, leaves `[S, n]`, with the state where `here`, `[S]`."""
    return jax.tree.map(lambda x, kept: jnp.where(here[:, None], x[None], kept), state, samples)
