"""Gram matrices in tiles: as many paths at once as the cache holds."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, PyTree

from ._sweep import sweep

# Lanes that keep a core busy while their edges still fit into its cache, and memory that the gradient may use.
_LANES = 2048
_BYTES = 2**28


def gram(cell: Any, increment: Callable[[Any, Any], Any], x: PyTree, y: PyTree, *, edges: int) -> Float[Array, "nx ny"]:
    """The kernel of all pairs.

    **Arguments:** `x`, `y`: features `[L, n]` or `[c, L, n]`; `edges`: numbers that the edges of a cell hold.
    """
    segments, rows = (jax.tree.leaves(z)[0].shape[-2] for z in (x, y))
    if segments >= rows:
        return _tiled(cell, increment, x, y, edges).T
    # The longer paths fill the lanes, and the shorter ones stream.
    return _tiled(cell, increment, y, x, edges)


def _tiled(cell: Any, increment: Callable[[Any, Any], Any], x: PyTree, y: PyTree, edges: int) -> Array:
    """`[ny, nx]`."""
    leaf = jax.tree.leaves(x)[0]
    segments, nx = leaf.shape[-2:]
    rows, ny = jax.tree.leaves(y)[0].shape[-2:]
    width = max(1, min(nx, _LANES // segments))
    tiles = -(-nx // width)

    def split(z):
        padded = jnp.pad(z, [(0, 0)] * (z.ndim - 1) + [(0, tiles * width - nx)])
        return jnp.moveaxis(padded.reshape(*z.shape[:-1], tiles, width), -2, 0)

    stream = jax.tree.map(lambda z: jnp.moveaxis(z, -1, -2).reshape(*z.shape[:-2], ny * rows), y)

    def tile(block):
        return sweep(cell, increment, block, stream, rows)

    if nx * ny * segments * edges * leaf.dtype.itemsize > _BYTES:
        tile = jax.checkpoint(tile)
    if tiles == 1:
        return tile(x)
    values = lax.map(tile, jax.tree.map(split, x))
    return jnp.moveaxis(values, 0, 1).reshape(ny, tiles * width)[:, :nx]
