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

import saltation as st

Values = TypeVar("Values")


def running_in(chunk: int, iteration: Array, active: Array) -> Array:
    """Whether an iteration of a loop in chunks does something for any sample, which is so if it does where `active`.

    A chunk of one is run only where it is needed. To find that out again, for all lanes, takes longer than some of what
    is fenced: the number of the iteration says the same, and XLA does not find out that it says nothing else.
    """
    return iteration >= 0 if chunk == 1 else st.anywhere(active)


def fenced(running: Array, values: Values) -> Values:
    """The `values`, a tree of arrays, kept from being fused into each of their uses: they are copied."""
    return lax.cond(running, lambda x: x, lambda x: jax.tree.map(jnp.zeros_like, x), values)


def apart(running: Array, compute: Callable[[], Values]) -> Values:
    """What `compute` returns, a tree of arrays, without a copy. Its derivative is slower than that of `fenced`, which
    does not keep what lies between.
    """
    shapes = jax.eval_shape(compute)
    return lax.cond(running, compute, lambda: jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes))
