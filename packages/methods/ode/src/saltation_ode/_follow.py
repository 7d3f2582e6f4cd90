"""Following a record: the same steps and events as the search found, differentiable and without a search.

The order of events is fixed; their times are not. An event time moves with what it depends on: an arrival with the
spike that was sent, a spike by the implicit function theorem, `d tau = -(dg/dx dx + dg/dp dp) / (dg/dt)` along the
computed flow. The state moves with it through `x(t + e) = x(t) + rate e`, where `e` is zero in value and carries the
derivative: that is the saltation matrix, one factor at a time.
"""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array

import saltation as st

from ._chunks import scan_in_chunks
from ._component import Component, Link, Lookup
from ._fence import fenced
from ._record import Kind, Kinds, Record, iota
from ._search import Found


class Values(NamedTuple):
    """The differentiable outputs of a component."""

    times: dict[str, Array]  # [n, max_spikes]
    states: dict[str, Any] | None  # leaves [S, n]
    final: dict[str, Any]


class _Carry(NamedTuple):
    t: Array
    state: dict[str, Any]
    drive: dict[str, Array]
    times: dict[str, Array]  # empty unless links need them


class _Event(NamedTuple):
    """An iteration of the record with what it needs of the component, gathered beforehand.

    Gathering inside the scan would make the backward pass scatter into the whole of the stimulus at every iteration.
    """

    record: Record
    when: Array  # the time of an arrival or of a sample
    delay: Array
    kicks: dict[str, dict[str, Array]]  # by population and port, [n]
    steps: dict[str, Array]


def follow(component: Component, found: Found, *, chunk: int) -> Values:
    """The outputs of `component` as differentiable functions of everything in it, at the events that were found."""
    record = found.record
    events = _gather(component, record)
    initial = _Carry(
        t=jnp.zeros((), component.dtype),
        state=component.state,
        drive=component.drive,
        times={
            link.source: jnp.full(found.times[link.source].shape, jnp.inf, component.dtype) for link in component.links
        },
    )
    sampling = component.samples.shape[0] > 0

    # Recomputing an iteration costs less than storing all of it. With links the carry holds every spike, and is large.
    dynamic, static = eqx.partition(component, eqx.is_array)

    def iterate(dynamic, carry, event):
        return _iterate(eqx.combine(dynamic, static), carry, event)

    if not component.links:
        iterate = jax.checkpoint(iterate)

    def step(carry, event):
        carry = iterate(dynamic, carry, event)
        return carry, (carry.t, carry.state if sampling else None)

    def active(_, event):
        return jnp.any(event.record.kind != Kind.IDLE)

    carry, (ends, states) = scan_in_chunks(step, initial, events, active=active, chunk=chunk)
    times = {}
    for name, iteration in found.iteration.items():
        spiked = jnp.isfinite(found.times[name])
        times[name] = jnp.where(spiked, ends[jnp.where(spiked, iteration, 0)], jnp.inf)
    sampled = jax.tree.map(lambda x: x[found.sampled], states) if sampling else None
    return Values(times, sampled, carry.state)


def _gather(component: Component, record: Record) -> _Event:
    names = list(component.neurons)
    kinds = Kinds(len(names), len(component.links))
    kind, which, slot = record.kind, record.which, record.slot
    when = jnp.zeros(kind.shape, component.dtype)
    delay = jnp.zeros(kind.shape, component.dtype)
    kicks: dict[str, dict[str, Array]] = {name: {} for name in names}
    steps: dict[str, Array] = {}

    if component.samples.shape[0]:
        taken = jnp.cumsum((kind == Kind.SAMPLE).astype(jnp.int32)) - 1
        when = jnp.where(kind == Kind.SAMPLE, component.samples[jnp.maximum(taken, 0)], when)
    for p, name in enumerate(names):
        arrivals = component.arrivals[name]
        if arrivals.time.shape[0] == 0:
            continue
        here = kind == kinds.arrival(p)
        entry = jnp.where(here, slot, 0)
        time = arrivals.time[entry, jnp.where(here, which, 0)] if arrivals.own_order else arrivals.time[entry]
        when = jnp.where(here, jnp.where(here, time, 0.0), when)
        mask = here[:, None]
        if arrivals.own_order:
            mask = mask & (which[:, None] == iota(component.size(name))[None, :])
        for port, rows in arrivals.kicks.items():
            assert not isinstance(rows, Lookup)
            kicks[name][port] = jnp.where(mask, rows[entry], 0.0)
        if arrivals.steps is not None:
            steps[name] = jnp.where(mask, arrivals.steps[entry], 0.0)
    for c, link in enumerate(component.links):
        here = kind == kinds.link(c)
        synapse = jnp.where(here, which, 0)
        delay = jnp.where(here, link.delay.reshape(-1)[synapse], delay)
        rows = jnp.where(here[:, None], _link_rows(link, synapse), 0.0)
        into = kicks[link.target]
        into[link.port] = into[link.port] + rows if link.port in into else rows
    return _Event(record, when, delay, kicks, steps)


def _link_rows(link: Link, synapse: Array) -> Array:
    if link.delay.ndim == 1:
        return link.kicks[synapse]
    post = link.kicks.shape[1]
    own = iota(post)[None, :] == (synapse % post)[:, None]
    return jnp.where(own, link.kicks[synapse // post], 0.0)


def _iterate(component: Component, carry: _Carry, event: _Event) -> _Carry:
    names = list(component.neurons)
    kinds = Kinds(len(names), len(component.links))
    offsets = component.offsets()
    kind, which, slot, start, h, end = event.record
    idle = kind == Kind.IDLE

    # The flow, and how the end of the computed step moves with its duration.
    def flow_of(name):
        flow, neuron = component.flows[name], component.neurons[name]

        def run(state, h, drive):
            return _propagate(flow, neuron, start, state, h, drive), flow.rate(neuron, start, state, h, drive)

        return fenced(running, run, carry.state[name], h, carry.drive[name])

    running = st.anywhere(~idle)
    flowed = {name: flow_of(name) for name in names}
    state = {name: flowed[name][0] for name in names}
    rate = {name: lax.stop_gradient(flowed[name][1]) for name in names}

    # How much later the event is: zero in value, with the derivative of its time.
    now = difference(carry.t)
    later = jnp.zeros((), component.dtype)
    later = jnp.where(kind == Kind.END, -now, later)
    later = jnp.where(kind == Kind.SAMPLE, difference(event.when) - now, later)
    for p, name in enumerate(names):
        neuron = component.neurons[name]
        lanes = iota(component.size(name))
        later = jnp.where(kind == kinds.arrival(p), difference(event.when) - now, later)
        due = (kind == kinds.timer(p)) & (lanes == which)
        waiting = jnp.where(due, neuron.next_timer(carry.state[name]), 0.0)
        later = later + jnp.sum(difference(jnp.where(due, waiting, 0.0)))
        spiking = (kind == Kind.SPIKE) & (lanes + offsets[name] == which)
        slope = jax.jvp(neuron.guard, (state[name],), (rate[name],))[1]
        # Where the guard does not rise, as it may at an observed spike, the time has no derivative.
        spiking = spiking & (slope > 0)
        slope = jnp.where(spiking, slope, 1.0)
        guard = jnp.where(spiking, neuron.guard(state[name]), 0.0)
        later = later - jnp.sum(difference(guard) / lax.stop_gradient(slope))
    for c, link in enumerate(component.links):
        here = kind == kinds.link(c)
        own = here & (iota(link.kicks.shape[0]) == _link_source(link, which))
        sent = own[:, None] & (iota(component.max_spikes)[None, :] == slot)
        sending = jnp.sum(difference(jnp.where(sent, carry.times[link.source], 0.0)))
        later = jnp.where(here, sending + difference(event.delay) - now, later)

    state = jax.tree.map(lambda x, dx: x + dx * later, state, rate)
    state = jax.tree.map(lambda new, old: jnp.where(idle, old, new), state, carry.state)
    t = end + now + later

    # The jump.
    drive, times = dict(carry.drive), dict(carry.times)
    fired = (kind == Kind.SPIKE) | (kind == Kind.LIFT)
    for p, (name, neuron) in enumerate(component.neurons.items()):
        lanes = iota(component.size(name))
        mine = fired & (lanes + offsets[name] == which)
        due = (kind == kinds.timer(p)) & (lanes == which)
        x = state[name]
        x = jax.tree.map(lambda new, old, m=mine: jnp.where(m, new, old), neuron.reset(x), x)
        x = jax.tree.map(lambda new, old, m=due: jnp.where(m, new, old), neuron.on_timer(x), x)
        for port, kick in event.kicks[name].items():
            x = neuron.receive(x, kick, port)
        state[name] = x
        if name in event.steps:
            drive[name] = drive[name] + event.steps[name]
        if name in times:
            here = mine[:, None] & (iota(component.max_spikes)[None, :] == slot)
            times[name] = jnp.where(here, t, times[name])
    return _Carry(t, state, drive, times)


def _propagate(flow, neuron, t, state, h, drive):
    """One step of the flow; the backward pass recomputes its stages instead of keeping them."""
    dynamic, static = eqx.partition((flow, neuron), eqx.is_array)

    def run(dynamic, t, state, h, drive):
        flow, neuron = eqx.combine(dynamic, static)
        return flow.propagate(neuron, t, state, h, drive)

    return jax.checkpoint(run)(dynamic, t, state, h, drive)


def difference(x: Array) -> Array:
    """Zero, with the derivative of `x`."""
    return x - lax.stop_gradient(x)


def _link_source(link: Link, which: Array) -> Array:
    return which if link.delay.ndim == 1 else which // link.kicks.shape[1]
