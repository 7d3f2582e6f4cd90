"""From spike trains, connections and delays to a layer."""

from collections.abc import Mapping
from itertools import accumulate
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array

import saltation as st

from ._layer import Layer
from ._membrane import AbstractMembrane

Source = st.Spikes | st.Current | Array  # an array `[n]` holds at most one spike time of each unit


def layer_of(
    network: st.Network, name: str, membrane: AbstractMembrane, sources: Mapping[str, Source], dtype, *, replayed: bool
) -> Layer:
    """The population `name` with all that reaches it from `sources`.

    The delays of the targets themselves postpone what happens in them: no arrival needs to know. But a current does not
    wait, and at observed spikes nothing is computed forward; then they are delays of synapses.

    **Raises:** `UnsupportedError` for a current that changes, or that goes through a delay.
    """
    n = network.size(name)
    connections = [connection for _, connection in network.incoming(name)]
    spiking = [c for c in connections if not isinstance(sources[c.source], st.Current)]
    drive = None
    for connection in connections:
        if isinstance(source := sources[connection.source], st.Current):
            current = connection.synapse.apply(_constant(source, connection).astype(dtype))
            drive = current if drive is None else drive + current
    postponed = len(spiking) == 1 and drive is None and not replayed
    parts = [_arrivals(network, c, sources[c.source], dtype, postponed=postponed) for c in spiking]
    first = [0, *accumulate(part.weight.shape[0] for part in parts)]
    delay = axonal = dendritic = None
    if any(part.delay is not None for part in parts):
        delay = _joined([jnp.zeros_like(p.weight) if p.delay is None else p.delay for p in parts])
    if any(part.axonal is not None for part in parts):
        axonal = _joined([jnp.zeros_like(p.weight[:, 0]) if p.axonal is None else p.axonal for p in parts])
    if postponed and spiking[0].delay is not None:
        dendritic = spiking[0].delay.per_target(network.size(spiking[0].source), n)
    return Layer(
        membrane=membrane,
        time=_joined([part.time for part in parts] or [jnp.zeros(0, dtype)]),
        source=parts[0].source if len(parts) == 1 else _numbered(parts, first),
        weight=_joined([part.weight for part in parts] or [jnp.zeros((0, n), dtype)]),
        delay=delay,
        drive=drive,
        ordered=len(parts) == 1 and parts[0].ordered,
        axonal=axonal,
        dendritic=None if dendritic is None else dendritic.astype(dtype),
    )


def _joined(arrays: list[Array]) -> Array:
    return arrays[0] if len(arrays) == 1 else jnp.concatenate(arrays)


def _numbered(parts: list["_Arrivals"], first: list[int]) -> Array:
    """From which unit each arrival of all `parts` is, where the units of part `k` begin with number `first[k]`."""
    sources = [jnp.zeros(0, jnp.int32)]
    for part, start in zip(parts, first, strict=False):
        source = jnp.arange(len(part.time), dtype=jnp.int32) if part.source is None else part.source
        sources.append(jnp.where(source >= 0, source + start, -1))
    return jnp.concatenate(sources)


def _constant(current: st.Current, connection: st.Connection) -> Array:
    pair = f"The connection {connection.source!r} -> {connection.target!r}"
    if connection.delay is not None:
        raise st.UnsupportedError(
            f"{pair} got a current and a delay; expected no delay. A constant current needs none."
        )
    if current.start is not None:
        raise st.UnsupportedError(
            f"{pair} got a current that changes in time; DelGrad expects a constant one, Current(value). "
            "Use the method 'ode', or spikes."
        )
    return current.value


class _Arrivals(NamedTuple):
    """Those of one connection, as in `Layer`."""

    time: Array
    source: Array | None
    weight: Array
    delay: Array | None
    axonal: Array | None
    ordered: bool


def _arrivals(network: st.Network, connection: st.Connection, source: Source, dtype, *, postponed: bool) -> _Arrivals:
    pre, post = network.size(connection.source), network.size(connection.target)
    weight = _all_kicks(connection.synapse, pre).astype(dtype)
    if isinstance(source, st.Spikes):
        time, unit, ordered = source.time, source.index, True
    else:
        assert not isinstance(source, st.Current)
        time, unit, ordered = source, None, False
    time = time.astype(dtype)
    if connection.delay is None:
        return _Arrivals(time, unit, weight, None, None, ordered)
    per_source = connection.delay.per_source(pre, post)
    per_target = None if postponed else connection.delay.per_target(pre, post)
    per_synapse = connection.delay.per_synapse(pre, post)
    axonal = None if per_source is None else per_source.astype(dtype)
    delay = None if per_synapse is None else per_synapse.astype(dtype)
    if per_target is not None:
        own = jnp.broadcast_to(per_target.astype(dtype)[None, :], (pre, post))
        delay = own if delay is None else delay + own
    return _Arrivals(time, unit, weight, delay, axonal, ordered and axonal is None)


def _all_kicks(synapse: st.AbstractSynapse, pre: int) -> Array:
    """What a spike of each source delivers, `[pre, post]`."""
    if isinstance(synapse, st.Dense):
        return synapse.weight  # the same, without a look-up that its derivative would have to undo
    return jax.vmap(synapse.kick)(jnp.arange(pre, dtype=jnp.int32))
