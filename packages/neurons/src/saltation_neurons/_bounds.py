"""A bound whose derivative can be relied on."""

import jax.numpy as jnp
from jaxtyping import Array, ArrayLike


def at_least(x: Array, least: ArrayLike) -> Array:
    """The larger of `x` and `least`, with the derivative of the one it is.

    That of `jnp.maximum` asks which of the two the result equals. A compiler that computes `x` a second time, with
    another rounding, finds that it is neither, and the derivative is lost.
    """
    return jnp.where(x > least, x, least)
