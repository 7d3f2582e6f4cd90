"""Backends: things that run a network and only report its spikes, such as a neuromorphic chip."""

import abc
from collections.abc import Mapping
from typing import Any, NamedTuple, TypeVar

import equinox as eqx
import jax
import numpy as np

from ._network import Network
from ._spikes import Spikes

T = TypeVar("T")


class Capabilities(eqx.Module):
    """What a backend can do, as words and limits that a user can read before preparing a network."""

    neurons: tuple[str, ...] = eqx.field(static=True)
    max_neurons: int | None = eqx.field(static=True, default=None)
    recurrent: bool = eqx.field(static=True, default=False)
    delays: bool = eqx.field(static=True, default=False)
    noisy: bool = eqx.field(static=True, default=False)


class Observation(NamedTuple):
    """What a backend reports of a batch, as NumPy arrays.

    - `spikes`: of each population, with a leading batch axis and room for `max_spikes` spikes a neuron
      (`[batch, n * max_spikes]`).
    - `health`: each counter, `[batch]`. A sample with a `failed` that is not 0 ends in `RESULTS.backend_failed`.
    - `delays`: how late the spikes of each source were in each sample, `[batch, pre]`, for the connections (by their
      position in the network) whose delay the backend measures; `inf` where it measured nothing.
    """

    spikes: dict[str, Spikes]
    health: dict[str, np.ndarray]
    delays: dict[int, np.ndarray]


class AbstractProgram(abc.ABC):
    """A network placed on a backend: what was checked and decided before any value is known.

    It must be hashable (by identity is fine): compiled functions are keyed by it.
    """

    @property
    @abc.abstractmethod
    def health_fields(self) -> tuple[str, ...]:
        """The names of the counters that `run` reports, one number a sample each."""

    @property
    @abc.abstractmethod
    def measured_delays(self) -> tuple[int, ...]:
        """The connections, by position, whose delays `run` reports as measured; none for exact delays."""

    @abc.abstractmethod
    def run(self, parameters: Network, stimuli: dict[str, Any], key: np.ndarray | None) -> Observation:
        """Run a whole batch on the host.

        **Arguments:**

        - `parameters`: the network with NumPy arrays for parameters; each delay is a `DelayParts`.
        - `stimuli`: `Spikes` or `Current` by input, every array with a leading batch axis.
        - `key`: the raw key data of the batch's first sample, `None` if the caller gave no key.
        """


class AbstractBackend(eqx.Module):
    """Something that runs networks: a chip, its emulator, another simulator."""

    @property
    @abc.abstractmethod
    def capabilities(self) -> Capabilities:
        """What it can do."""

    @abc.abstractmethod
    def prepare(
        self, structure: Network, stimulus: Mapping[str, Any], *, t1: float, max_spikes: int
    ) -> AbstractProgram:
        """Place a network that is driven by a stimulus, both with `jax.ShapeDtypeStruct`s for arrays.

        Raises `UnsupportedError`, with how much is used and available, for one that does not fit. Programs of one
        structure must be equal or the same object, so that it is compiled once.
        """


def structure_of(tree: T) -> T:
    """A network or stimulus with a `jax.ShapeDtypeStruct` for each array: what is known before any value is."""
    return jax.tree.map(lambda x: jax.ShapeDtypeStruct(x.shape, x.dtype) if eqx.is_array(x) else x, tree)
