"""Means over windows of images."""

from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from ._image_synapse import AbstractImageSynapse, Shape, as_image, as_pair, one_spike, sizes_of


class AvgPool2d(AbstractImageSynapse):
    """The mean over windows that do not overlap, channel by channel; it has no parameters.

    **Arguments:** `shape`: (height, width, channels) of the source; `window`: one number, or (vertical, horizontal).

    **Raises:** `ValueError` for a window that does not divide the image.
    """

    shape: Shape = eqx.field(static=True)
    window: tuple[int, int] = eqx.field(static=True)

    def __init__(self, shape: Sequence[int], window: Any = 2):
        self.shape = as_image("AvgPool2d", shape)
        self.window = as_pair("AvgPool2d", window)
        if self.shape[0] % self.window[0] or self.shape[1] % self.window[1]:
            raise ValueError(
                f"AvgPool2d got shape={self.shape} and window={self.window}; expected a window that divides the image."
            )

    @property
    def shape_in(self) -> Shape:
        return self.shape

    @property
    def shape_out(self) -> Shape:
        return (self.shape[0] // self.window[0], self.shape[1] // self.window[1], self.shape[2])

    def sizes(self) -> tuple[int, int]:
        return sizes_of(self)

    def apply(self, rates: Float[Array, " pre"]) -> Float[Array, " post"]:
        height, width, channels = self.shape_out
        windows = rates.reshape(height, self.window[0], width, self.window[1], channels)
        return jnp.mean(windows, axis=(1, 3)).reshape(-1)

    def kick(self, index: Int[Array, ""]) -> Float[Array, " post"]:
        return self.apply(one_spike(index, self.sizes()[0], jnp.result_type(float)))
