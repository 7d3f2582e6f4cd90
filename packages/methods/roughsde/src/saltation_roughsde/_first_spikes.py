"""Losses on the times of the first n spikes."""

import jax.numpy as jnp
from jaxtyping import Array, Float


def first_spikes_mse(
    x: Float[Array, "nx *neurons n"], y: Float[Array, "ny *others m"], *, silent: float
) -> Float[Array, ""]:
    """The squared difference between the mean times of the first `n` spikes of two batches, a mean over spikes.

    **Arguments:** `x`, `y`: spike times, `inf` where there is no spike, as from `Spikes.to_dense(n)`; `silent`: the
    time that stands for a spike that is not there, such as the end of the trial. It has no gradient.

    **Raises:** `ValueError` for batches of different shape.

    Holberg and Salvi, NeurIPS 2024, section 4.
    """
    if x.shape[1:] != y.shape[1:]:
        raise ValueError(
            f"first_spikes_mse got times of shapes {x.shape} and {y.shape}; expected the same but for the batch. "
            "Fix: the same n in to_dense(n)."
        )

    def means(times):
        there = jnp.isfinite(times)
        return jnp.mean(jnp.where(there, jnp.where(there, times, 0.0), silent), axis=0)

    return jnp.mean((means(x) - means(y)) ** 2)
