"""A fence: what is computed behind it is computed once."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array


def fenced(running: Array, function: Callable[..., Any], *args: Any) -> Any:
    """`function(*args)`, kept from being fused into each of its uses.

    XLA's CPU back end recomputes a chain of cheap operations in every loop that reads its result: a whole solver step,
    ten times over. It does not look through a branch, so `function` becomes one, taken while `running`, a bool that is
    not batched. What is returned otherwise are zeros.
    """

    def nothing(*args):
        return jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), jax.eval_shape(function, *args))

    return lax.cond(running, function, nothing, *args)
