"""Following a record: the derivative of the steps and events that the search found, without a search.

The order of events is fixed; their times are not. An event time moves with what it depends on: an arrival with the
spike that was sent, a spike by the implicit function theorem, `d tau = -(dg/dx dx + dg/dp dp) / (dg/dt)` along the
computed flow. The state moves with it through `x(t + e) = x(t) + rate e`, where `e` is zero in value and carries the
derivative: that is the saltation matrix, one factor at a time.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array

from ._chunks import entry_of, short_scan
from ._component import Arrivals, Component, Link
from ._fence import fenced, running_in
from ._found import Found
from ._held import moved
from ._linear_chunks import Tables, linear_chunks
from ._next import delivery
from ._record import Kind, Kinds, Record, iota, is_crossing
from ._search import noted


class Values(NamedTuple):
    """The differentiable outputs of a component."""

    times: dict[str, Array]  # [n, max_spikes]
    states: dict[str, Any] | None  # leaves [S, n]
    final: dict[str, Any]


class _Carry(NamedTuple):
    t: Array
    state: dict[str, Any]
    drive: dict[str, Array]
    times: dict[str, Array]  # [n max_spikes], in one row; empty unless links need them


class _Event(NamedTuple):
    """What an iteration of the record needs of the component, gathered for a chunk of them.

    Gathering inside the scan would make the backward pass scatter into the whole of the stimulus at every iteration.
    """

    when: Array  # the time of an arrival or of a sample
    delay: Array
    kicks: dict[str, dict[str, Array]]  # by population and port, [n]
    steps: dict[str, Array]


def derivative(
    restore: Callable[[Component], Component], moving: Component, directions: Component, found: Found
) -> Values:
    """How the outputs of a component change along `directions`, at the events that were found.

    The search has left the state that each chunk of iterations starts from. The loop is linear in the tangents, and its
    transpose, the adjoint, computes one chunk of iterations again at a time.
    """
    component = restore(moving)
    nothing = jnp.zeros((), component.dtype)
    sent = {link.source: jnp.zeros(found.times[link.source].size, component.dtype) for link in component.links}

    def start(moving):
        component = restore(moving)
        return component.state, component.drive

    state, drive = jax.jvp(start, (moving,), (directions,))[1]
    number = component.samples.shape[0]
    # Samples are taken from the states of all iterations, or noted on the way.
    stored = number > 0 and found.states is not None
    noting = number > 0 and found.states is None
    samples = jax.tree.map(lambda x: jnp.zeros((number, *x.shape), x.dtype), state) if noting else None

    # Of the arrivals, a chunk needs a few entries; the rest of what moves it is handed to it as a whole.
    arriving = [name for name, arrivals in component.arrivals.items() if arrivals.time.shape[0] > 0]
    tables, table_directions = _tables(component.arrivals, arriving), _tables(directions.arrivals, arriving)
    entries = _entries(component, tables)
    rest = _without_arrivals(moving)
    varying = _where_given(table_directions)

    number_of_chunks, length = found.record.kind.shape

    def chunk(directions, carry, x, rows, row_directions):
        record, before, index = x
        still, moved = eqx.partition(rows, jax.tree.map(lambda given: not given, varying))

        def events_of(rest, moved):
            return _event(restore(rest), record, eqx.combine(still, moved))

        events = jax.jvp(events_of, (rest, moved), (directions, row_directions))

        def step(carry, x):
            state, drive, tangents, samples = carry
            record, event, event_tangents = x
            running = running_in(length, index, record.kind != Kind.IDLE)

            def iterate(neurons, carry, event):
                own = eqx.tree_at(lambda c: c.neurons, rest, neurons)
                return _iterate(restore(own), carry, record, event, running)

            now = _Carry(record.start, state, drive, sent)
            after, tangents = jax.jvp(
                iterate, (rest.neurons, now, event), (directions.neurons, tangents, event_tangents)
            )
            if noting:
                samples = noted((record.kind == Kind.SAMPLE) & (iota(number) == record.slot), tangents.state, samples)
            return (after.state, after.drive, tangents, samples), (tangents.t, tangents.state if stored else None)

        carry = before.state, {**component.drive, **before.drive}, *carry
        # For the adjoint, the states alone are kept: all it needs of a step is more memory than it takes time.
        step = jax.checkpoint(step, prevent_cse=False)
        (_, _, *carry), ys = short_scan(step, carry, (record, *events))
        return tuple(carry), ys

    carry = _Carry(nothing, state, drive, sent), samples
    (last, samples), (ends, states) = linear_chunks(
        chunk,
        _without_arrivals(directions),
        carry,
        (found.record, found.starts, iota(number_of_chunks)),
        found.chunks,
        still=Tables(tables, entries),
        moving=Tables(table_directions, lambda x: eqx.filter(entries(x), varying)),
    )
    if stored:
        samples = entry_of(states, found.sampled)
    return Values(_spike_tangents(found, ends), samples, last.state)


def _spike_tangents(found: Found, ends: Array) -> dict[str, Array]:
    """The tangents of all spike times, from those of the ends of all iterations."""
    times = {}
    for name, iteration in found.iteration.items():
        spiked = jnp.isfinite(found.times[name])
        times[name] = entry_of(ends, jnp.where(spiked, iteration, -1))
    return times


def _tables(arrivals: dict[str, Arrivals], names: list[str]) -> dict[str, tuple[Any, ...]]:
    """The arrays that have an entry for each arrival."""
    return {name: (arrivals[name].time, arrivals[name].kicks, arrivals[name].steps) for name in names}


def _without_arrivals(moving: Component) -> Component:
    return eqx.tree_at(lambda c: c.arrivals, moving, jax.tree.map(lambda _: None, moving.arrivals))


def _where_given(tree: Any) -> Any:
    return jax.tree.map(lambda x: x is not None, tree, is_leaf=lambda x: x is None)


def _entries(component: Component, tables: dict[str, tuple[Any, ...]]) -> Callable[[Any], dict[str, tuple[Any, ...]]]:
    """Which entries of its tables a chunk needs, by its record; `-1` for none."""
    kinds = Kinds(len(component.neurons), len(component.links))
    arriving = {
        name: (
            kinds.arrival(p),
            component.size(name) if component.arrivals[name].own_order else None,
            jax.tree.map(lambda _: True, tables[name][1:]),
        )
        for p, name in enumerate(component.neurons)
        if name in tables
    }

    def entries(x):
        record, *_ = x
        found = {}
        for name, (arrival, size, others) in arriving.items():
            entry = jnp.where(record.kind == arrival, record.slot, -1)
            wide = entry[:, None]
            if size is not None:
                entry = wide = jnp.where(_which(record)[:, None] == iota(size)[None], wide, -1)
            found[name] = (entry, *jax.tree.map(lambda _, wide=wide: wide, others))
        return found

    return entries


def _event(component: Component, record: Record, rows: dict[str, tuple[Any, ...]]) -> _Event:
    kinds = Kinds(len(component.neurons), len(component.links))
    kind, which, slot = record.kind, _which(record), record.slot
    when = jnp.zeros(kind.shape, component.dtype)
    delay = jnp.zeros(kind.shape, component.dtype)
    kicks: dict[str, dict[str, Array]] = {name: {} for name in component.neurons}
    steps: dict[str, Array] = {}

    if component.samples.shape[0]:
        taken = kind == Kind.SAMPLE
        when = jnp.where(taken, component.samples[jnp.where(taken, slot, 0)], when)
    for name, (time, kick, step) in rows.items():
        when = when + (jnp.sum(time, axis=-1) if time.ndim == 2 else time)
        kicks[name].update(kick)
        if step is not None:
            steps[name] = step
    for c, link in enumerate(component.links):
        here, synapse = delivery(component, c, kinds, kind, which)
        synapse = jnp.where(here, synapse, 0)
        if link.delayed:
            delay = jnp.where(here, link.delay.reshape(-1)[synapse], delay)
        sent = jnp.where(here[:, None], _link_rows(link, synapse), 0.0)
        into = kicks[link.target]
        into[link.port] = into[link.port] + sent if link.port in into else sent
    return _Event(when, delay, kicks, steps)


def _link_rows(link: Link, synapse: Array) -> Array:
    if link.delay.ndim == 1:
        return link.kicks[synapse]
    post = link.kicks.shape[1]
    own = iota(post)[None, :] == (synapse % post)[:, None]
    return jnp.where(own, link.kicks[synapse // post], 0.0)


def _iterate(component: Component, carry: _Carry, record: Record, event: _Event, running: Array) -> _Carry:
    names = list(component.neurons)
    kinds = Kinds(len(names), len(component.links))
    offsets = component.offsets()
    kind, _, slot, start, h, held = record
    which = _which(record)
    neurons = moved(component.neurons, held)
    idle = kind == Kind.IDLE

    # The flow, and how the end of the computed step moves with its duration.
    def flow_of(name):
        at = neurons[name], start, carry.state[name], h, carry.drive[name]
        return fenced(running, (component.flows[name].propagate(*at), component.flows[name].rate(*at)))

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
        spiking = is_crossing(kind) & (lanes + offsets[name] == which)
        rising = rate[name]
        if held is not None:
            # Of a neuron that waits, the slope that it would have.
            free = lax.stop_gradient(neuron.vector_field(start + h, state[name], carry.drive[name]))
            rising = jax.tree.map(lambda f, r, held=held[name]: jnp.where(held, f, r), free, rising)
        slope = jax.jvp(neuron.guard, (state[name],), (rising,))[1]
        # Where the guard does not rise, as it may at an observed spike, the time has no derivative.
        spiking = spiking & (slope > 0)
        slope = jnp.where(spiking, jnp.maximum(slope, component.slope_floor), 1.0)
        guard = jnp.where(spiking, neuron.guard(state[name]), 0.0)
        later = later - jnp.sum(difference(guard) / lax.stop_gradient(slope))
    for c, link in enumerate(component.links):
        here = kind == kinds.link(c)
        sent = jnp.where(here, _link_source(link, which) * component.max_spikes + slot, 0)
        sending = difference(carry.times[link.source][sent])
        later = jnp.where(here, sending + difference(event.delay) - now, later)

    state = jax.tree.map(lambda x, dx: x + dx * later, state, rate)
    state = jax.tree.map(lambda new, old: jnp.where(idle, old, new), state, carry.state)
    t = start + h + now + later

    # The jump.
    drive, times = dict(carry.drive), dict(carry.times)
    fired = is_crossing(kind) | (kind == Kind.LIFT)
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
            here = fired & (which >= offsets[name]) & (which < offsets[name] + component.size(name))
            entry = (which - offsets[name]) * component.max_spikes + slot
            nowhere = times[name].shape[0]
            times[name] = times[name].at[jnp.where(here, entry, nowhere)].set(t, mode="drop")
    return _Carry(t, state, drive, times)


def difference(x: Array) -> Array:
    """Zero, with the derivative of `x`."""
    return x - lax.stop_gradient(x)


def _which(record: Record) -> Array:
    return jnp.zeros_like(record.kind) if record.which is None else record.which


def _link_source(link: Link, which: Array) -> Array:
    return which if link.delay.ndim == 1 else which // link.kicks.shape[1]
