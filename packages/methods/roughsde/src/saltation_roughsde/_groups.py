"""Neighbouring populations of one kind of neuron side by side, as one.

A step of the march then holds each kind of neuron once, however many layers have it: most of what a layer of its own
costs is compilation.
"""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PyTree

import saltation as st

from ._kinds import alike


class Place(NamedTuple):
    """Where a population is: in which group, and its neurons `start ... start + size` of `width`."""

    group: str
    start: int
    size: int
    width: int

    def of(self, tree: PyTree) -> PyTree:
        """The population's part of what the group has, `[..., width] -> [..., size]`."""
        return jax.tree.map(lambda leaf: leaf[..., self.start : self.start + self.size], tree)

    def spread(self, values: Float[Array, "... size"]) -> Float[Array, "... width"]:
        """For the group what the population gets: 0 for the others."""
        after = self.width - self.start - self.size
        return jnp.pad(values, [(0, 0)] * (values.ndim - 1) + [(self.start, after)])


def grouped(neurons: dict[str, st.AbstractNeuron]) -> tuple[dict[str, st.AbstractNeuron], dict[str, Place]]:
    """The groups, and where each population is; parameters and populations are flat.

    Only neighbours join, so that all neurons keep their order: of those that spike together the first one goes first.
    """
    runs: list[list[str]] = []
    for name, neuron in neurons.items():
        if runs and alike(neurons[runs[-1][-1]], neuron):
            runs[-1].append(name)
        else:
            runs.append([name])
    groups, places = {}, {}
    for run in runs:
        group, start = "+".join(run), 0
        groups[group] = joined = _joined([neurons[name] for name in run])
        for name in run:
            places[name] = Place(group, start, neurons[name].size, joined.size)
            start += neurons[name].size
    return groups, places


def side_by_side(places: dict[str, Place], group: str, members: dict[str, PyTree]) -> PyTree:
    """What the members of a group have, `[..., size]`, as the group's, `[..., width]`."""
    parts = [members[name] for name, place in places.items() if place.group == group]
    return jax.tree.map(lambda *leaves: jnp.concatenate(leaves, axis=-1), *parts) if len(parts) > 1 else parts[0]


def _joined(neurons: list[st.AbstractNeuron]) -> st.AbstractNeuron:
    if len(neurons) == 1:
        return neurons[0]

    def join(*leaves):
        if not eqx.is_array(leaves[0]):
            return leaves[0]
        wide = [jnp.broadcast_to(leaf, (neuron.size,)) for leaf, neuron in zip(leaves, neurons, strict=True)]
        return jnp.concatenate(wide)

    leaves = [jax.tree.leaves(neuron) for neuron in neurons]
    joined = jax.tree.unflatten(jax.tree.structure(neurons[0]), list(map(join, *leaves)))
    return joined.with_shape(sum(neuron.size for neuron in neurons))
