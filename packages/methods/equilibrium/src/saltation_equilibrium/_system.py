"""A network as a system in discrete time: layers in the order of their updates, and linear maps between them.

In a step each layer adds what arrives to its charge, spikes where that reaches the threshold, and pays for it:

    u <- u + drive + sum of synapses(spikes),   s = 1[u >= threshold],   u <- leak (u - threshold s)

Layers are updated in order. A connection to a later layer acts in the same step, one to the same or an earlier layer
(feedback) in the next.
"""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

import saltation as st

# Each population has a size of its own, so the sizes have no name.
Rates = dict[str, Float[Array, " _"]]


class Edge(eqx.Module):
    """A linear map from the spikes of `source`; `feedback` if they arrive in the next step only.

    `position` is the number of its connection in the network.
    """

    source: str = eqx.field(static=True)
    feedback: bool = eqx.field(static=True)
    position: int = eqx.field(static=True)
    synapse: st.AbstractSynapse


class Layer(eqx.Module):
    """A population: `threshold` in charge, and the edges that end there; `size` neurons."""

    name: str = eqx.field(static=True)
    size: int = eqx.field(static=True)
    threshold: Float[Array, "..."]
    edges: tuple[Edge, ...]


class System(eqx.Module):
    """All layers in order, in stages that depend on earlier ones only; `leak` is what a step leaves of a charge."""

    layers: tuple[Layer, ...]
    stages: tuple[tuple[str, ...], ...] = eqx.field(static=True)
    leak: float = eqx.field(static=True)

    def stage(self, names: tuple[str, ...]) -> tuple[Layer, ...]:
        """The layers of a stage, in order."""
        return tuple(layer for layer in self.layers if layer.name in names)


class Input(eqx.Module):
    """What comes from outside, by layer or input population.

    - `drive`: the charge that constant currents bring in a step, `[n]` by layer.
    - `counts`: spikes in each step, `[steps, n]` by input population.
    - `mean`: their weighted mean over the steps, `[n]` by input population.
    """

    drive: Rates
    counts: dict[str, Float[Array, "steps _"]]
    mean: Rates


def system_of(network: st.Network, *, step: float, dtype: Any) -> System:
    """The system of a network whose synapses are resolved; normalisations are reduced to their linear parts."""
    order = [name for stage in network.stages() for name in stage.populations]
    layers = []
    for place, name in enumerate(order):
        neuron = network.neurons[name]
        dynamics = neuron.rate()
        assert dynamics is not None
        threshold = jnp.asarray(dynamics.v_threshold, dtype)
        edges = [
            Edge(
                connection.source,
                connection.source in order and order.index(connection.source) >= place,
                position,
                linear_part(connection.synapse),
            )
            for position, connection in network.incoming(name)
        ]
        layers.append(Layer(name, neuron.size, threshold.reshape(-1) if threshold.ndim else threshold, tuple(edges)))
    stages = tuple(stage.populations for stage in network.stages())
    return System(tuple(layers), stages, step_leak(network, step))


def step_leak(network: st.Network, step: float) -> float:
    """What a step leaves of a charge: the neurons' common leak."""
    leak = next(iter(network.neurons.values())).rate().leak  # pyright: ignore[reportOptionalMemberAccess]
    return float(leak) ** step


def linear_part(synapse: st.AbstractSynapse) -> st.AbstractSynapse:
    """What a spike passes: of a normalisation the part without its constant."""
    return synapse.parts()[0] if isinstance(synapse, st.Normalised) else synapse


def weights_of_steps(steps: int, leak: float, dtype: Any) -> Float[Array, " steps"]:
    """`leak^(T-1-t)` over their sum: what each step counts for in a weighted rate."""
    powers = jnp.asarray(leak, dtype) ** jnp.arange(steps - 1, -1, -1).astype(dtype)
    return powers / jnp.sum(powers)


def external(layer: Layer, given: Input, rates: Rates) -> Float[Array, " n"]:
    """The mean charge a step brings a layer from outside and from earlier `rates`, those that are there."""
    total = given.drive[layer.name]
    for edge in layer.edges:
        source = given.mean if edge.source in given.mean else rates
        if edge.source in source:
            total = total + edge.synapse.apply(source[edge.source])
    return total


def detached(tree: Any) -> Any:
    """The same values without a derivative."""
    return jax.tree.map(lambda leaf: jax.lax.stop_gradient(leaf) if eqx.is_array(leaf) else leaf, tree)
