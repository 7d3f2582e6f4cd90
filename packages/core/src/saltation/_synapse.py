"""Synapses: linear maps from the spikes of one population to the kicks of another."""

import abc

import equinox as eqx
import jax
import numpy as np
from jaxtyping import Array, Float, Int

from ._floats import as_floats


class AbstractSynapse(eqx.Module):
    """A linear map between two populations, indexed flattened."""

    @abc.abstractmethod
    def sizes(self) -> tuple[int, int]:
        """`(pre, post)`: how many units it connects, flattened."""

    @abc.abstractmethod
    def apply(self, rates: Float[Array, " pre"]) -> Float[Array, " post"]:
        """What rates or a constant current `[pre]` deliver, `[post]`."""

    @abc.abstractmethod
    def kick(self, index: Int[Array, ""]) -> Float[Array, " post"]:
        """What one spike of unit `index` delivers, `[post]`; zeros for `index = -1`."""


class Dense(AbstractSynapse):
    """All-to-all synapses: `kick_j = weight[i, j]`.

    **Arguments:** `weight[pre, post]`, in the unit that the target's port expects.

    **Raises:** `ValueError` for a weight that is not a finite matrix.
    """

    weight: Float[Array, "pre post"]

    def __init__(self, weight):
        weight = as_floats(weight)
        if weight.ndim != 2:
            raise ValueError(f"Dense got a weight of shape {weight.shape}; expected [pre, post].")
        if not isinstance(weight, jax.core.Tracer) and not np.isfinite(np.asarray(weight)).all():
            raise ValueError("Dense got a weight that is NaN or infinite; expected finite numbers.")
        self.weight = weight

    def sizes(self) -> tuple[int, int]:
        return (self.weight.shape[0], self.weight.shape[1])

    def apply(self, rates: Float[Array, " pre"]) -> Float[Array, " post"]:
        return rates @ self.weight

    def kick(self, index: Int[Array, ""]) -> Float[Array, " post"]:
        return self.weight.at[index].get(mode="fill", fill_value=0.0, wrap_negative_indices=False)
