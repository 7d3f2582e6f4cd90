"""Networks: populations and the connections between them."""

import difflib
import math
from collections.abc import Mapping, Sequence

import equinox as eqx
import jax

from ._connection import Connection
from ._image_synapse import AbstractImageSynapse
from ._neuron import AbstractNeuron, population_shape
from ._stages import Stage, find_stages


class Network(eqx.Module):
    """A spiking network.

    **Arguments:**

    - `inputs`: size (or shape) of each input population, by name.
    - `neurons`: the neurons of each population, by name.
    - `connections`: who sends spikes to whom.
    - `outputs`: the names of the populations that are read out.

    **Raises:** `ValueError` for a name that does not exist (with the nearest one that does), a weight or delay whose
    shape does not fit its populations, or a population without a size.
    """

    neurons: dict[str, AbstractNeuron]
    connections: tuple[Connection, ...]
    _inputs: tuple[tuple[str, tuple[int, ...]], ...] = eqx.field(static=True)
    outputs: tuple[str, ...] = eqx.field(static=True)

    def __init__(
        self,
        inputs: Mapping[str, int | tuple[int, ...]],
        neurons: Mapping[str, AbstractNeuron],
        connections: Sequence[Connection],
        outputs: Sequence[str],
    ):
        self._inputs = tuple((name, population_shape(shape)) for name, shape in inputs.items())
        self.neurons = dict(neurons)
        self.connections = tuple(connections)
        self.outputs = (outputs,) if isinstance(outputs, str) else tuple(outputs)

    def __check_init__(self):
        for name, neuron in self.neurons.items():
            if not isinstance(neuron, AbstractNeuron):
                raise ValueError(f"Network got neurons[{name!r}] = {neuron!r}; expected a neuron, such as LIF(30).")
            if neuron.shape == ():
                raise ValueError(f"Network got neurons[{name!r}] without a size; give it one, such as LIF(30).")
            if name in self.inputs:
                raise ValueError(f"Network got {name!r} both as an input and as neurons; give each its own name.")
        for connection in self.connections:
            self._known(connection.source, [*self.inputs, *self.neurons], "the source of a connection")
            self._known(connection.target, list(self.neurons), "the target of a connection")
            pre, post = self.size(connection.source), self.size(connection.target)
            if connection.synapse.sizes() != (pre, post):
                raise ValueError(
                    f"The connection {connection.source!r} -> {connection.target!r} got a synapse of shape "
                    f"{connection.synapse.sizes()}; expected ({pre}, {post}): [pre, post] of its populations."
                )
            self._check_images(connection)
            if connection.delay is not None:
                connection.delay.check(pre, post)
        for name in self.outputs:
            self._known(name, list(self.neurons), "an output")

    @property
    def inputs(self) -> dict[str, tuple[int, ...]]:
        """The shape of each input population."""
        return dict(self._inputs)

    def size(self, name: str) -> int:
        """How many units the population `name` has."""
        return math.prod(self.inputs[name]) if name in self.inputs else self.neurons[name].size

    def incoming(self, name: str) -> list[tuple[int, Connection]]:
        """The connections that end at `name`, each with its position in `connections`."""
        return [(i, connection) for i, connection in enumerate(self.connections) if connection.target == name]

    def stages(self) -> tuple[Stage, ...]:
        """The strongly connected components of the populations, in an order in which each needs only earlier ones."""
        edges = [(connection.source, connection.target) for connection in self.connections]
        return find_stages(list(self.neurons), [edge for edge in edges if edge[0] in self.neurons])

    def _check_images(self, connection: Connection) -> None:
        # Of the right size but in another layout, images would be convolved into nonsense without a word.
        is_image = lambda node: isinstance(node, AbstractImageSynapse)  # noqa: E731
        images = [node for node in jax.tree.leaves(connection.synapse, is_leaf=is_image) if is_image(node)]
        if not images:
            return
        for name, wanted in ((connection.source, images[0].shape_in), (connection.target, images[-1].shape_out)):
            shape = self.inputs[name] if name in self.inputs else self.neurons[name].shape
            size = wanted[0] * wanted[1] * wanted[2]
            if len(shape) > 1 and shape != wanted and (*shape, 1) != wanted and size == self.size(name):
                raise ValueError(
                    f"The connection {connection.source!r} -> {connection.target!r} got a {type(images[0]).__name__} "
                    f"for {wanted} where {name!r} has the shape {shape}; expected the same (height, width, channels), "
                    "channels last."
                )

    def _known(self, name: str, names: list[str], role: str) -> None:
        if name not in names:
            near = difflib.get_close_matches(name, names, n=1, cutoff=0.5)  # names are short: 'im' is near 'in'
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise ValueError(f"Network got {name!r} as {role}; expected one of {names}.{hint}")
