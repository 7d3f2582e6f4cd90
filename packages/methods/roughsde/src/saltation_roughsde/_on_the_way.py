"""Spikes on the way through delayed connections: tables of arrival times."""

from typing import Any

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, PyTree

import saltation as st

from ._agenda import delays
from ._groups import Place


def earliest(table: Array) -> tuple[Array, Array]:
    """The first arrival, and its position in the flattened table."""
    flat = table.reshape(-1)
    position = jnp.argmin(lax.stop_gradient(flat)).astype(jnp.int32)
    return flat[position], position


def table_shape(link: st.Connection, pre: int, post: int, room: int, dtype: Any) -> tuple[int, ...]:
    """A slot for each spike of each source, and for each target where they differ in delay."""
    shared, own = delays(link, pre, post, dtype)
    return (pre, room) if own is None else (pre, room, post)


def sent(table: Array, link: st.Connection, sender: Array, count: Array, time: Array, pre: int, post: int) -> Array:
    """The table of arrival times with that of a spike just sent."""
    shared, own = delays(link, pre, post, table.dtype)
    slot = sender[:, None] & (jnp.arange(table.shape[1], dtype=jnp.int32)[None] == count[:, None])
    if own is not None:
        return jnp.where(slot[:, :, None], time + own[:, None, :], table)
    arrival = time + (jnp.zeros(pre, table.dtype) if shared is None else shared)
    return jnp.where(slot, arrival[:, None], table)


def received(
    neuron: st.AbstractNeuron, place: Place, link: st.Connection, table: Array, state: dict[str, PyTree], occurs: Array
) -> tuple[Array, dict[str, PyTree]]:
    """The table without its earliest entry, and the states after that arrival at the target, in its `place`."""
    _, position = earliest(table)
    per_source = table.size // table.shape[0]
    kick = link.synapse.kick(position // per_source).astype(table.dtype)
    reached = jnp.broadcast_to(occurs, kick.shape)
    if table.ndim == 3:
        reached = reached & (jnp.arange(table.shape[2], dtype=jnp.int32) == position % table.shape[2])
    target = neuron.receive(state[place.group], place.spread(jnp.where(reached, kick, 0.0)), link.port)
    here = occurs & (jnp.arange(table.size, dtype=jnp.int32) == position).reshape(table.shape)
    return jnp.where(here, jnp.inf, table), {**state, place.group: target}
