"""Synapses between images of shape (height, width, channels): convolution, its transpose, average pooling."""

import abc
from collections.abc import Sequence
from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.core import Tracer
from jax.custom_derivatives import SymbolicZero
from jaxtyping import Array, Float, Int

from ._floats import as_floats
from ._synapse import AbstractSynapse

Shape = tuple[int, int, int]
Pads = tuple[tuple[int, int], tuple[int, int]]
Padding = str | int | Sequence[tuple[int, int]]

# Channels last: with channels first, XLA takes ten times as long on a CPU.
_LAYOUT = ("NHWC", "HWIO", "NHWC")
_SWAPPED = ("NHWC", "HWOI", "NHWC")


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


class Conv2d(AbstractImageSynapse):
    """A convolution: `out[y, x, d] = sum_(i, j, c) in[stride y + i - pad, stride x + j - pad, c] weight[i, j, c, d]`.

    **Arguments:**

    - `weight[height, width, channels_in, channels_out]`: the kernel, in the unit that the target's port expects.
    - `shape`: (height, width, channels) of the source.
    - `stride`: one number, or (vertical, horizontal).
    - `padding`: "same" (as many outputs as inputs over the stride), "valid", a number, or `((top, bottom), (left,
      right))`.

    **Raises:** `ValueError` for a kernel or a shape with other axes, another number of channels, or a weight that is
    not finite.

    ```python
    st.Connection("in", "hidden", st.Conv2d(weight, (28, 28, 1), stride=2))    # hidden: (14, 14, channels)
    ```
    """

    weight: Float[Array, "height width channels_in channels_out"]
    shape: Shape = eqx.field(static=True)
    stride: tuple[int, int] = eqx.field(static=True)
    padding: Pads = eqx.field(static=True)

    def __init__(self, weight: Any, shape: Sequence[int], *, stride: Any = 1, padding: Padding = "same"):
        self.weight = _kernel("Conv2d", weight, shape)
        self.shape = _image("Conv2d", shape)
        self.stride = _pair("Conv2d", stride)
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
        return _sizes(self)

    def apply(self, rates: Float[Array, " pre"]) -> Float[Array, " post"]:
        image = rates.reshape(1, *self.shape)
        return _convolve(image, self.weight, self.stride, self.padding).reshape(-1)

    def kick(self, index: Int[Array, ""]) -> Float[Array, " post"]:
        return self.apply(one_spike(index, self.sizes()[0], self.weight.dtype))


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

    def __init__(self, weight: Any, shape: Sequence[int], *, stride: Any = 2):
        self.weight = _kernel("ConvTranspose2d", weight, shape)
        self.shape = _image("ConvTranspose2d", shape)
        self.stride = _pair("ConvTranspose2d", stride)
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
        return _sizes(self)

    def apply(self, rates: Float[Array, " pre"]) -> Float[Array, " post"]:
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
        out = _convolve(image, flat, (1, 1), tuple(padding))
        phases = out.reshape(height, width, *self.stride, self.weight.shape[3])
        return phases.transpose(0, 2, 1, 3, 4).reshape(-1)

    def kick(self, index: Int[Array, ""]) -> Float[Array, " post"]:
        return self.apply(one_spike(index, self.sizes()[0], self.weight.dtype))


class AvgPool2d(AbstractImageSynapse):
    """The mean over windows that do not overlap, channel by channel; it has no parameters.

    **Arguments:** `shape`: (height, width, channels) of the source; `window`: one number, or (vertical, horizontal).

    **Raises:** `ValueError` for a window that does not divide the image.
    """

    shape: Shape = eqx.field(static=True)
    window: tuple[int, int] = eqx.field(static=True)

    def __init__(self, shape: Sequence[int], window: Any = 2):
        self.shape = _image("AvgPool2d", shape)
        self.window = _pair("AvgPool2d", window)
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
        return _sizes(self)

    def apply(self, rates: Float[Array, " pre"]) -> Float[Array, " post"]:
        height, width, channels = self.shape_out
        windows = rates.reshape(height, self.window[0], width, self.window[1], channels)
        return jnp.mean(windows, axis=(1, 3)).reshape(-1)

    def kick(self, index: Int[Array, ""]) -> Float[Array, " post"]:
        return self.apply(one_spike(index, self.sizes()[0], jnp.result_type(float)))


@partial(jax.custom_jvp, nondiff_argnums=(2, 3))
def _convolve(image: Array, weight: Array, stride: tuple[int, int], padding: Pads) -> Array:
    return lax.conv_general_dilated(image, weight, stride, padding, dimension_numbers=_LAYOUT)


@partial(_convolve.defjvp, symbolic_zeros=True)
def _convolve_jvp(stride, padding, primals, tangents):
    # The map of the image's tangent is written with the kernel's channels swapped, so that its transpose has them in
    # order: inside a loop, as of an adjoint solver, XLA's CPU takes seven times as long for swapped ones.
    (image, weight), (d_image, d_weight) = primals, tangents
    out = _convolve(image, weight, stride, padding)
    change = jnp.zeros_like(out)
    if not isinstance(d_image, SymbolicZero):
        swapped = weight.swapaxes(2, 3)
        change += lax.conv_general_dilated(d_image, swapped, stride, padding, dimension_numbers=_SWAPPED)
    if not isinstance(d_weight, SymbolicZero):
        change += _convolve(image, d_weight, stride, padding)
    return out, change


def one_spike(index: Int[Array, ""], size: int, dtype: Any) -> Float[Array, " size"]:
    """One spike of unit `index` as rates, zeros for `index = -1`: a kick by `apply`."""
    return (jnp.arange(size, dtype=jnp.int32) == index).astype(dtype)


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


def _sizes(synapse: AbstractImageSynapse) -> tuple[int, int]:
    pre, post = synapse.shape_in, synapse.shape_out
    return (pre[0] * pre[1] * pre[2], post[0] * post[1] * post[2])


def _image(owner: str, shape: Sequence[int]) -> Shape:
    sides = tuple(int(side) for side in shape)
    if len(sides) != 3 or min(sides) < 1:
        raise ValueError(f"{owner} got shape={tuple(shape)}; expected (height, width, channels) of its source.")
    return (sides[0], sides[1], sides[2])


def _kernel(owner: str, weight: Any, shape: Sequence[int]) -> Array:
    weight = as_floats(weight)
    if weight.ndim != 4:
        raise ValueError(
            f"{owner} got a weight of shape {weight.shape}; expected [height, width, channels_in, channels_out]."
        )
    if weight.shape[2] != _image(owner, shape)[2]:
        raise ValueError(
            f"{owner} got a weight for {weight.shape[2]} channels and shape={tuple(shape)}; expected (height, width, "
            f"{weight.shape[2]}), channels last. Move the channels of images to the end: images.transpose(0, 2, 3, 1)."
        )
    if not isinstance(weight, Tracer) and not np.isfinite(np.asarray(weight)).all():
        raise ValueError(f"{owner} got a weight that is NaN or infinite; expected finite numbers.")
    return weight


def _pair(owner: str, value: Any) -> tuple[int, int]:
    pair = (value, value) if isinstance(value, int) else tuple(value)
    if len(pair) != 2 or min(pair) < 1:
        raise ValueError(f"{owner} got a stride or window {value}; expected a positive number, or two.")
    return (int(pair[0]), int(pair[1]))


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
