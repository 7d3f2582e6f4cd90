"""The devices that share each batch of a run: those of this process, and of every process that it runs in."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding, PartitionSpec
from jaxtyping import Array, PyTree

import saltation as st

from ._across import AXIS


@dataclass(frozen=True)
class Devices:
    """The devices that share each batch, in the order of their processes, along one axis.

    All arrays that are not parts of a batch are the same on every device, and every process calls the same
    computations in the same order.
    """

    mesh: Mesh

    @property
    def number(self) -> int:
        """How many devices."""
        return self.mesh.size

    @property
    def processes(self) -> int:
        """How many processes they belong to."""
        return len({device.process_index for device in self.mesh.devices.flat})

    @property
    def first(self) -> bool:
        """Whether this is the process that writes and speaks for all."""
        return self.processes == 1 or jax.process_index() == 0

    def each(self, function: Callable, *, shared: tuple[bool, ...] | None = None) -> Callable:
        """The function as one computation on all devices, in which they may call what `_across` has.

        **Arguments:** `shared`: for each argument whether a device gets its part of the leading axis; all of
        everything unless given. What the function returns must be the same on all.
        """
        everything = PartitionSpec()
        inputs = everything if shared is None else tuple(PartitionSpec(AXIS) if s else everything for s in shared)
        # Solvers have loops, callbacks and rules of their own, which JAX could not check for what they share.
        return jax.shard_map(function, mesh=self.mesh, in_specs=inputs, out_specs=everything, check_vma=False)

    def replicate(self, tree: PyTree) -> PyTree:
        """All arrays, whole, on each device."""
        return jax.tree.map(lambda leaf: self._place(leaf, PartitionSpec()), tree)

    def split(self, tree: PyTree) -> PyTree:
        """Each array's parts of the leading axis, one on each device."""
        return jax.tree.map(lambda leaf: self._place(leaf, PartitionSpec(AXIS)), tree)

    def copy(self, tree: PyTree) -> PyTree:
        """All arrays, whole, on each device, in memory that nothing else has, so that they may be donated."""
        return jax.tree.map(lambda leaf: jnp.array(leaf, copy=True), self.replicate(tree))

    def agree(self, seconds: float, stop: bool) -> tuple[float, bool]:
        """The longest time that a process took, and whether any of them wants to stop."""
        if self.processes == 1:
            return seconds, stop
        found = multihost_utils.process_allgather(np.array([seconds, stop], np.float32))
        return float(np.max(found[:, 0])), bool(np.any(found[:, 1]))

    def from_first(self, read: Callable[[], bytes]) -> bytes:
        """What the first process reads, such as a file that the others may not see."""
        if self.processes == 1:
            return read()
        content = np.frombuffer(read(), np.uint8) if self.first else np.zeros(0, np.uint8)
        length = int(multihost_utils.broadcast_one_to_all(np.asarray(len(content), np.int32)))
        mine = content if self.first else np.zeros(length, np.uint8)
        return np.asarray(multihost_utils.broadcast_one_to_all(mine)).astype(np.uint8).tobytes()

    def _place(self, leaf: Array | np.ndarray, spec: PartitionSpec) -> Array:
        sharding = NamedSharding(self.mesh, spec)
        if isinstance(leaf, jax.Array) and leaf.sharding.is_equivalent_to(sharding, leaf.ndim):
            return leaf
        host = np.asarray(leaf)
        # Only the parts of this process's own devices are looked at.
        return jax.make_array_from_callback(host.shape, sharding, lambda index: host[index])


def one_device() -> Devices:
    """The first device of this process alone."""
    return Devices(Mesh(np.array(jax.local_devices()[:1]), (AXIS,)))


def all_devices(experiment: st.Experiment) -> Devices:
    """As many devices of every process as share its batches evenly.

    **Raises:** `ValueError` for a number of processes that cannot share this experiment.
    """
    processes = jax.process_count()
    check_processes(experiment, processes)
    if isinstance(experiment.method, st.InTheLoop):
        # A backend gets whole batches.
        return one_device()
    of_process: list[list[Any]] = [[] for _ in range(processes)]
    for device in jax.devices():
        of_process[device.process_index].append(device)
    part, fewest = experiment.batch_size // processes, min(map(len, of_process))
    used = max(number for number in range(1, fewest + 1) if part % number == 0)
    return Devices(Mesh(np.array([device for found in of_process for device in found[:used]]), (AXIS,)))


def check_processes(experiment: st.Experiment, processes: int) -> None:
    """Whether so many processes can share the batches of an experiment.

    **Raises:** `ValueError` that says which numbers can.
    """
    size = experiment.batch_size
    if processes < 1:
        raise ValueError(f"got {processes} processes; expected at least 1.")
    if processes > 1 and isinstance(experiment.method, st.InTheLoop):
        raise ValueError(
            f"got {processes} processes with a backend in the loop, which gets whole batches; expected 1. "
            "Fix: leave the processes out, or the backend."
        )
    if size % processes:
        divisors = [str(number) for number in range(1, size + 1) if size % number == 0]
        below = size - size % processes
        sizes = " or ".join(str(s) for s in (below, below + processes) if s)
        raise ValueError(
            f"got {processes} processes for batches of {size} samples; expected a number that divides them: "
            f"{', '.join(divisors)}. Fix: choose one of these, or batches of {sizes}."
        )
