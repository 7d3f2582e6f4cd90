"""Synapses that stand for others: what has to be computed or drawn once before a network is solved."""

import abc
from typing import TypeVar

import equinox as eqx
import jax
from jaxtyping import Array, Float, Int, PRNGKeyArray

from ._network import Network
from ._synapse import AbstractSynapse

Tree = TypeVar("Tree", Network, AbstractSynapse)


class AbstractParametrised(AbstractSynapse):
    """A synapse that stands for another one, which its parameters or a random key determine.

    A method resolves a network once, not at every step: `saltation.resolved(network, key=key)`.
    """

    @abc.abstractmethod
    def resolve(self, *, key: PRNGKeyArray | None = None) -> AbstractSynapse:
        """The synapse that it stands for.

        **Raises:** `ValueError` where it draws random numbers and gets no key.
        """

    def apply(self, rates: Float[Array, " pre"]) -> Float[Array, " post"]:
        return self.resolve().apply(rates)

    def kick(self, index: Int[Array, ""]) -> Float[Array, " post"]:
        return self.resolve().kick(index)


def resolved(tree: Tree, *, key: PRNGKeyArray | None = None) -> Tree:
    """The network (or synapse) with every parametrised synapse replaced by the one that it stands for.

    **Arguments:** `key`: for those that draw random numbers, such as `Dropout`; each gets one of its own.
    """
    count = 0

    def replace(node):
        nonlocal count
        if not isinstance(node, AbstractParametrised):
            return node
        own = None if key is None else jax.random.fold_in(key, count)
        count += 1
        return resolved(node.resolve(key=own), key=own)

    return jax.tree.map(
        replace, tree, is_leaf=lambda node: isinstance(node, AbstractParametrised) or eqx.is_array(node)
    )
