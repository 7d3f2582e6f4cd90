"""Augmentation: a training sample, changed a little each time it is seen."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray


def noisy(x: Float[Array, "..."], key: PRNGKeyArray, *, noise: float) -> Float[Array, "..."]:
    """`x` with normal noise of standard deviation `noise`, kept in [0, 1]."""
    return jnp.clip(x + noise * jax.random.normal(key, x.shape, x.dtype), 0.0, 1.0)


def shifted(x: Float[Array, "..."], key: PRNGKeyArray, *, pixels: int) -> Float[Array, "..."]:
    """The image `x`, moved by up to `pixels` along both axes; what moves in from outside is 0.

    **Raises:** `ValueError` for something that is not an image, or is no larger than the shift.
    """
    if x.ndim < 2 or min(x.shape[:2]) <= pixels or pixels < 0:
        raise ValueError(
            f"shifted got x of shape {x.shape} and pixels={pixels}; expected an image [height, width, ...] that is "
            "larger than the shift."
        )
    around = [(pixels, pixels), (pixels, pixels), *([(0, 0)] * (x.ndim - 2))]
    by = jax.random.randint(key, (2,), 0, 2 * pixels + 1)
    start = [by[0], by[1], *([jnp.zeros((), by.dtype)] * (x.ndim - 2))]
    return jax.lax.dynamic_slice(jnp.pad(x, around), start, x.shape)
