"""The distance of two spike trains as functions of time."""

import jax.numpy as jnp
from jaxtyping import Array, Float


def van_rossum_distance(times: Float[Array, "n k"], target: Float[Array, "units m"], *, tau: float) -> Float[Array, ""]:
    """The squared van Rossum distance of two spike trains, summed over units.

    Each spike becomes an exponential, `f(t) = sum_k exp(-(t - t_k) / tau)` from `t_k` on; the distance is
    `1 / tau int (f - g)^2 dt`, which is `1/2` for a spike more or less. Its closed form is a sum over pairs of spikes.

    **Arguments:**

    - `times`, `target`: spike times of each unit in any order, `inf` where there is none, as from `SpikeTimes` or
      `Spikes.to_dense`.
    - `tau`: over what time spikes are the same one. For a small one the distance counts spikes that have no
      counterpart, for a large one it compares their numbers.

    **Raises:** `ValueError` for trains of another number of units, or a `tau` that is not positive.

    The integral runs to infinity: a late spike counts in full. van Rossum, Neural Computation 13 (2001).

    ```python
    st.van_rossum_distance(jnp.array([[1.0, 5.0]]), jnp.array([[1.5, jnp.inf]]), tau=2.0)
    ```
    """
    if times.shape[0] != target.shape[0]:
        raise ValueError(
            f"van_rossum_distance got trains of {times.shape[0]} and {target.shape[0]} units; expected as many of each."
        )
    if not tau > 0:
        raise ValueError(f"van_rossum_distance got tau={tau}; expected a positive number.")

    def overlap(x, y):
        """Twice the integral of the product, a sum over pairs."""
        here = jnp.isfinite(x)[:, :, None] & jnp.isfinite(y)[:, None, :]
        apart = jnp.where(here, _filled(x)[:, :, None] - _filled(y)[:, None, :], 0.0)
        return jnp.sum(jnp.where(here, jnp.exp(-jnp.abs(apart) / tau), 0.0))

    return 0.5 * (overlap(times, times) + overlap(target, target)) - overlap(times, target)


def _filled(times: Array) -> Array:
    return jnp.where(jnp.isfinite(times), times, 0.0)
