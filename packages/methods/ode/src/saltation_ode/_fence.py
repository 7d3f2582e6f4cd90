"""A fence: what is computed before it is computed once."""

from typing import TypeVar

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array

Values = TypeVar("Values")


def fenced(running: Array, values: Values) -> Values:
    """The `values`, a tree of arrays, kept from being fused into each of their uses.

    XLA's CPU back end recomputes a chain of cheap operations in every loop that reads its result: a whole solver step,
    ten times over. It does not look through a branch, so the values pass through one, taken while `running`, a bool
    that is not batched. Otherwise they are zeros.
    """
    return lax.cond(running, lambda x: x, lambda x: jax.tree.map(jnp.zeros_like, x), values)
