"""Feedback that is scaled so that it contracts."""

from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import PRNGKeyArray

import saltation as st

from ._operator_norm import operator_norm


class Contracting(st.AbstractParametrised):
    """`inner`, scaled down where its operator norm would exceed `bound`.

    With `bound` below the threshold of its neurons (in charge), a layer that feeds back to itself through it contracts.
    The norm is that of the map itself; `operator_norm` finds it from below, with 20 steps to 0.1 % or better of a
    random matrix of size 400, so leave a margin. `Monotone` needs none.

    **Arguments:** `inner`: the synapse, of any kind; `bound`: the largest norm, in the unit of the weights; `steps`: of
    the iteration that finds the norm.

    **Raises:** `ValueError` for a bound that is not positive, or `Dropout` inside (which must be outside).

    ```python
    feedback = Contracting(st.Conv2d(weight, (14, 14, 64)), bound=0.9)
    ```
    """

    inner: st.AbstractSynapse
    bound: float = eqx.field(static=True)
    steps: int = eqx.field(static=True, default=20)

    def __check_init__(self):
        if not 0 < self.bound < float("inf"):
            raise ValueError(f"Contracting got bound={self.bound}; expected a positive number, below the threshold.")
        if isinstance(self.inner, st.Dropout | st.Normalised):
            raise ValueError(
                f"Contracting got a {type(self.inner).__name__} inside; expected it outside, "
                f"{type(self.inner).__name__}(Contracting(...)), and a bound with room for it."
            )

    def sizes(self) -> tuple[int, int]:
        return self.inner.sizes()

    def resolve(self, *, key: PRNGKeyArray | None = None) -> st.AbstractSynapse:
        inner: Any = st.resolved(self.inner, key=key)
        norm = operator_norm(inner, steps=self.steps)
        scale = self.bound / jnp.maximum(norm, self.bound)
        post = self.sizes()[1]
        return st.Chain(inner, st.OneToOne(post, jnp.broadcast_to(scale, (post,))))
