"""Methods whose passes can be called with arrays of NumPy, without JAX in between."""

import abc
from collections.abc import Sequence
from typing import Any

import numpy as np

from ._method import AbstractMethod
from ._network import Network


class AbstractHostPasses(abc.ABC):
    """The forward and the backward pass of a batch's first spikes, on arrays of NumPy in the memory of the host.

    `arrays` are the floating-point arrays of the network, in the order of its leaves, and `times`, `[batch, n]`, one
    spike time for each unit of its only input, `inf` for none.
    """

    @abc.abstractmethod
    def forward(self, arrays: Sequence[np.ndarray], times: np.ndarray) -> tuple[np.ndarray, Any] | None:
        """The first spike times `[batch, m]`, `inf` for none, and what `backward` needs.

        `None` where something is wrong with the values, or with their shapes or types: `solve` then says what.
        """

    @abc.abstractmethod
    def backward(self, kept: Any, cotangent: np.ndarray, wanted: Sequence[bool]) -> list[np.ndarray]:
        """The gradient by each of `(*arrays, times)` that is `wanted`, from that by the first spike times."""


class AbstractHostMethod(AbstractMethod):
    """A method that has such passes: for callers with arrays of their own, of steps shorter than calls of JAX are."""

    @abc.abstractmethod
    def host_passes(self, network: Network, *, population: str, t1: float) -> AbstractHostPasses | None:
        """The passes to the first spikes of `population`, which do what `solve` does; `None` where there are none."""
