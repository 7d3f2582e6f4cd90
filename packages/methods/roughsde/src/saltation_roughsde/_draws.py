"""Random numbers of several keys in one draw, which is compiled once and not for each population."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

# Each key draws as many numbers as the one that needs most; with more waste than this factor each draws its own.
_WASTE = 4


def drawn_together(
    kind: Callable[..., Array], keys: list[PRNGKeyArray], data: int, counts: list[int], dtype: Any
) -> list[Float[Array, " count"]]:
    """`kind(fold_in(key, data), (count,), dtype)` for each key and its count.

    These numbers do not depend on how many there are, nor on their shape, of which a flat one is compiled several times
    faster than one with more axes.
    """
    most = max(counts)

    def draw(key, count):
        return kind(jax.random.fold_in(key, data), (count,), dtype)

    if most * len(counts) > _WASTE * sum(counts):
        return list(map(draw, keys, counts))
    rows = jax.vmap(lambda key: draw(key, most))(jnp.stack(keys))
    return [row[:count] for row, count in zip(rows, counts, strict=True)]
