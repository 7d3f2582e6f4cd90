"""Builders: the networks people build most often, in one call."""

from collections.abc import Callable, Mapping, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, PRNGKeyArray

from ._connection import Connection
from ._delay import AbstractPositive, Delay, Softplus
from ._network import Network
from ._neuron import AbstractNeuron
from ._synapse import Dense

Init = Callable[[PRNGKeyArray, int, int], Array]


def normal(mean: float, std: float) -> Init:
    """Weights from a normal distribution, scaled by the fan-in: mean `mean / pre`, deviation `std / sqrt(pre)`."""

    def init(key: PRNGKeyArray, pre: int, post: int) -> Array:
        return jnp.asarray(mean / pre + std / pre**0.5 * _standard_normal(key, pre, post))

    return init


def _standard_normal(key: PRNGKeyArray, pre: int, post: int) -> Array | np.ndarray:
    """`jax.random.normal(key, (pre, post))`, of which the first numbers are the same however many are drawn.

    Outside `jit` as many are drawn as layers of other sizes need too, which compiles one program for all of them, and
    what is computed from them is NumPy's, which compiles none.
    """
    size = pre * post
    if isinstance(key, Tracer):
        return jax.random.normal(key, (pre, post))
    return np.asarray(_normals(key, max(1024, 1 << (size - 1).bit_length())))[:size].reshape(pre, post)


_normals = jax.jit(lambda key, number: jax.random.normal(key, (number,)), static_argnums=1)


def feedforward(
    sizes: Sequence[int | tuple[int, ...]],
    neuron: AbstractNeuron | Sequence[AbstractNeuron],
    *,
    delay: str | None = None,
    weight: Init | Sequence[Init] = normal(2.0, 1.0),
    initial_delay: float = 1.0,
    positive: AbstractPositive = Softplus(),
    port: str = "current",
    key: PRNGKeyArray,
) -> Network:
    """Layers, each connected to the next: populations "in", "hidden1", ..., "out".

    **Arguments:**

    - `sizes`: units of the input and of each layer.
    - `neuron`: a prototype that is given each layer's size, or one for each layer.
    - `delay`: `None`, "scalar", "axonal", "dendritic" or "synaptic": trainable delays of each connection.
    - `weight`: how weights are drawn, `(key, pre, post) -> [pre, post]`, or one for each connection.
    - `initial_delay`: mean initial delay; delays start uniform between half and one and a half of it.

    **Raises:** `ValueError` for fewer than two sizes, or a number of neurons or initialisers that does not fit.

    ```python
    net = st.feedforward([5, 30, 3], LIF(tau_mem=20.0, tau_syn=10.0), key=jax.random.key(0))
    ```
    """
    layers = len(sizes) - 1
    if layers < 1:
        raise ValueError(f"feedforward got sizes={list(sizes)}; expected at least two: the input's and one layer's.")
    neurons = _per_layer("neuron", neuron, layers)
    weights = _per_layer("weight", weight, layers)
    names = ["in", *(f"hidden{i}" for i in range(1, layers)), "out"]
    populations = {
        name: proto.with_shape(size) for name, proto, size in zip(names[1:], neurons, sizes[1:], strict=True)
    }
    shell = Network({"in": sizes[0]}, populations, [], ["out"])
    connections = []
    for source, target, init, subkey in zip(names[:-1], names[1:], weights, jax.random.split(key, layers), strict=True):
        weight_key, delay_key = jax.random.split(subkey)
        pre, post = shell.size(source), shell.size(target)
        connection_delay = _delay(delay, pre, post, initial_delay, positive, delay_key)
        connections.append(Connection(source, target, Dense(init(weight_key, pre, post)), connection_delay, port))
    return Network({"in": sizes[0]}, populations, connections, ["out"])


def recurrent(
    inputs: int | tuple[int, ...],
    neurons: Mapping[str, AbstractNeuron],
    *,
    outputs: Sequence[str] | None = None,
    delay: float | None = None,
    weight_in: Init = normal(2.0, 1.0),
    weight: Init = normal(0.0, 1.0),
    port: str = "current",
    key: PRNGKeyArray,
) -> Network:
    """Populations that all project to each other and to themselves, driven by one input "in".

    **Arguments:** `neurons` are populations with their sizes; `delay` is one fixed delay of all recurrent
    connections; `outputs` are all populations unless named.
    """
    shell = Network({"in": inputs}, neurons, [], list(outputs) if outputs is not None else list(neurons))
    pairs = [("in", target) for target in neurons] + [(source, target) for source in neurons for target in neurons]
    connections = []
    for (source, target), subkey in zip(pairs, jax.random.split(key, len(pairs)), strict=True):
        init = weight_in if source == "in" else weight
        held = None if source == "in" or delay is None else Delay(delay, minimum=delay)
        matrix = init(subkey, shell.size(source), shell.size(target))
        connections.append(Connection(source, target, Dense(matrix), held, port))
    return Network({"in": inputs}, neurons, connections, shell.outputs)


def _per_layer(name: str, given, layers: int) -> list:
    if not isinstance(given, Sequence):
        return [given] * layers
    if len(given) != layers:
        raise ValueError(f"feedforward got {len(given)} of {name} for {layers} layers; expected one, or {layers}.")
    return list(given)


def _delay(kind: str | None, pre: int, post: int, mean: float, positive: AbstractPositive, key: PRNGKeyArray):
    shapes = {"scalar": (), "axonal": (pre,), "dendritic": (post,), "synaptic": (pre, post)}
    if kind is None:
        return None
    if kind not in shapes:
        raise ValueError(f"feedforward got delay={kind!r}; expected None or one of {list(shapes)}.")
    value = mean * jax.random.uniform(key, shapes[kind], minval=0.5, maxval=1.5)
    return Delay(jnp.asarray(value), kind=kind if kind in ("axonal", "dendritic") else None, positive=positive)
