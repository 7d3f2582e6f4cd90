"""Convolutions from a small image to a larger one."""

from collections.abc import Sequence
from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from ._correlate import correlate
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


class ConvTranspose2d(AbstractImageSynapse):
    """The transpose of a `Conv2d` with "same" padding: from a small image to one that is `stride` times as large.

    `ConvTranspose2d(weight, shape, stride=s)` is the adjoint of `Conv2d(weight with its channels swapped, larger shape,
    stride=s)`: feedback from a layer to the one that it was convolved from.

    **Arguments:** as `Conv2d`; `weight[height, width, channels_in, channels_out]`, with sides of at least `stride`.

    **Raises:** as `Conv2d`.
    """

    weight: Float[Array, "height width channels_in channels_out"]
    shape: Shape = eqx.field(static=True)
    stride: tuple[int, int] = eqx.field(static=True)
    algorithm: str = eqx.field(static=True)

    def __init__(self, weight: Any, shape: Sequence[int], *, stride: Any = 2, algorithm: str = "auto"):
        self.weight = as_kernel("ConvTranspose2d", weight, shape)
        self.shape = as_image("ConvTranspose2d", shape)
        self.stride = as_pair("ConvTranspose2d", stride)
        self.algorithm = as_algorithm("ConvTranspose2d", algorithm)
        if any(side < stride for side, stride in zip(self.weight.shape[:2], self.stride, strict=True)):
            raise ValueError(
                f"ConvTranspose2d got a kernel {self.weight.shape[:2]} and stride={self.stride}; expected sides of at "
                "least the stride, or some targets would get nothing. Use a larger kernel."
            )

    @property
    def shape_in(self) -> Shape:
        return self.shape

    @property
    def shape_out(self) -> Shape:
        return (self.shape[0] * self.stride[0], self.shape[1] * self.stride[1], self.weight.shape[3])

    def sizes(self) -> tuple[int, int]:
        return sizes_of(self)

    def apply(self, rates: Float[Array, " pre"]) -> Float[Array, " post"]:
        return self._convolve(rates, self.algorithm)

    def kick(self, index: Int[Array, ""]) -> Float[Array, " post"]:
        return self._convolve(one_spike(index, self.sizes()[0], self.weight.dtype), "direct")

    def _convolve(self, rates: Float[Array, " pre"], algorithm: str) -> Float[Array, " post"]:
        # An output at `stride * i + phase` sees only the kernel's entries of its own phase. All phases together are one
        # ordinary convolution with `stride^2` times the channels, whose weight gradient XLA computes 35 times as fast
        # as that of a dilated one.
        kernel = self.weight
        padding = []
        for axis in (0, 1):
            kernel, low, high = _split_phases(kernel, axis=2 * axis, stride=self.stride[axis])
            padding.append((low, high))
        # [taps, phase, taps, phase, in, out] to [taps, taps, in, phase, phase, out]
        taps = kernel.transpose(0, 2, 4, 1, 3, 5)
        height, width, channels = self.shape
        flat = taps.reshape(taps.shape[0], taps.shape[1], channels, -1)
        image = rates.reshape(1, *self.shape)
        out = correlate(image, flat, (padding[0], padding[1]), algorithm)
        phases = out.reshape(height, width, *self.stride, self.weight.shape[3])
        return phases.transpose(0, 2, 1, 3, 4).reshape(-1)


def _split_phases(kernel: Array, axis: int, stride: int) -> tuple[Array, int, int]:
    """The kernel with `axis` of `K` entries split into (taps, phase), and the padding that the taps then need.

    `out[s i + p] = sum_j in[j] w[s (i - j) + p + lead]`, with `lead` entries before the centre, as in "same" padding.
    """
    size = kernel.shape[axis]
    lead = (size - stride) // 2
    # Taps d = i - j such that s d + p + lead lies in the kernel for some phase p.
    first = -((lead + stride - 1) // stride)
    last = (size - 1 - lead) // stride
    before = -(stride * first + lead)
    after = stride * (last - first + 1) - before - size
    padded = jnp.pad(kernel, [(before, after) if a == axis else (0, 0) for a in range(kernel.ndim)])
    split = padded.reshape(*kernel.shape[:axis], last - first + 1, stride, *kernel.shape[axis + 1 :])
    return jnp.flip(split, axis), last, -first
