"""Backends: things that run a network and only report its spikes, such as a neuromorphic chip."""

import abc
from typing import Any

import equinox as eqx
import jax
import numpy as np

from ._network import Network
from ._spikes import Spikes


class Capabilities(eqx.Module):
    """What a backend can do, as words and limits that a user can read before preparing a network."""

    neurons: tuple[str, ...] = eqx.field(static=True)
    max_neurons: int | None = eqx.field(static=True, default=None)
    recurrent: bool = eqx.field(static=True, default=False)
    delays: bool = eqx.field(static=True, default=False)
    noisy: bool = eqx.field(static=True, default=False)


class AbstractProgram(abc.ABC):
    """A network placed on a backend: what was checked and decided before any value is known.

    It must be hashable (by identity is fine): compiled functions are keyed by it.
    """

    @property
    @abc.abstractmethod
    def health_fields(self) -> tuple[str, ...]:
        """The names of the counters that `run` reports, one number a sample each."""

    @abc.abstractmethod
    def run(
        self, parameters: Network, stimuli: dict[str, Any], key: np.ndarray | None
    ) -> tuple[dict[str, Spikes], dict[str, np.ndarray]]:
        """Run a whole batch on the host.

        **Arguments:**

        - `parameters`: the network with NumPy arrays for parameters.
        - `stimuli`: `Spikes` or `Current` by input, every array with a leading batch axis.
        - `key`: the raw key data of the batch's first sample, `None` if the caller gave no key.

        **Returns:** the spikes of each population with a leading batch axis and room for `max_spikes` spikes a neuron
        (`[batch, n * max_spikes]`), and each health counter, `[batch]`.
        """


class AbstractBackend(eqx.Module):
    """Something that runs networks: a chip, its emulator, another simulator."""

    @property
    @abc.abstractmethod
    def capabilities(self) -> Capabilities:
        """What it can do."""

    @abc.abstractmethod
    def prepare(self, structure: Network, *, t1: float, max_spikes: int) -> AbstractProgram:
        """Place a network whose arrays are `jax.ShapeDtypeStruct`s.

        Raises `UnsupportedError`, with how much is used and available, for one that does not fit. Programs of one
        structure must be equal or the same object, so that it is compiled once.
        """


def structure_of(network: Network) -> Network:
    """The network with a `jax.ShapeDtypeStruct` for each array: what is known before any value is."""
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype) if eqx.is_array(x) else x, network)
