"""Arrivals: from spike trains, connections and delays to what reaches each neuron, in order of time."""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
from jaxtyping import Array

import saltation as st

from ._component import Arrivals, Link, Lookup


def external_arrivals(
    network: st.Network, name: str, sources: Mapping[str, st.Spikes | st.Current], dtype
) -> tuple[Arrivals, Array]:
    """What reaches the population `name` from `sources`, and its external current at time 0, `[n]`.

    Connections from populations that are not in `sources` are left out.

    **Raises:** `ValueError` for a current through a delayed connection.
    """
    n = network.size(name)
    drive = jnp.zeros(n, dtype)
    trains: list[tuple[Array, Array | Lookup, str | None]] = []  # time [N] or [N, n], rows, port (None: a current)
    ordered = True
    for _, connection in network.incoming(name):
        if connection.source not in sources:
            continue
        source = sources[connection.source]
        if isinstance(source, st.Current):
            if connection.delay is not None:
                raise ValueError(
                    f"The connection {connection.source!r} -> {name!r} got a current and a delay; expected no delay. "
                    "Delay the current itself: Current(value, start=start + delay)."
                )
            if source.start is None:
                drive = drive + connection.synapse.apply(source.value.astype(dtype))
            else:
                value = source.value.astype(dtype)
                change = jnp.diff(value, axis=0, prepend=jnp.zeros_like(value[:1]))
                trains.append((source.start.astype(dtype), jax.vmap(connection.synapse.apply)(change), None))
            continue
        time, still_ordered = _delayed(source, connection, network.size(connection.source), n, dtype)
        ordered = ordered and still_ordered
        trains.append((time, Lookup(connection.synapse, source.index), connection.port))
    if not trains:
        return Arrivals(jnp.zeros(0, dtype), {}, None), drive
    (time, kicks, port), *others = trains
    if not others and isinstance(kicks, Lookup) and port is not None and time.ndim == 1:
        if not ordered:
            order = st.argsort_times(time)
            time, kicks = time[order], Lookup(kicks.synapse, kicks.index[order])
        return Arrivals(time, {port: kicks}, None), drive
    return _in_order(trains, n, dtype), drive


def _delayed(source: st.Spikes, connection: st.Connection, pre: int, post: int, dtype) -> tuple[Array, bool]:
    """Arrival times `[K]` or `[K, post]`, and whether they are still in order."""
    # A NaN is reported in the result; as a time it would stop the clock.
    time = jnp.where(jnp.isnan(source.time), jnp.inf, source.time).astype(dtype)
    delay = connection.delay
    if delay is None:
        return time, True
    per_source, per_target, per_synapse = (
        part(pre, post) for part in (delay.per_source, delay.per_target, delay.per_synapse)
    )

    def look_up(part):
        return part.astype(dtype).at[source.index].get(mode="fill", fill_value=0.0, wrap_negative_indices=False)

    in_order = True
    if per_source is not None:
        time = time + look_up(per_source)
        in_order = False
    if per_target is not None:
        time = time[:, None] + per_target.astype(dtype)[None, :]
        in_order = False
    if per_synapse is not None:
        time = (time[:, None] if time.ndim == 1 else time) + look_up(per_synapse)
        in_order = False
    return time, in_order


def _in_order(trains: list[tuple[Array, Array | Lookup, str | None]], n: int, dtype) -> Arrivals:
    arrays = [(t, x.rows().astype(dtype) if isinstance(x, Lookup) else x, port) for t, x, port in trains]
    own_order = any(time.ndim == 2 for time, _, _ in arrays)

    def widen(time):
        return jnp.broadcast_to(time[:, None], (time.shape[0], n)) if own_order and time.ndim == 1 else time

    time = jnp.concatenate([widen(time) for time, _, _ in arrays])
    ports = sorted({port for _, _, port in arrays if port is not None})

    def rows_of(port):
        return jnp.concatenate([rows if p == port else jnp.zeros_like(rows) for _, rows, p in arrays])

    kicks = {port: rows_of(port) for port in ports}
    steps = rows_of(None) if any(port is None for _, _, port in arrays) else None
    if own_order:
        order = jax.vmap(st.argsort_times, in_axes=1, out_axes=1)(time)
        take = lambda x: jnp.take_along_axis(x, order, axis=0)  # noqa: E731
    else:
        order = st.argsort_times(time)
        take = lambda x: x[order]  # noqa: E731
    return Arrivals(take(time), jax.tree.map(take, kicks), jax.tree.map(take, steps))


def internal_links(network: st.Network, members: tuple[str, ...], dtype) -> tuple[Link, ...]:
    """The connections between the populations of one component."""
    links = []
    for connection in network.connections:
        if connection.source not in members or connection.target not in members:
            continue
        pre, post = network.size(connection.source), network.size(connection.target)
        kicks = jax.vmap(connection.synapse.kick)(jnp.arange(pre, dtype=jnp.int32)).astype(dtype)
        delay = jnp.zeros(pre, dtype)
        if connection.delay is not None:
            per_source = connection.delay.per_source(pre, post)
            per_target = connection.delay.per_target(pre, post)
            per_synapse = connection.delay.per_synapse(pre, post)
            if per_source is not None:
                delay = delay + per_source.astype(dtype)
            if per_target is not None or per_synapse is not None:
                delay = jnp.broadcast_to(delay[:, None], (pre, post))
            if per_target is not None:
                delay = delay + per_target.astype(dtype)[None, :]
            if per_synapse is not None:
                delay = delay + per_synapse.astype(dtype)
        minimum = 0.0 if connection.delay is None else float(connection.delay.minimum)
        delayed = connection.delay is not None
        links.append(Link(connection.source, connection.target, connection.port, kicks, delay, minimum, delayed))
    return tuple(links)
