"""Synapses between images of shape (height, width, channels), and what they all check."""

import abc
from collections.abc import Sequence
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float, Int

from ._floats import as_floats
from ._synapse import AbstractSynapse

Shape = tuple[int, int, int]

_ALGORITHMS = ("auto", "direct", "fft")


class AbstractImageSynapse(AbstractSynapse):
    """A linear map between two images of shape (height, width, channels), flattened in that order."""

    @property
    @abc.abstractmethod
    def shape_in(self) -> Shape:
        """(height, width, channels) of the source."""

    @property
    @abc.abstractmethod
    def shape_out(self) -> Shape:
        """(height, width, channels) of the target."""


def one_spike(index: Int[Array, ""], size: int, dtype: Any) -> Float[Array, " size"]:
    """One spike of unit `index` as rates, zeros for `index = -1`: a kick by `apply`."""
    return (jnp.arange(size, dtype=jnp.int32) == index).astype(dtype)


def sizes_of(synapse: AbstractImageSynapse) -> tuple[int, int]:
    pre, post = synapse.shape_in, synapse.shape_out
    return (pre[0] * pre[1] * pre[2], post[0] * post[1] * post[2])


def as_image(owner: str, shape: Sequence[int]) -> Shape:
    sides = tuple(int(side) for side in shape)
    if len(sides) != 3 or min(sides) < 1:
        raise ValueError(f"{owner} got shape={tuple(shape)}; expected (height, width, channels) of its source.")
    return (sides[0], sides[1], sides[2])


def as_kernel(owner: str, weight: Any, shape: Sequence[int]) -> Array:
    weight = as_floats(weight)
    if weight.ndim != 4:
        raise ValueError(
            f"{owner} got a weight of shape {weight.shape}; expected [height, width, channels_in, channels_out]."
        )
    if weight.shape[2] != as_image(owner, shape)[2]:
        raise ValueError(
            f"{owner} got a weight for {weight.shape[2]} channels and shape={tuple(shape)}; expected (height, width, "
            f"{weight.shape[2]}), channels last. Move the channels of images to the end: images.transpose(0, 2, 3, 1)."
        )
    if not isinstance(weight, Tracer) and not np.isfinite(np.asarray(weight)).all():
        raise ValueError(f"{owner} got a weight that is NaN or infinite; expected finite numbers.")
    return weight


def as_pair(owner: str, value: Any) -> tuple[int, int]:
    pair = (value, value) if isinstance(value, int) else tuple(value)
    if len(pair) != 2 or min(pair) < 1:
        raise ValueError(f"{owner} got a stride or window {value}; expected a positive number, or two.")
    return (int(pair[0]), int(pair[1]))


def as_algorithm(owner: str, algorithm: str, stride: tuple[int, int] = (1, 1)) -> str:
    if algorithm not in _ALGORITHMS:
        raise ValueError(f"{owner} got algorithm={algorithm!r}; expected one of {list(_ALGORITHMS)}.")
    if algorithm == "fft" and stride != (1, 1):
        raise ValueError(f"{owner} got algorithm='fft' with stride={stride}; expected 'auto', or a stride of 1.")
    return algorithm
