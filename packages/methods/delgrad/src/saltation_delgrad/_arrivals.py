"""From spike trains, connections and delays to a layer."""

from collections.abc import Mapping

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

    **Raises:** `UnsupportedError` for a current that changes, or that goes through a delay.
    """
    n = network.size(name)
    connections = [connection for _, connection in network.incoming(name)]
    currents = [c for c in connections if isinstance(sources[c.source], st.Current)]
    spiking = [c for c in connections if not isinstance(sources[c.source], st.Current)]
    drive = None
    for connection in currents:
        given = _constant(sources[connection.source], connection).astype(dtype)
        drive = connection.synapse.apply(given) + (0.0 if drive is None else drive)
    # The delays of the targets themselves postpone what happens in them: no arrival needs to know. But a current does
    # not wait, and at observed spikes nothing is computed forward.
    postponed = len(spiking) == 1 and drive is None and not replayed
    parts = [_arrivals(network, c, sources[c.source], dtype, postponed=postponed) for c in spiking]
    if not parts:
        return Layer(membrane, jnp.zeros(0, dtype), jnp.zeros((0, n), dtype), None, drive, ordered=True)
    own = any(time.ndim == 2 for time, _, _ in parts)

    def widen(time: Array) -> Array:
        return jnp.broadcast_to(time[:, None], (time.shape[0], n)) if own and time.ndim == 1 else time

    shift = None
    if postponed and spiking[0].delay is not None:
        shift = spiking[0].delay.per_target(network.size(spiking[0].source), n)
    return Layer(
        membrane,
        jnp.concatenate([widen(time) for time, _, _ in parts]),
        jnp.concatenate([rows for _, rows, _ in parts]),
        None if shift is None else shift.astype(dtype),
        drive,
        ordered=len(parts) == 1 and parts[0][2],
    )


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


def _arrivals(
    network: st.Network, connection: st.Connection, source: Source, dtype, *, postponed: bool
) -> tuple[Array, Array, bool]:
    """Times `[N]` or `[N, n]`, rows `[N, n]`, and whether the times are known to be in order."""
    pre, post = network.size(connection.source), network.size(connection.target)
    if isinstance(source, st.Spikes):
        time, ordered = source.time, True
        rows = jax.vmap(connection.synapse.kick)(source.index)

        def look_up(part: Array) -> Array:
            return part.at[source.index].get(mode="fill", fill_value=0.0, wrap_negative_indices=False)

    else:
        time, ordered = source, False
        rows = _all_kicks(connection.synapse, pre)
        look_up = lambda part: part  # noqa: E731
    # A NaN is reported in the result; as a time it would stop the clock.
    time = jnp.where(jnp.isnan(time), jnp.inf, time).astype(dtype)
    delay = connection.delay
    per_source, per_target, per_synapse = (
        (None, None, None)
        if delay is None
        else (delay.per_source(pre, post), delay.per_target(pre, post), delay.per_synapse(pre, post))
    )
    if per_source is not None:
        time, ordered = time + look_up(per_source.astype(dtype)), False
    if per_target is not None and not postponed:
        time, ordered = time[:, None] + per_target.astype(dtype)[None, :], False
    if per_synapse is not None:
        time, ordered = (time[:, None] if time.ndim == 1 else time) + look_up(per_synapse.astype(dtype)), False
    return time, rows.astype(dtype), ordered


def _all_kicks(synapse: st.AbstractSynapse, pre: int) -> Array:
    """What a spike of each source delivers, `[pre, post]`."""
    if isinstance(synapse, st.Dense):
        return synapse.weight  # the same, without a look-up that its derivative would have to undo
    return jax.vmap(synapse.kick)(jnp.arange(pre, dtype=jnp.int32))
