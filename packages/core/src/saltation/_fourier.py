"""Convolutions by Fourier transforms, for images so small that products with matrices are the fastest transforms.

A direct convolution takes as many multiplications as a kernel has taps, for each output and each of its source
channels. Between frequencies it takes three, those of a complex product, for each of the half of the frequencies that a
real image has; and the transforms grow with the number of channels only, not with its square. All of it is products
with three constant matrices:

    spectra = analysis images,   kernel spectra = waves kernel,   outputs = synthesis (spectra kernel spectra)

A complex `x k` of `x = a + b i`, `k = r + s i` is `r (a + b) - (r + s) b + (r (a + b) + (s - r) a) i`: each spectrum is
three real ones. Sums differ from direct ones by round-off of the largest of them.

Mathieu, Henaff, LeCun, "Fast training of convolutional networks through FFTs", ICLR 2014.
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Complex, Float

Pads = tuple[tuple[int, int], tuple[int, int]]
Matrix = Float[np.ndarray, "_ _"]

# So many bytes of spectra stay in a processor's cache; with more of them the transforms wait for memory.
_CACHE = 4 * 2**20


class Plane(NamedTuple):
    """Images of `sides`, convolved with `taps` and `padding`, on a torus as large as keeps the padding at zero."""

    sides: tuple[int, int]
    taps: tuple[int, int]
    padding: Pads

    @property
    def out(self) -> tuple[int, int]:
        """The sides of the outputs."""
        axes = zip(self.sides, self.taps, self.padding, strict=True)
        height, width = (side + low + high - taps + 1 for side, taps, (low, high) in axes)
        return height, width

    def reverse(self) -> "Plane":
        """Of the transposed convolution, from outputs to images, with the kernel in reverse."""
        pairs = zip(self.taps, self.padding, strict=True)
        top, left = ((taps - 1 - low, taps - 1 - high) for taps, (low, high) in pairs)
        return Plane(self.out, self.taps, (top, left))

    @property
    def periods(self) -> tuple[int, int]:
        """The sides of the torus."""
        height, width = (side + max(0, *pads) for side, pads in zip(self.sides, self.padding, strict=True))
        return height, width

    @property
    def frequencies(self) -> tuple[int, int]:
        """Horizontally those that are not negative: the others are their conjugates."""
        height, width = self.periods
        return height, width // 2 + 1

    def analysis(self) -> tuple[Matrix, Matrix]:
        """Along rows to `(frequency, part)`, then along columns from `(part, row)` to `(kind, frequency)`."""
        vertical, horizontal = self._waves(self.sides)
        across = np.stack([np.real(horizontal), np.imag(horizontal)], 1).reshape(-1, self.sides[1])
        down = np.einsum("kp,pqfy->kfqy", [[1, 1], [1, 0], [0, 1]], _parts(vertical))
        return across, down.reshape(-1, 2 * self.sides[0])

    def synthesis(self) -> tuple[Matrix, Matrix]:
        """Along columns from `(kind, frequency)` to `(part, row)`, then along rows from `(frequency, part)`."""
        vertical, horizontal = (wave.conj().T for wave in self._waves(self.out))
        down = np.einsum("pqyf,qk->pykf", _parts(vertical), [[1, 0, -1], [1, 1, 0]])
        number = np.arange(self.frequencies[1])
        alone = (number == 0) | (2 * number == self.periods[1])
        horizontal = horizontal * np.where(alone, 1, 2) / (self.periods[0] * self.periods[1])
        across = np.stack([horizontal.real, -horizontal.imag], 2).reshape(self.out[1], -1)
        return down.reshape(2 * self.out[0], -1), across

    def tap_waves(self) -> Matrix:
        """From the taps of a kernel to `(horizontal frequency, kind, vertical frequency)`."""
        (top, _), (left, _) = self.padding
        vertical, horizontal = self._waves(self.taps, (top, left))
        both = np.einsum("fi,gj->gfij", vertical.conj(), horizontal.conj())
        kinds = np.stack([both.real, both.imag - both.real, both.real + both.imag], 1)
        return kinds.reshape(-1, self.taps[0] * self.taps[1])

    def _waves(self, places: tuple[int, int], lead: tuple[int, int] = (0, 0)) -> list[Complex[np.ndarray, "_ _"]]:
        """`exp(-i frequency (place - lead))` `[frequencies, places]` of both axes."""
        axes = zip(self.frequencies, places, lead, self.periods, strict=True)
        return [np.exp(-2j * np.pi * np.outer(range(n), np.arange(m) - first) / period) for n, m, first, period in axes]


def cheaper(plane: Plane, number: int, channels: tuple[int, int], itemsize: int) -> bool:
    """Whether this way takes clearly less time than the direct sum, for `number` images on one core."""
    sources, targets = channels
    vertical, horizontal = plane.frequencies
    kernel = 3 * vertical * horizontal * sources * targets
    # Of one channel.
    transform = lambda height, width: 4 * horizontal * height * (width + 3 * vertical)  # noqa: E731
    transforms = sources * transform(*plane.sides) + targets * transform(*plane.out)
    direct = 2 * plane.taps[0] * plane.taps[1] * plane.out[0] * plane.out[1] * sources * targets
    # Measured in the time of a direct operation: what is copied between products takes half as long as they do, and
    # each number of the kernel's spectra as long as 60. The direct gradient by the kernel is at times faster than the
    # convolution, which the margin is for.
    ours = 1.5 * number * (transforms + 2 * kernel) + 60 * kernel
    return kernel * itemsize <= 4 * _CACHE and 1.5 * ours < number * direct


def convolve(
    plane: Plane, images: Float[Array, "n height width c"], kernel: Float[Array, "vertical horizontal c d"]
) -> Float[Array, "n out_height out_width d"]:
    """`out[n, y, x, d] = sum_(i, j, c) in[n, y + i - top, x + j - left, c] kernel[i, j, c, d]`."""
    number, (sources, targets) = images.shape[0], kernel.shape[2:]
    factors = _constant(plane.tap_waves(), kernel) @ kernel.reshape(-1, sources * targets)
    factors = factors.reshape(-1, sources, targets)

    def piece(images: Array) -> Array:
        return _synthesised(plane, _analysed(images, *plane.analysis()) @ factors)

    out = lax.map(piece, _pieces(plane, images, max(sources, targets)))
    return out.reshape(-1, *out.shape[2:])[:number]


def kernel_gradient(
    plane: Plane, images: Float[Array, "n height width c"], changes: Float[Array, "n out_height out_width d"]
) -> Float[Array, "vertical horizontal c d"]:
    """`sum_(n, y, x) in[n, y + i - top, x + j - left, c] changes[n, y, x, d]`, the transpose of `convolve`."""
    sources, targets = images.shape[3], changes.shape[3]
    down, across = plane.synthesis()
    waves = plane.tap_waves()

    def add(total: Array, piece: tuple[Array, Array]) -> tuple[Array, None]:
        both = _analysed(piece[0], *plane.analysis()), _analysed(piece[1], across.T, down.T)
        return total + lax.dot_general(*both, (((1,), (1,)), ((0,), (0,)))), None

    pieces, their_changes = (_pieces(plane, x, max(sources, targets)) for x in (images, changes))
    nothing = jnp.zeros((waves.shape[0], sources, targets), images.dtype)
    products, _ = lax.scan(add, nothing, (pieces, their_changes))
    taps = _constant(waves.T, images) @ products.reshape(-1, sources * targets)
    return taps.reshape(*plane.taps, sources, targets)


def _pieces(plane: Plane, images: Array, channels: int) -> Float[Array, "pieces n height width c"]:
    """Images in parts whose spectra stay in the cache, the last one filled up with zeros."""
    number = images.shape[0]
    size = 3 * plane.frequencies[0] * plane.frequencies[1] * channels * images.dtype.itemsize
    pieces = max(1, -(-number * size // _CACHE))
    each = -(-number // pieces)
    padded = jnp.pad(images, [(0, pieces * each - number), (0, 0), (0, 0), (0, 0)])
    return padded.reshape(pieces, each, *images.shape[1:])


def _analysed(images: Array, across: Matrix, down: Matrix) -> Float[Array, "spectra n c"]:
    number, height, _, channels = images.shape
    rows = _times(across, images).reshape(number, height, -1, 2, channels)
    columns = rows.transpose(2, 3, 1, 0, 4).reshape(-1, 2 * height, number * channels)
    return _times(down, columns).reshape(-1, number, channels)


def _synthesised(plane: Plane, spectra: Array) -> Float[Array, "n out_height out_width d"]:
    down, across = plane.synthesis()
    _, number, channels = spectra.shape
    columns = _times(down, spectra.reshape(plane.frequencies[1], -1, number * channels))
    rows = columns.reshape(-1, 2, plane.out[0], number, channels).transpose(3, 2, 0, 1, 4)
    return _times(across, rows.reshape(number, plane.out[0], -1, channels))


def _parts(matrix: Complex[np.ndarray, "m n"]) -> Float[np.ndarray, "2 2 m n"]:
    """A complex matrix as a real one that acts on real and imaginary parts."""
    real, imaginary = np.real(matrix), np.imag(matrix)
    return np.array([[real, -imaginary], [imaginary, real]])


def _times(matrix: Matrix, vectors: Float[Array, "*batch n k"]) -> Float[Array, "*batch m k"]:
    # One product for each member of the batch: without the copies of the matrix, XLA would move the batch inwards.
    copies = jnp.broadcast_to(_constant(matrix, vectors), (*vectors.shape[:-2], *matrix.shape))
    return copies @ vectors


def _constant(matrix: Matrix, like: Array) -> Array:
    return jnp.asarray(matrix, like.dtype)
