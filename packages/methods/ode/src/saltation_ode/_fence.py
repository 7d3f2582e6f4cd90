"""Fences: what is computed before one is computed once.

XLA's CPU back end recomputes a chain of cheap operations in every loop that reads its result: a whole solver step, ten
times over. It does not look through a branch, so values come out of one, taken while `running`, a bool that is not
batched. Otherwise they are zeros.
"""

from collections.abc import Callable
from typing import TypeVar

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array

Values = TypeVar("Values")


def fenced(running: Array, values: Values) -> Values:
    """The `values`, a tree of arrays, kept from being fused into each of their uses: they are copied."""
    return lax.cond(running, lambda x: x, lambda x: jax.tree.map(jnp.zeros_like, x), values)


def apart(running: Array, compute: Callable[[], Values]) -> Values:
    """What `compute` returns, a tree of arrays, without a copy. Its derivative is slower than that of `fenced`, which
    does not keep what lies between.
    """
    shapes = jax.eval_shape(compute)
    return lax.cond(running, compute, lambda: jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes))
