"""Graphs of NIR as networks."""

from os import PathLike
from typing import Any, NamedTuple

import jax.numpy as jnp
import nir
import numpy as np
from jaxtyping import PyTree

import saltation as st

from ._graph import Graph, plain_graph
from ._layout import population
from ._neurons import NEURONS, Population, population_of
from ._path import Path, bias_of, delay_of, follow, synapse_of
from ._read import read_graph
from ._scale import Scale, charge_in, scale_of

BIAS = "bias"


class Imported(NamedTuple):
    """A network that was read, and what belongs to it when it is solved.

    `method.solve(read.network, {"input": spikes, **read.bias}, t1=t1, initial=read.initial)`

    - `network`: inputs and populations have the names of their nodes.
    - `bias`: a constant `Current` into the input "bias" where the graph has biases, else empty.
    - `initial`: the states of current-based neurons with a bias, whose synaptic current starts at 0 in NIR.
    """

    network: st.Network
    bias: dict[str, st.Current]
    initial: dict[str, PyTree]


def from_nir(graph: nir.NIRGraph | str | PathLike[str], *, time_unit: float, dt: float | None = None) -> Imported:
    """A graph or file of NIR as a network, with the same dynamics in continuous time.

    LIF and IF become neurons with delta synapses, CubaLIF a current-based LIF. Linear maps and delays between two
    populations become one connection; biases become a constant current into an input "bias". A parameter that is the
    same for all neurons becomes a Python number (fixed), others arrays (trainable), as weights are. Images are numbered
    channels last, as everywhere in Saltation, and populations get the shape `(height, width, channels)`.

    **Arguments:**

    - `graph`: a `nir.NIRGraph`, or the path of a file.
    - `time_unit`: the network's unit of time in the file's (by NIR's convention seconds): `1e-3` for milliseconds.
    - `dt`: the step of the framework that wrote the file, in the file's unit of time: a spike is a pulse of height 1
      for that long. snnTorch writes for `1e-4`. Left out, it is what `to_nir` has noted in the file.

    **Returns** an `Imported(network, bias, initial)`.

    **Raises**

    - `saltation.DataError`: a file that is missing, truncated or holds no graph.
    - `saltation.UnsupportedError`: nodes, by name, that a network of Saltation cannot say.
    - `ValueError`: no `dt`, numbers that are not positive, shapes that do not fit.

    **Source**: Pedersen et al., Neuromorphic intermediate representation, Nature Communications 15 (2024).

    ```python
    read = from_nir("net.nir", time_unit=1e-3, dt=1e-4)
    solution = method.solve(read.network, {"input": spikes, **read.bias}, t1=60.0, initial=read.initial)
    ```
    """
    found = graph if isinstance(graph, nir.NIRGraph) else read_graph(graph)
    dt = charge_in(found.metadata) if dt is None else dt
    if dt is None:
        raise ValueError(
            "from_nir got no dt, and the graph does not say it; expected the step of the framework that wrote it, "
            "for a spike there is a pulse of that length: dt=1e-4 for snnTorch, dt=1.0 for ideal impulses."
        )
    scale = scale_of("from_nir", time_unit, dt)
    plain = plain_graph(found)
    return _network(plain, scale)


def _network(graph: Graph, scale: Scale) -> Imported:
    populations = {
        name: population_of(node, graph.shapes[name], scale)
        for name, node in graph.nodes.items()
        if isinstance(node, NEURONS)
    }
    inputs = {name: population(graph.shapes[name]) for name, node in graph.nodes.items() if isinstance(node, nir.Input)}
    connections, outputs = [], []
    for source in [*inputs, *populations]:
        for target, path in _paths(graph, source, Path(graph.shapes[source]), (), outputs):
            synapse = synapse_of(path, populations[target].kick)
            connections.append(st.Connection(source, target, synapse, delay_of(path, scale.time_unit)))
    drive = _biases(graph, populations)
    bias, initial = {}, {}
    if drive:
        name = BIAS if BIAS not in graph.nodes else f"{BIAS}_of_affine"
        inputs[name] = (1,)
        bias[name] = st.Current(jnp.ones(1))
        connections += [st.Connection(name, target, st.Dense(current[None, :])) for target, current in drive.items()]
        initial = {name: _start(populations[name], current) for name, current in drive.items()}
        initial = {name: state for name, state in initial.items() if state is not None}
    neurons = {name: found.neuron for name, found in populations.items()}
    if not neurons:
        raise ValueError(f"from_nir got a graph without neurons: {list(graph.nodes)}; expected LIF, CubaLIF or IF.")
    return Imported(st.Network(inputs, neurons, connections, list(dict.fromkeys(outputs))), bias, initial)


def _paths(graph: Graph, name: str, path: Path, seen: tuple[str, ...], outputs: list[str]) -> list[tuple[str, Path]]:
    """The ways from a node to the next populations. Notes in `outputs` the populations that an Output follows."""
    found: list[tuple[str, Path]] = []
    for target in graph.after[name]:
        node = graph.nodes[target]
        if isinstance(node, NEURONS):
            if int(np.prod(graph.shapes[target])) != int(np.prod(path.shape)):
                raise ValueError(
                    f"from_nir got {target!r} of shape {graph.shapes[target]} after a signal of shape {path.shape}; "
                    "expected the same."
                )
            found.append((target, path))
        elif isinstance(node, nir.Output):
            if isinstance(graph.nodes[name], NEURONS):
                outputs.append(name)
            elif not isinstance(graph.nodes[name], nir.Flatten | nir.Input) or path.maps:
                raise st.UnsupportedError(
                    f"from_nir got an Output after {name!r}, a {type(graph.nodes[name]).__name__}; expected neurons: a "
                    "network of Saltation ends in spikes. Apply the last linear map to them yourself."
                )
        elif target in seen:
            raise st.UnsupportedError(
                f"from_nir got a cycle without neurons through {target!r}; expected neurons in it."
            )
        else:
            longer = follow(path, target, node, graph.shapes[target])
            found += _paths(graph, target, longer, (*seen, target), outputs)
    return found


def _biases(graph: Graph, populations: dict[str, Population]) -> dict[str, Any]:
    """The constant current into each population that has one."""
    drive: dict[str, Any] = {}
    for name, node in graph.nodes.items():
        bias = bias_of(node, graph.shapes[name])
        if bias is None:
            continue
        for target, path in _paths(graph, name, Path(graph.shapes[name]), (name,), []):
            if np.any(path.delay_source) or np.any(path.delay_target):
                raise st.UnsupportedError(
                    f"from_nir got {name!r} with a bias before a Delay; expected none, or the delay before it: a bias "
                    "does not begin. Move the Delay before the linear map."
                )
            current = synapse_of(path, populations[target].drive).apply(jnp.asarray(bias))
            drive[target] = drive[target] + current if target in drive else current
    return drive


def _start(found: Population, current: Any) -> PyTree | None:
    # NIR: tau_syn dI/dt = -I + b from I = 0, so I = b - b exp(-t / tau_syn): a constant current, and a synaptic one.
    dynamics = found.neuron.lif()
    if not found.filtered or dynamics is None:
        return None
    state = found.neuron.init()
    return dynamics.write(state, state.v, -jnp.reshape(current, found.neuron.shape))
