"""Surrogate shapes: what takes the place of the derivative of a step, by name.

Each is a function of the distance `x` to the threshold, 1 at the threshold and falling off over `1 / slope`. The factor
that other definitions put in front is left out: Zenke and Vogels, Neural Computation 33 (2021), found that a height
other than 1 is what makes deep networks fail, and that the shape hardly matters.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

import jax
import jax.numpy as jnp
from jaxtyping import Array

Shape = Callable[[Array], Array]


def fast_sigmoid(x: Array) -> Array:
    """`1 / (1 + |x|)^2`: the derivative of `x / (1 + |x|)`. SuperSpike, Zenke and Ganguli, Neural Computation 2018."""
    return 1.0 / (1.0 + jnp.abs(x)) ** 2


def sigmoid(x: Array) -> Array:
    """`4 sigma(x) (1 - sigma(x))`: the derivative of the logistic function, as of neurons that fire at random."""
    return 4.0 * jax.nn.sigmoid(x) * jax.nn.sigmoid(-x)


def triangular(x: Array) -> Array:
    """`max(0, 1 - |x|)`: piecewise linear. Esser et al., PNAS 2016; Bellec et al., NeurIPS 2018."""
    return jnp.maximum(1.0 - jnp.abs(x), 0.0)


def arctan(x: Array) -> Array:
    """`1 / (1 + x^2)`: the derivative of the arctangent. Fang et al., ICCV 2021."""
    return 1.0 / (1.0 + x * x)


def gaussian(x: Array) -> Array:
    """`exp(-x^2 / 2)`: Yin, Corradi and Bohte, Nature Machine Intelligence 2021."""
    return jnp.exp(-0.5 * x * x)


SHAPES: Mapping[str, Shape] = MappingProxyType(
    {function.__name__: function for function in (fast_sigmoid, sigmoid, triangular, arctan, gaussian)}
)
"""The shapes by name."""
