"""What the devices that share a batch tell each other, inside the one computation that runs on all of them.

Each is called with this device's part, and gives all devices the same. With one device, each is the identity.
"""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Bool, PyTree

AXIS = "devices"
"""The name of the axis over which a batch is shared."""


def share(rows: Array) -> Array:
    """This device's part of the rows of a batch, `[batch, ...]` to `[batch / devices, ...]`."""
    size = rows.shape[0] // lax.axis_size(AXIS)
    return lax.dynamic_slice_in_dim(rows, lax.axis_index(AXIS) * size, size)


def total(tree: PyTree) -> PyTree:
    """The sum of each array over all devices."""
    return _packed(jnp.add, lax.psum, tree)


def least(tree: PyTree) -> PyTree:
    """The smallest value of each entry on any device."""
    return _packed(jnp.minimum, lax.pmin, tree)


def anywhere(flag: Bool[Array, ""]) -> Bool[Array, ""]:
    """Whether the flag is set on any device."""
    return total(flag.astype(jnp.int32)) > 0


def gathered(tree: PyTree) -> PyTree:
    """The parts of all devices one after the other, `[batch / devices, ...]` to `[batch, ...]`."""
    if lax.axis_size(AXIS) == 1:
        return tree
    return jax.tree.map(lambda x: lax.all_gather(x, AXIS, tiled=True) if eqx.is_array(x) else x, tree)


def _packed(join: Callable[[Array, Array], Array], reduce: Callable[[Array, str], Array], tree: PyTree) -> PyTree:
    """All arrays of one dtype travel as one: over a network each message costs more than what is in it.

    Two devices exchange what they have and `join` it, in one message each way; more of them `reduce` it.
    """
    leaves, structure = jax.tree.flatten(tree)
    devices = lax.axis_size(AXIS)
    if devices == 1:
        return tree
    for dtype in {leaf.dtype for leaf in leaves}:
        chosen = [i for i, leaf in enumerate(leaves) if leaf.dtype == dtype]
        packed = jnp.concatenate([leaves[i].reshape(-1) for i in chosen])
        if devices == 2:
            packed = join(packed, lax.ppermute(packed, AXIS, [(0, 1), (1, 0)]))
        else:
            packed = reduce(packed, AXIS)
        start = 0
        for i in chosen:
            stop = start + leaves[i].size
            leaves[i] = packed[start:stop].reshape(leaves[i].shape)
            start = stop
    return jax.tree.unflatten(structure, leaves)
