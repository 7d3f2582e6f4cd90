"""Convolutions of images."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jax.custom_derivatives import SymbolicZero
from jaxtyping import Array, Float, Int

from ._correlate import LAYOUT, correlate
from ._fourier import Pads
from ._image_synapse import (
    AbstractImageSynapse,
    Shape,
    as_algorithm,
    as_image,
    as_kernel,
    as_pair,
    one_spike,
    sizes_of,
)

Padding = str | int | Sequence[tuple[int, int]]

_SWAPPED = ("NHWC", "HWOI", "NHWC")


class Conv2d(AbstractImageSynapse):
    """A convolution: `out[y, x, d] = sum_(i, j, c) in[stride y + i - pad, stride x + j - pad, c] weight[i, j, c, d]`.

    **Arguments:**

    - `weight[height, width, channels_in, channels_out]`: the kernel, in the unit that the target's port expects.
    - `shape`: (height, width, channels) of the source.
    - `stride`: one number, or (vertical, horizontal).
    - `padding`: "same" (as many outputs as inputs over the stride), "valid", a number, or `((top, bottom), (left,
      right))`.
    - `algorithm`: "direct"; "fft", by Fourier transforms, for strides of 1; or "auto": "fft" on a CPU wherever it is
      faster, as for a batch of small images with many channels. Sums by "fft" have the round-off of their largest
      ones. Where weights are such that sums are exact, as small multiples of a power of two, "direct" keeps them so.

    **Raises:** `ValueError` for a kernel or a shape with other axes, another number of channels, a weight that is not
    finite, or "fft" with strides.

    ```python
    st.Connection("in", "hidden", st.Conv2d(weight, (28, 28, 1), stride=2))    # hidden: (14, 14, channels)
    ```
    """

    weight: Float[Array, "height width channels_in channels_out"]
    shape: Shape = eqx.field(static=True)
    stride: tuple[int, int] = eqx.field(static=True)
    padding: Pads = eqx.field(static=True)
    algorithm: str = eqx.field(static=True)

    def __init__(
        self,
        weight: Any,
        shape: Sequence[int],
        *,
        stride: Any = 1,
        padding: Padding = "same",
        algorithm: str = "auto",
    ):
        self.weight = as_kernel("Conv2d", weight, shape)
        self.shape = as_image("Conv2d", shape)
        self.stride = as_pair("Conv2d", stride)
        self.algorithm = as_algorithm("Conv2d", algorithm, self.stride)
        self.padding = _resolve_padding(padding, self.shape[:2], self.weight.shape[:2], self.stride)
        if min(self.shape_out) < 1:
            raise ValueError(
                f"Conv2d got a kernel {self.weight.shape[:2]} larger than its padded source {self.shape[:2]}; expected "
                "at least one place for it. Use padding='same'."
            )

    @property
    def shape_in(self) -> Shape:
        return self.shape

    @property
    def shape_out(self) -> Shape:
        sides = [
            (side + low + high - kernel) // stride + 1
            for side, (low, high), kernel, stride in zip(
                self.shape[:2], self.padding, self.weight.shape[:2], self.stride, strict=True
            )
        ]
        return (sides[0], sides[1], self.weight.shape[3])

    def sizes(self) -> tuple[int, int]:
        return sizes_of(self)

    def apply(self, rates: Float[Array, " pre"]) -> Float[Array, " post"]:
        return self._convolve(rates, self.algorithm)

    def kick(self, index: Int[Array, ""]) -> Float[Array, " post"]:
        # Exact zeros where a spike does not reach.
        return self._convolve(one_spike(index, self.sizes()[0], self.weight.dtype), "direct")

    def _convolve(self, rates: Float[Array, " pre"], algorithm: str) -> Float[Array, " post"]:
        image = rates.reshape(1, *self.shape)
        if self.stride != (1, 1):
            return _strided(image, self.weight, self.stride, self.padding).reshape(-1)
        return correlate(image, self.weight, self.padding, algorithm).reshape(-1)


@partial(jax.custom_jvp, nondiff_argnums=(2, 3))
def _strided(image: Array, weight: Array, stride: tuple[int, int], padding: Pads) -> Array:
    return lax.conv_general_dilated(image, weight, stride, padding, dimension_numbers=LAYOUT)


@partial(_strided.defjvp, symbolic_zeros=True)
def _strided_jvp(stride, padding, primals, tangents):
    # As in `correlate`, the kernel of the transpose has its channels in order.
    (image, weight), (d_image, d_weight) = primals, tangents
    out = _strided(image, weight, stride, padding)
    change = jnp.zeros_like(out)
    if not isinstance(d_image, SymbolicZero):
        swapped = weight.swapaxes(2, 3)
        change += lax.conv_general_dilated(d_image, swapped, stride, padding, dimension_numbers=_SWAPPED)
    if not isinstance(d_weight, SymbolicZero):
        change += _strided(image, d_weight, stride, padding)
    return out, change


def _resolve_padding(padding: Padding, sides, kernel, stride) -> Pads:
    if isinstance(padding, str):
        if padding not in ("same", "valid"):
            raise ValueError(f"Conv2d got padding={padding!r}; expected 'same', 'valid', a number or pairs of numbers.")
        pairs = lax.padtype_to_pads(sides, kernel, stride, padding.upper())
    elif isinstance(padding, int):
        pairs = [(padding, padding)] * 2
    else:
        pairs = [tuple(pair) for pair in padding]
    (top, bottom), (left, right) = pairs
    return ((int(top), int(bottom)), (int(left), int(right)))
