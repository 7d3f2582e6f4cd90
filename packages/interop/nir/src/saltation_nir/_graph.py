"""A graph of NIR without subgraphs, and the shape of what each node gives."""

from typing import Any, NamedTuple

import nir
import numpy as np
from nir.ir.utils import calc_flatten_output, calculate_conv_output

import saltation as st

from ._layout import Shape, as_shape
from ._neurons import NEURONS

SUPPORTED = (*NEURONS, nir.Input, nir.Output, nir.Affine, nir.Linear, nir.Scale, nir.Conv2d, nir.AvgPool2d)
SUPPORTED = (*SUPPORTED, nir.SumPool2d, nir.Delay, nir.Flatten)


class Graph(NamedTuple):
    """Nodes by name, what follows each, and the shape that each gives (channels first, no batch axis)."""

    nodes: dict[str, Any]
    after: dict[str, list[str]]
    shapes: dict[str, Shape]


def plain_graph(graph: nir.NIRGraph) -> Graph:
    """Checks the nodes and edges of a graph, resolves its subgraphs and infers shapes.

    **Raises:** `UnsupportedError` for nodes that Saltation has no word for, `ValueError` for edges to nowhere or shapes
    that do not fit.
    """
    nodes, edges = _inline(graph)
    unknown = {name: node for name, node in nodes.items() if not isinstance(node, SUPPORTED)}
    if unknown:
        listed = ", ".join(f"{name!r} is a {type(node).__name__}" for name, node in unknown.items())
        hint = " A read-out that does not spike is `st.Membrane` here." if _reads_out(unknown) else ""
        raise st.UnsupportedError(
            f"from_nir got nodes that a spiking network of Saltation cannot say: {listed}; expected "
            f"{', '.join(sorted(kind.__name__ for kind in SUPPORTED))}.{hint}"
        )
    for edge in edges:
        for end in edge:
            if end not in nodes:
                raise ValueError(f"from_nir got the edge {edge}, but no node {end!r}; expected one of {list(nodes)}.")
    after: dict[str, list[str]] = {name: [] for name in nodes}
    for source, target in dict.fromkeys(edges):
        after[source].append(target)
    return Graph(nodes, after, _shapes(nodes, after))


def _reads_out(nodes: dict[str, Any]) -> bool:
    return any(isinstance(node, nir.LI | nir.CubaLI | nir.I) for node in nodes.values())


def _inline(graph: nir.NIRGraph) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    nodes: dict[str, Any] = {}
    edges: list[tuple[str, str]] = []
    entry: dict[str, list[str]] = {}
    leave: dict[str, list[str]] = {}
    for name, node in graph.nodes.items():
        if not isinstance(node, nir.NIRGraph):
            nodes[name] = node
            continue
        inner, inner_edges = _inline(node)
        inputs = {key for key, value in inner.items() if isinstance(value, nir.Input)}
        outputs = {key for key, value in inner.items() if isinstance(value, nir.Output)}
        nodes |= {f"{name}.{key}": value for key, value in inner.items() if key not in inputs | outputs}
        entry[name] = [f"{name}.{target}" for source, target in inner_edges if source in inputs]
        leave[name] = [f"{name}.{source}" for source, target in inner_edges if target in outputs]
        kept = [edge for edge in inner_edges if edge[0] not in inputs and edge[1] not in outputs]
        edges += [(f"{name}.{source}", f"{name}.{target}") for source, target in kept]
    for source, target in graph.edges:
        edges += [(a, b) for a in leave.get(source, [source]) for b in entry.get(target, [target])]
    return nodes, edges


def _shapes(nodes: dict[str, Any], after: dict[str, list[str]]) -> dict[str, Shape]:
    shapes = {name: shape for name, node in nodes.items() if (shape := _own_shape(node)) is not None}
    # What follows a node of known shape becomes known: through cycles too, in at most one round a node.
    for _ in nodes:
        for name in list(shapes):
            for target in after[name]:
                given = _output(target, nodes[target], shapes[name])
                shapes.setdefault(target, given)
    unknown = [name for name in nodes if name not in shapes]
    if unknown:
        raise ValueError(
            f"from_nir got nodes whose shape nothing tells: {unknown}; expected an Input node with a shape before them."
        )
    return shapes


def _own_shape(node: Any) -> Shape | None:
    if isinstance(node, nir.Input):
        shape = node.input_type["input"]
        return None if shape is None else as_shape(shape)
    if isinstance(node, nir.Linear | nir.Affine):
        return (int(np.shape(node.weight)[0]),) if np.ndim(node.weight) == 2 else None
    if isinstance(node, NEURONS):
        shape = np.shape(node.v_threshold)
    elif isinstance(node, nir.Scale):
        shape = np.shape(node.scale)
    elif isinstance(node, nir.Delay):
        shape = np.shape(node.delay)
    else:
        return None
    # One value is one for all.
    return None if int(np.prod(shape)) == 1 else as_shape(shape)


def _output(name: str, node: Any, given: Shape) -> Shape:
    if isinstance(node, nir.Linear | nir.Affine):
        if np.ndim(node.weight) != 2:
            raise st.UnsupportedError(
                f"from_nir got {name!r}, a {type(node).__name__} of shape {np.shape(node.weight)}; expected [out, in]."
            )
        if np.shape(node.weight)[1] != int(np.prod(given)):
            raise ValueError(
                f"from_nir got {name!r} with a weight for {np.shape(node.weight)[1]} units after "
                f"{int(np.prod(given))}; expected as many."
            )
        return (int(np.shape(node.weight)[0]),)
    if isinstance(node, nir.Conv2d | nir.AvgPool2d | nir.SumPool2d):
        if len(given) != 3:
            raise ValueError(
                f"from_nir got {name!r} after a signal of shape {given}; expected (channels, height, width)."
            )
        if isinstance(node, nir.Conv2d):
            sides = calculate_conv_output(
                given[1:], node.padding, node.dilation, np.shape(node.weight)[2:], node.stride
            )
            return (int(np.shape(node.weight)[0]), int(sides[0]), int(sides[1]))
        window: Any = (node.padding, 1, node.kernel_size, node.stride)
        sides = calculate_conv_output(given[1:], *window)
        return (given[0], int(sides[0]), int(sides[1]))
    if isinstance(node, nir.Flatten):
        # Some exporters count the batch axis, which is not in a graph.
        start = node.start_dim if node.start_dim < len(given) else 0
        return as_shape(calc_flatten_output(given, start, node.end_dim))
    return given
