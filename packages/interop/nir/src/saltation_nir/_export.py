"""Networks as graphs of NIR."""

from collections.abc import Mapping
from typing import Any

import nir
import numpy as np

import saltation as st

from ._layout import Shape, channels_first
from ._linear import LinearNodes
from ._neurons import Node, node_of
from ._scale import Scale, note, scale_of


def to_nir(
    network: st.Network,
    *,
    time_unit: float,
    dt: float | None = None,
    bias: Mapping[str, st.Current] | None = None,
) -> nir.NIRGraph:
    """A network as a graph of NIR: `nir.write("net.nir", to_nir(network, time_unit=1e-3, dt=1e-4))`.

    Populations keep their names; a connection becomes the linear nodes and delays between them. `Dense` becomes Linear
    (with a bias: Affine), `OneToOne` Scale, `Conv2d` Conv2d, `AvgPool2d` AvgPool2d, a chain all of its parts.
    Populations that images come from or go to have NIR's shape `(channels, height, width)`, others `(n,)`.

    **Arguments:**

    - `time_unit`: the network's unit of time in NIR's (by convention seconds): `1e-3` for milliseconds.
    - `dt`: the step of the framework that is to read it, in NIR's unit of time: a spike there is a pulse of height 1
      for that long. Left out, spikes are impulses of integral 1. `from_nir` finds either in the graph's metadata.
    - `bias`: inputs that are constant, with their currents; they become biases.

    **Returns** a `nir.NIRGraph` whose shapes have been checked.

    **Raises**

    - `saltation.UnsupportedError`: what NIR cannot say, by name: a soft reset, `AtMostOnce`, refractory periods,
      neurons other than LIF and IF, a delay of each synapse's own, transposed convolutions.
    - `ValueError`: numbers that are not positive, a `bias` that is no input or changes in time.

    **Source**: Pedersen et al., Neuromorphic intermediate representation, Nature Communications 15 (2024).
    """
    scale = scale_of("to_nir", time_unit, dt)
    network = st.resolved(network)
    constant = _checked(network, dict(bias or {}))
    shapes = {name: _shape(network, name) for name in [*network.inputs, *network.neurons]}
    found = {name: node_of(name, neuron, shapes[name], scale) for name, neuron in network.neurons.items()}
    nodes: dict[str, Any] = {
        name: nir.Input(np.array(shapes[name]))  # pyright: ignore[reportArgumentType]
        for name in network.inputs
        if name not in constant
    } | {name: node.node for name, node in found.items()}
    edges: list[tuple[str, str]] = []
    biases = _biases(network, constant, found)
    for number, connection in enumerate(network.connections):
        if connection.source in constant:
            continue
        _check_port(connection)
        chain = LinearNodes(shapes[connection.source])
        _connect(chain, network, connection, found[connection.target].kick, scale)
        chain.finish(shapes[connection.target], biases.pop(connection.target, None), _arrow(connection))
        names = [f"{_name(connection)}_{number}_{kind}" for kind in chain.kinds()]
        nodes |= dict(zip(names, chain.nodes, strict=True))
        stops = [connection.source, *names, connection.target]
        edges += list(zip(stops[:-1], stops[1:], strict=True))
    if biases:
        raise st.UnsupportedError(
            f"NIR cannot say a bias of {sorted(biases)}, which nothing else is connected to; expected an Affine "
            "before it."
        )
    for name in network.outputs:
        output = "output" if len(network.outputs) == 1 else f"output_{name}"
        nodes[output] = nir.Output(np.array(shapes[name]))  # pyright: ignore[reportArgumentType]
        edges.append((name, output))
    graph = nir.NIRGraph(nodes, edges)
    note(graph, scale)
    return graph


def _connect(
    chain: LinearNodes, network: st.Network, connection: st.Connection, kick: np.ndarray, scale: Scale
) -> None:
    pre, post = network.size(connection.source), network.size(connection.target)
    delay = connection.delay
    if delay is not None and delay.per_synapse(pre, post) is not None:
        raise st.UnsupportedError(
            f"NIR cannot say the connection {_arrow(connection)}: it has a delay of each synapse's own. Use axonal "
            "delays (per source), dendritic ones (per target) or one for all."
        )
    if delay is not None:
        chain.delay(delay.per_source(pre, post), scale.time_unit)
    chain.synapse(connection.synapse, 1.0 / kick, _arrow(connection))
    if delay is not None:
        chain.delay(delay.per_target(pre, post), scale.time_unit)


def _shape(network: st.Network, name: str) -> Shape:
    """NIR's shape of a population: an image if an image is convolved from or to it."""
    for connection in network.connections:
        parts = connection.synapse.synapses if isinstance(connection.synapse, st.Chain) else (connection.synapse,)
        first, last = parts[0], parts[-1]
        if connection.source == name and isinstance(first, st.AbstractImageSynapse):
            return channels_first(first.shape_in)
        if connection.target == name and isinstance(last, st.AbstractImageSynapse):
            return channels_first(last.shape_out)
    return (network.size(name),)


def _biases(network: st.Network, constant: dict[str, st.Current], found: dict[str, Node]) -> dict[str, np.ndarray]:
    biases: dict[str, np.ndarray] = {}
    for connection in network.connections:
        if connection.source not in constant:
            continue
        drive = found[connection.target].drive
        if drive is None:
            raise st.UnsupportedError(
                f"NIR cannot say the constant current into {connection.target!r}: a bias of its current-based neurons "
                "passes their synapses first. Use delta synapses (tau_syn=None)."
            )
        current = np.asarray(connection.synapse.apply(constant[connection.source].value), np.float64) / drive
        biases[connection.target] = biases.get(connection.target, 0.0) + current
    return biases


def _checked(network: st.Network, bias: dict[str, st.Current]) -> dict[str, st.Current]:
    for name, current in bias.items():
        if name not in network.inputs or not isinstance(current, st.Current) or current.start is not None:
            raise ValueError(
                f"to_nir got bias[{name!r}] = {current!r}; expected constant currents, Current(value[n]), by the "
                f"names of inputs: {list(network.inputs)}."
            )
    return bias


def _check_port(connection: st.Connection) -> None:
    if connection.port != "current":
        raise st.UnsupportedError(
            f"NIR cannot say the connection {_arrow(connection)}: its spikes arrive at the port {connection.port!r}; "
            "expected 'current'."
        )


def _arrow(connection: st.Connection) -> str:
    return f"{connection.source!r} -> {connection.target!r}"


def _name(connection: st.Connection) -> str:
    return f"{connection.source}_to_{connection.target}".replace("/", "_")
