"""Numbers as arrays of floats."""

import jax.numpy as jnp
from jaxtyping import Array, Float


def as_floats(value) -> Float[Array, "..."]:
    """`value` as an array of floats: floats keep their precision, everything else gets JAX's default one."""
    array = jnp.asarray(value)
    return array.astype(array.dtype if jnp.issubdtype(array.dtype, jnp.floating) else jnp.result_type(float))
