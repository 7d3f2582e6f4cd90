"""Remedies: what a training loop does about silent neurons, about which an exact gradient says nothing."""

import abc
from collections.abc import Mapping

import equinox as eqx
from jaxtyping import Array, Bool, PyTree

from ._network import Network


class AbstractRemedy(eqx.Module):
    """A change of the network that training makes instead of a gradient step, whenever a batch calls for it.

    A pure function with a memory of its own, which lives in the state of a run and in its checkpoints: a resumed run
    goes on bit for bit.
    """

    @abc.abstractmethod
    def init(self, network: Network) -> PyTree:
        """The memory at the start: arrays."""

    @abc.abstractmethod
    def apply(
        self, network: Network, silent: Mapping[str, Bool[Array, "batch n"]], memory: PyTree
    ) -> tuple[Network, PyTree, Bool[Array, ""]]:
        """The changed network, the next memory, and whether the change takes the place of this batch's gradient step.

        **Arguments:** `silent`: which neurons of each population did not spike, in each sample. Only what is trained is
        changed in the end.
        """
