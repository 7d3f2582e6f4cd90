"""What is known to come next: arrivals from outside, spikes that travel inside, and the first of several events."""

import jax.numpy as jnp
from jax.custom_batching import custom_vmap
from jaxtyping import Array

from ._component import Arrivals, Component, Link
from ._record import Kind, Kinds, iota


def next_arrival(arrivals: Arrivals, pointer: Array) -> tuple[Array, Array, Array]:
    """When, in which lane, and which entry."""
    if not arrivals.own_order:
        return entry_at(arrivals.time, pointer, jnp.inf), jnp.zeros((), jnp.int32), pointer
    lanes = iota(arrivals.time.shape[1])
    when, lane = earliest(arrivals.time.at[pointer, lanes].get(mode="fill", fill_value=jnp.inf))
    return when, lane, pointer[lane]


def next_delivery(link: Link, times: Array, pointer: Array) -> tuple[Array, Array, Array]:
    """When, through which synapse (flat number), and which spike of its source."""
    when, synapse = earliest((upcoming(times, pointer) + link.delay).reshape(-1))
    return when, synapse, pointer.reshape(-1)[synapse]


def upcoming(times: Array, pointer: Array) -> Array:
    """Each row's time at its pointer, or pointers, `inf` past its end."""
    rows = iota(times.shape[0])
    rows = rows if pointer.ndim == 1 else rows[:, None]
    return times.at[rows, pointer].get(mode="fill", fill_value=jnp.inf)


def delivery(component: Component, c: int, kinds: Kinds, kind: Array, which: Array) -> tuple[Array, Array]:
    """Whether something arrives through the link `c` in an iteration, and through which of its synapses."""
    link = component.links[c]
    here = kind == kinds.link(c)
    if link.delayed:
        return here, which
    source = which - component.offsets()[link.source]
    sent = (kind == Kind.SENT) & (source >= 0) & (source < component.size(link.source))
    return here | sent, jnp.where(sent, source, which)


def link_row(link: Link, which: Array) -> Array:
    """What the synapse `which` delivers, to every neuron of the target."""
    if link.delay.ndim == 1:
        return row_at(link.kicks, which)
    post = link.kicks.shape[1]
    return jnp.where(iota(post) == which % post, row_at(link.kicks, which // post), 0.0)


def row_at(rows: Array, index: Array) -> Array:
    return entry_at(rows, index, 0.0)


def entry_at(array: Array, index: Array, beyond: float) -> Array:
    """`array[index]`, or `beyond` past its end."""
    if array.shape[0] == 0:
        return jnp.full(array.shape[1:], beyond, array.dtype)
    return jnp.where(index < array.shape[0], _entry(array, jnp.minimum(index, array.shape[0] - 1)), beyond)


@custom_vmap
def _entry(array: Array, index: Array) -> Array:
    return array.at[index].get(mode="promise_in_bounds")


@_entry.def_vmap
def _entry_of_each(size: int, batched: list[bool], array: Array, index: Array) -> tuple[Array, bool]:
    own, chosen = batched
    if not chosen:
        return array[:, index], True
    # JAX's own rule makes a list of pairs, the sample and its index, at every step of a loop.
    places = iota(size) * array.shape[1] + index if own else index
    rows = array.reshape(-1, *array.shape[2:]) if own else array
    return _entry(rows, places), True


def first_of(events: list[tuple[int, Array, Array]]) -> tuple[Array, Array, Array]:
    """When, of what kind and where is the first of some events; of equals, the one that is listed first."""
    kind, when, which = events[0]
    kind = jnp.asarray(kind, jnp.int32)
    for other_kind, other_when, other_which in events[1:]:
        earlier = other_when < when
        kind = jnp.where(earlier, other_kind, kind)
        which = jnp.where(earlier, other_which, which)
        when = jnp.where(earlier, other_when, when)
    return when, kind, which


def join(parts: list[Array]) -> Array:
    return parts[0] if len(parts) == 1 else jnp.concatenate(parts)


def earliest(times: Array) -> tuple[Array, Array]:
    """The least of some times, and the first place where it is."""
    # Not by `argmin`, which XLA's CPU back end runs through number by number.
    when = jnp.min(times)
    return when, jnp.argmax(times == when).astype(jnp.int32)
