"""Feedback whose equilibrium is unique by construction."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

import saltation as st


class Monotone(st.AbstractParametrised):
    """All-to-all feedback of a population to itself with exactly one equilibrium, whatever its parameters are.

    `W = scale ((1 - margin) 1 - A A^T + B - B^T)`: the symmetric part of `scale - W` is at least `scale margin`, so
    that `scale a - W a - drive` is strongly monotone, and the clip is the proximal map of the box [0, 1]. Neither a
    norm nor a projection is needed. Its norm may exceed the threshold, where `Picard` goes in circles: polish by
    "anderson" (which does not find every equilibrium of very strong feedback either, and then says so), and solve
    backwards by "gmres" or "dense".

    **Arguments:**

    - `weight[n, rank]`: `A`. `skew[n, n]`: `B`. Both are trained freely.
    - `scale`: the threshold of its neurons, in charge; `margin` in (0, 1).

    **Raises:** `ValueError` for shapes that do not fit, or numbers out of range.

    Winston and Kolter, "Monotone operator equilibrium networks", NeurIPS 2020.

    ```python
    feedback = Monotone.random(400, rank=40, scale=1.0, key=jax.random.key(0))
    net_connection = st.Connection("hidden", "hidden", feedback)
    ```
    """

    weight: Float[Array, "n rank"]
    skew: Float[Array, "n n"]
    scale: float = eqx.field(static=True, default=1.0)
    margin: float = eqx.field(static=True, default=0.1)

    def __check_init__(self):
        n = jnp.shape(self.weight)[0]
        if jnp.ndim(self.weight) != 2 or jnp.shape(self.skew) != (n, n):
            raise ValueError(
                f"Monotone got weight {jnp.shape(self.weight)} and skew {jnp.shape(self.skew)}; expected [n, rank] and "
                "[n, n]."
            )
        if not 0 < self.margin < 1 or not 0 < self.scale < float("inf"):
            raise ValueError(
                f"Monotone got margin={self.margin}, scale={self.scale}; expected a margin in (0, 1), a positive scale."
            )

    @classmethod
    def random(
        cls, size: int, *, rank: int | None = None, scale: float = 1.0, margin: float = 0.1, key: PRNGKeyArray
    ) -> "Monotone":
        """With normal parameters, for which feedback starts weakly inhibitory and mixed."""
        rank = size if rank is None else rank
        keys = jax.random.split(key)
        weight: Any = jax.random.normal(keys[0], (size, rank)) * (0.9 / rank**0.5)
        skew: Any = jax.random.normal(keys[1], (size, size)) * (0.2 / size**0.5)
        return cls(weight, skew, scale, margin)

    def sizes(self) -> tuple[int, int]:
        return (self.weight.shape[0], self.weight.shape[0])

    def resolve(self, *, key: PRNGKeyArray | None = None) -> st.AbstractSynapse:
        eye = jnp.eye(self.weight.shape[0], dtype=self.weight.dtype)
        matrix = (1 - self.margin) * eye - self.weight @ self.weight.T + self.skew - self.skew.T
        # Dense weights are [pre, post]; the condition is the same for a matrix and its transpose.
        return st.Dense(self.scale * matrix)
