"""What is known to happen, in order of time: arrivals of input spikes, jumps of paths, changes of currents, samples."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, PyTree

import saltation as st

from ._groups import Place
from ._paths import Jumps


class Entry(NamedTuple):
    """A sorted list of times `[E]`, `inf` for none, and what happens at each.

    `effect(states, position, now) -> states` where `now`; `position` is that in the list. `None` if nothing changes.
    """

    time: Array
    effect: Callable[[dict[str, PyTree], Array, Array], dict[str, PyTree]] | None


def input_spikes(
    connection: st.Connection, spikes: st.Spikes, neuron: st.AbstractNeuron, place: Place, pre: int, dtype: Any
) -> Entry:
    """Spikes of an input that arrive through a connection; one entry for each target where they differ in delay.

    **Arguments:** `neuron`: the group of the target, and `place` where that is in it.
    """
    post = place.size
    time = spikes.time.astype(dtype)
    # A NaN is reported in the result; here it never comes.
    time = jnp.where(time >= 0, time, jnp.inf)
    source, target = jnp.maximum(spikes.index, 0), None
    time = jnp.where(spikes.valid(), time, jnp.inf)
    if connection.delay is not None:
        shared, own = delays(connection, pre, post, dtype)
        if shared is not None:
            time = time + shared[source]
        if own is not None:
            time = (time[:, None] + own[source]).reshape(-1)
            target = jnp.tile(jnp.arange(post, dtype=jnp.int32), source.shape[0])
            source = jnp.repeat(source, post)
    order = st.argsort_times(time)
    time, source = time[order], source[order]
    target = None if target is None else target[order]
    group, port, synapse = place.group, connection.port, connection.synapse
    everyone = jnp.arange(post, dtype=jnp.int32)

    def effect(states: dict[str, PyTree], position: Array, now: Array) -> dict[str, PyTree]:
        kick = synapse.kick(source[position]).astype(dtype)
        reached = now if target is None else now & (everyone == target[position])
        return {**states, group: neuron.receive(states[group], place.spread(jnp.where(reached, kick, 0.0)), port)}

    return Entry(time, effect)


def path_jumps(name: str, jumps: Jumps, neuron: st.AbstractNeuron, noisy: Any, size: int) -> Entry:
    """Jumps of a driving path: each adds the diffusion times its size."""
    units = jnp.arange(size, dtype=jnp.int32)

    def effect(states: dict[str, PyTree], position: Array, now: Array) -> dict[str, PyTree]:
        dynamics = neuron.noise()
        assert dynamics is not None
        mine = now & (units == jumps.index[position])
        amount = jnp.where(mine, jumps.size[position], 0.0)
        spread = dynamics.diffusion(states[name])
        moved = jax.tree.map(lambda x, sd, here: x + sd * amount if here else x, states[name], spread, noisy)
        return {**states, name: moved}

    return Entry(jumps.time, effect)


def delays(connection: st.Connection, pre: int, post: int, dtype: Any) -> tuple[Array | None, Array | None]:
    """The part of a delay that depends on the source alone, `[pre]`, and else all of it as `[pre, post]`."""
    assert connection.delay is not None
    source = connection.delay.per_source(pre, post)
    target = connection.delay.per_target(pre, post)
    synapse = connection.delay.per_synapse(pre, post)
    if target is None and synapse is None:
        return None if source is None else source.astype(dtype), None
    total = jnp.zeros((pre, post), dtype)
    for part in (None if source is None else source[:, None], None if target is None else target[None, :], synapse):
        if part is not None:
            total = total + jnp.broadcast_to(part, (pre, post)).astype(dtype)
    return None, total


def currents(
    network: st.Network, stimulus: Mapping[str, st.Spikes | st.Current], name: str, dtype: Any
) -> list[tuple[Array, Array]]:
    """The external currents of a population: for each connection start times `[S]` and values `[S + 1, n]`.

    **Raises:** `ValueError` for a current through a delayed connection.
    """
    found = []
    for _, connection in network.incoming(name):
        source = stimulus.get(connection.source)
        if not isinstance(source, st.Current):
            continue
        if connection.delay is not None:
            raise ValueError(
                f"The connection {connection.source!r} -> {name!r} got a current and a delay; expected no delay. "
                "Delay the current itself: Current(value, start=start + delay)."
            )
        values = source.value.astype(dtype)
        if source.start is None:
            found.append((jnp.zeros(0, dtype), connection.synapse.apply(values)[None]))
        else:
            table = jax.vmap(connection.synapse.apply)(values)
            table = jnp.concatenate([jnp.zeros_like(table[:1]), table])
            found.append((source.start.astype(dtype), table))
    return found
