"""Synapses: linear maps from the spikes of one population to the kicks of another."""

import abc
from typing import Any

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
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
        if not isinstance(weight, Tracer) and not np.isfinite(np.asarray(weight)).all():
            raise ValueError("Dense got a weight that is NaN or infinite; expected finite numbers.")
        self.weight = weight

    def sizes(self) -> tuple[int, int]:
        return (self.weight.shape[0], self.weight.shape[1])

    def apply(self, rates: Float[Array, " pre"]) -> Float[Array, " post"]:
        return rates @ self.weight

    def kick(self, index: Int[Array, ""]) -> Float[Array, " post"]:
        return self.weight.at[index].get(mode="fill", fill_value=0.0, wrap_negative_indices=False)


class OneToOne(AbstractSynapse):
    """Each unit to the one with its number: `kick_j = weight [i = j]`.

    **Arguments:** `size`: how many units on either side; `weight`: a Python number (fixed, as a bias that training
    leaves alone), or an array `[size]` (trainable), in the unit that the target's port expects.

    **Raises:** `ValueError` for a weight of another shape, or one that is not finite.
    """

    size: int = eqx.field(static=True)
    weight: float | int | Float[Array, " size"]

    def __init__(self, size: int, weight: Any = 1.0):
        self.size = int(size)
        self.weight = weight if isinstance(weight, int | float) else as_floats(weight)
        shape = np.shape(self.weight)
        if shape not in ((), (self.size,)) or (shape == () and eqx.is_array(self.weight)):
            raise ValueError(f"OneToOne got a weight of shape {shape}; expected a Python number or ({self.size},).")
        if not isinstance(self.weight, Tracer) and not np.isfinite(np.asarray(self.weight)).all():
            raise ValueError("OneToOne got a weight that is NaN or infinite; expected finite numbers.")

    def sizes(self) -> tuple[int, int]:
        return (self.size, self.size)

    def apply(self, rates: Float[Array, " pre"]) -> Float[Array, " post"]:
        return rates * self.weight

    def kick(self, index: Int[Array, ""]) -> Float[Array, " post"]:
        own = jnp.arange(self.size, dtype=jnp.int32) == index
        return jnp.where(own, self.weight, jnp.zeros((), jnp.result_type(float)))
