"""One decision for a whole batch."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool


@jax.custom_batching.custom_vmap
def anywhere(condition: Bool[Array, ""]) -> Bool[Array, ""]:
    """Whether `condition` holds for this sample or, under `jax.vmap`, for any sample of the batch.

    A loop whose condition is `anywhere(...)` keeps an unbatched counter, and a `lax.cond` on it stays a branch. Use it
    only where running on does no harm to samples that are already finished.
    """
    return condition


@anywhere.def_vmap
def _over_batch(axis_size, in_batched, condition):
    del axis_size
    (batched,) = in_batched
    return anywhere(jnp.any(condition) if batched else condition), False
