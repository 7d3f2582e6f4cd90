"""What happens at one instant of a search: a spike and its reset, a timer, an arrival."""

import jax
import jax.numpy as jnp
from jaxtyping import Array

import saltation as st

from ._carry import Carry
from ._component import Component, Lookup
from ._next import delivery, link_row, row_at
from ._record import Kinds, iota


def fire(
    component: Component,
    carry: Carry,
    spiking: Array,
    spiker: Array,
    iteration: Array,
    lift: Array,
    rise: dict[str, Array] | None,
):
    """Note the spike of one neuron, and reset it. `rise` are the slopes of the guards, if they are known."""
    offsets = component.offsets()
    state, armed = dict(carry.state), dict(carry.armed)
    count, times, where = dict(carry.count), dict(carry.times), dict(carry.iteration)
    min_slope, flat = dict(carry.min_slope), dict(carry.flat)
    slot = jnp.zeros((), jnp.int32)
    stuck = carry.guard_at_start
    for name, neuron in component.neurons.items():
        n = component.size(name)
        mine = spiking & (iota(n) + offsets[name] == spiker)
        slot = slot + jnp.sum(jnp.where(mine, count[name], 0), dtype=jnp.int32)
        here = mine[:, None] & (iota(component.max_spikes)[None, :] == count[name][:, None])
        times[name] = jnp.where(here, carry.t, times[name])
        where[name] = jnp.where(here, iteration, where[name])
        count[name] = count[name] + mine.astype(jnp.int32)
        slope = _rise(neuron, carry, name) if rise is None else rise[name]
        min_slope[name] = jnp.where(mine & ~lift, jnp.minimum(min_slope[name], slope), min_slope[name])
        flat[name] = flat[name] + (mine & ~lift & (slope <= 0)).astype(jnp.int32)
        reset = neuron.reset(state[name])
        state[name] = jax.tree.map(lambda new, old, mine=mine: jnp.where(mine, new, old), reset, state[name])
        if carry.waiting is not None:
            waiting = carry.waiting
            held = {**waiting.held, name: waiting.held[name] & ~mine}
            carry = carry._replace(waiting=waiting._replace(held=held))
    carry = carry._replace(
        state=state,
        count=count,
        times=times,
        iteration=where,
        min_slope=min_slope,
        flat=flat,
    )
    for name, neuron in component.neurons.items():
        n = component.size(name)
        mine = spiking & (iota(n) + offsets[name] == spiker)
        below = neuron.guard(state[name]) < 0
        stuck = stuck | jnp.any(mine & ~below)
        armed[name] = jnp.where(mine, below, armed[name] | below)
    return carry._replace(armed=armed, guard_at_start=stuck), slot


def _rise(neuron: st.AbstractNeuron, carry: Carry, name: str) -> Array:
    """The slope of the guard."""
    slopes = neuron.vector_field(carry.t, carry.state[name], carry.drive[name])
    return jax.jvp(neuron.guard, (carry.state[name],), (slopes,))[1]


def deliver(component: Component, carry: Carry, kinds: Kinds, kind: Array, which: Array, arrivals, links):
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
        slot = jnp.where(kind == kinds.link(c), links[c][2], slot)
        here, synapse = delivery(component, c, kinds, kind, which)
        row = link_row(link, synapse)
        state[link.target] = component.neurons[link.target].receive(
            state[link.target], jnp.where(here, row, 0.0), link.port
        )
        flat = iota(link.delay.size).reshape(link.delay.shape)
        delivered[c] = pointer + (here & (flat == synapse)).astype(jnp.int32)
    return carry._replace(state=state, drive=drive, arrived=arrived, delivered=tuple(delivered)), slot
