"""The residuals of a forward pass in few arrays: each array that a compiled call returns or takes costs time."""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from ._tensors import SMALL


class Packing(NamedTuple):
    """Where to find each residual.

    - `places`: of each residual the array that holds it (of the inputs, if negative: `~position`), and its first entry
      there, `None` for the whole array.
    - `shapes`: its shape.
    """

    places: tuple[tuple[int, int | None], ...]
    shapes: tuple[tuple[int, ...], ...]

    def unpack(self, packed: Sequence[jax.Array], inputs: Sequence[Any]) -> list[Any]:
        """The residuals, from what `pack` made of them and the inputs of the same call."""
        found = []
        for (array, start), shape in zip(self.places, self.shapes, strict=True):
            whole = inputs[~array] if array < 0 else packed[array]
            found.append(whole if start is None else whole[start : start + math.prod(shape)].reshape(shape))
        return found


def pack(residuals: Sequence[jax.Array], inputs: Sequence[Any]) -> tuple[Packing, list[jax.Array]]:
    """The residuals without what is among the inputs or comes twice, small ones of a dtype as one array."""
    packed: list[jax.Array] = []
    parts: dict[Any, list[jax.Array]] = {}
    places: dict[int, Any] = {id(array): (~position, None) for position, array in enumerate(inputs)}
    for array in residuals:
        if id(array) in places:
            continue
        if array.size > SMALL or jnp.issubdtype(array.dtype, jax.dtypes.extended):
            places[id(array)] = len(packed), None
            packed.append(array)
        else:
            group = parts.setdefault(array.dtype, [])
            places[id(array)] = array.dtype, sum(part.size for part in group)
            group.append(array)
    position: dict[Any, int] = {dtype: len(packed) + k for k, dtype in enumerate(parts)}
    packed += [jnp.concatenate([part.reshape(-1) for part in group]) for group in parts.values()]
    found = [places[id(array)] for array in residuals]
    places_in_packed = tuple((position[array] if array in position else array, start) for array, start in found)
    return Packing(places_in_packed, tuple(array.shape for array in residuals)), packed
