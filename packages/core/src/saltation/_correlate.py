"""The convolution of a batch of images and its gradients, whose algorithm is chosen when they are compiled.

They are two primitives of JAX, and transposes of each other: so `vmap` over samples makes one batch, whose size decides
what is fastest, and the gradient by a kernel is one sum over that batch.
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax
from jax.core import ShapedArray
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir
from jaxtyping import Array, Float

from ._fourier import Pads, Plane, cheaper, convolve, kernel_gradient

# Channels last: with channels first, XLA takes ten times as long on a CPU.
LAYOUT = ("NHWC", "HWIO", "NHWC")


def correlate(
    images: Float[Array, "n height width c"],
    kernel: Float[Array, "vertical horizontal c d"],
    padding: Pads,
    algorithm: str,
) -> Float[Array, "n out_height out_width d"]:
    """`out[n, y, x, d] = sum_(i, j, c) in[n, y + i - top, x + j - left, c] kernel[i, j, c, d]`.

    `algorithm`: "direct", "fft", or "auto": on a CPU the faster one of them, elsewhere "direct".
    """
    (_, height, width, _), (vertical, horizontal, _, _) = images.shape, kernel.shape
    plane = Plane((height, width), (vertical, horizontal), padding)
    return _correlate.bind(images, kernel, plane=plane, algorithm=algorithm)


_correlate = Primitive("correlate")
# Of what `correlate` returns, by the kernel: `sum_(n, y, x) in[n, y + i - top, x + j - left, c] changes[n, y, x, d]`.
_gradient = Primitive("correlate_kernel_gradient")


def _direct(plane: Plane, images: Array, kernel: Array) -> Array:
    return lax.conv_general_dilated(images, kernel, (1, 1), plane.padding, dimension_numbers=LAYOUT)


def _direct_gradient(plane: Plane, images: Array, changes: Array) -> Array:
    kernel = jax.ShapeDtypeStruct((*plane.taps, images.shape[3], changes.shape[3]), images.dtype)
    return jax.linear_transpose(lambda kernel: _direct(plane, images, kernel), kernel)(changes)[0]


def _by_images(changes: Array, images: Any, kernel: Array, *, plane: Plane, algorithm: str) -> Array:
    """A convolution with the kernel in reverse and its channels swapped.

    They are so in memory: inside a loop, as of an adjoint solver, XLA's CPU takes seven times as long for one that
    reads them the other way round.
    """
    del images
    reverse = kernel[::-1, ::-1].swapaxes(2, 3)
    return _correlate.bind(changes, reverse, plane=plane.reverse(), algorithm=algorithm)


def _by_kernel(changes: Array, images: Array, kernel: Any, **settings: Any) -> Array:
    del kernel
    return _gradient.bind(images, changes, **settings)


def _gradient_by_images(by_kernel: Array, images: Any, changes: Array, **settings: Any) -> Array:
    return _by_images(changes, images, by_kernel, **settings)


def _gradient_by_changes(by_kernel: Array, images: Array, changes: Any, **settings: Any) -> Array:
    del changes
    return _correlate.bind(images, by_kernel, **settings)


def _batched(operands, dims, *, plane: Plane, algorithm: str) -> tuple[Array, int]:
    if dims[1] is not None:
        # A kernel for each sample.
        return jax.vmap(partial(_direct, plane), dims)(*operands), 0
    images = jnp.moveaxis(operands[0], dims[0], 0)
    out = _correlate.bind(images.reshape(-1, *images.shape[2:]), operands[1], plane=plane, algorithm=algorithm)
    return out.reshape(*images.shape[:2], *out.shape[1:]), 0


def _gradient_batched(operands, dims, *, plane: Plane, algorithm: str) -> tuple[Array, int]:
    # A gradient for each sample.
    del algorithm
    return jax.vmap(partial(_direct_gradient, plane), dims)(*operands), 0


def _define(primitive: Primitive, direct: Callable, fft: Callable, batched: Callable, *transposes: Callable) -> None:
    def shape(*operands: ShapedArray, plane: Plane, algorithm: str) -> ShapedArray:
        del algorithm
        out = jax.eval_shape(partial(direct, plane), *operands)
        return ShapedArray(out.shape, out.dtype)

    def chosen(images: Array, other: Array, *, plane: Plane, algorithm: str) -> Array:
        if algorithm == "auto":
            channels = images.shape[3], other.shape[3]
            faster = cheaper(plane, images.shape[0], channels, images.dtype.itemsize)
            return (fft if faster else direct)(plane, images, other)
        return elsewhere(images, other, plane=plane, algorithm=algorithm)

    def elsewhere(images: Array, other: Array, *, plane: Plane, algorithm: str) -> Array:
        return (fft if algorithm == "fft" else direct)(plane, images, other)

    primitive.def_impl(partial(jax.jit, static_argnames=("plane", "algorithm"))(primitive.bind))
    primitive.def_abstract_eval(shape)
    mlir.register_lowering(primitive, mlir.lower_fun(chosen, multiple_results=False), platform="cpu")
    mlir.register_lowering(primitive, mlir.lower_fun(elsewhere, multiple_results=False))
    batching.primitive_batchers[primitive] = batched
    ad.defbilinear(primitive, *transposes)


_define(_correlate, _direct, convolve, _batched, _by_images, _by_kernel)
_define(_gradient, _direct_gradient, kernel_gradient, _gradient_batched, _gradient_by_images, _gradient_by_changes)
