"""The same network with the units of one population in another order."""

from typing import Any

import equinox as eqx
import jax
import numpy as np

from saltation import Connection, Delay, Dense, Network


def can_permute(network: Network) -> bool:
    """Whether it is known how its connections follow the order of their units."""
    return all(
        isinstance(connection.synapse, Dense) and all(isinstance(d, Delay) for d in _delays(connection))
        for connection in network.connections
    )


def permuted(network: Network, name: str, order: np.ndarray) -> Network:
    """The units of the population `name` in another order; works for a gradient, which has the network's structure."""
    neuron = network.neurons[name]
    neurons = network.neurons | {name: jax.tree.map(lambda leaf: _units(leaf, neuron.shape, order), neuron)}
    connections = tuple(_connection(connection, network, name, order) for connection in network.connections)
    return eqx.tree_at(lambda n: (n.neurons, n.connections), network, (neurons, connections))


def _units(leaf: Any, shape: tuple[int, ...], order: np.ndarray) -> Any:
    if not eqx.is_array(leaf) or leaf.shape != shape:
        return leaf
    return leaf.reshape(-1)[order].reshape(shape)


def _connection(connection: Connection, network: Network, name: str, order: np.ndarray) -> Connection:
    sizes = network.size(connection.source), network.size(connection.target)
    axes = [axis for axis, end in enumerate((connection.source, connection.target)) if end == name]
    arrays: list[tuple[Any, Any, tuple[int, ...]]] = [(lambda c: c.synapse.weight, connection.synapse.weight, (0, 1))]  # pyright: ignore
    for part, delay in enumerate(_delays(connection)):
        where = lambda c, part=part: _delays(c)[part].raw  # noqa: E731
        arrays.append((where, delay.raw, _axes_of(delay, sizes)))
    for where, array, along in arrays:
        if eqx.is_array(array):
            for axis in axes:
                if axis in along:
                    array = array.take(order, axis=along.index(axis))
            connection = eqx.tree_at(where, connection, array)
    return connection


def _axes_of(delay: Any, sizes: tuple[int, int]) -> tuple[int, ...]:
    """Which of `(pre, post)` the axes of a delay are."""
    shape = np.shape(delay.raw)
    if len(shape) != 1:
        return (0, 1)[: len(shape)]
    return (0,) if delay.kind == "axonal" or (delay.kind is None and shape == sizes[:1]) else (1,)


def _delays(connection: Connection) -> list[Any]:
    delay = connection.delay
    return [] if delay is None else list(getattr(delay, "parts", (delay,)))
