"""Static kernels: which inner product the increments of two paths have."""

import abc

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float


class AbstractStaticKernel(eqx.Module):
    """A kernel of points; the signature kernel is that of the paths in its feature space.

    Between its points a path is straight **in that space**.
    """

    @abc.abstractmethod
    def features(self, paths: Float[Array, "n L d"]) -> Float[Array, "c segments n"]:
        """What `increment` needs of each segment. Zeros must stand for a segment of length 0."""

    @abc.abstractmethod
    def increment(self, x: Float[Array, "c ..."], y: Float[Array, "c ..."]) -> Float[Array, "..."]:
        """`<dx, dy>` of two segments in feature space, elementwise."""

    @abc.abstractmethod
    def totals(self, x: Float[Array, "c segments nx"], y: Float[Array, "c others ny"]) -> tuple[Array, Array]:
        """A bound on `sum |<dx, dy>|` over all segments of the other path, and one on a single `|<dx, dy>|`."""


class Linear(AbstractStaticKernel):
    """`<x, y>`: the signature kernel of the paths themselves, straight between their points."""

    def features(self, paths: Float[Array, "n L d"]) -> Float[Array, "c segments n"]:
        return jnp.diff(paths, axis=1).transpose(2, 1, 0)

    def increment(self, x: Float[Array, "c ..."], y: Float[Array, "c ..."]) -> Float[Array, "..."]:
        return sum((x[i] * y[i] for i in range(1, x.shape[0])), x[0] * y[0])

    def totals(self, x: Float[Array, "c segments nx"], y: Float[Array, "c others ny"]) -> tuple[Array, Array]:
        largest_x, largest_y = (jnp.max(jnp.abs(z), axis=(1, 2)) for z in (x, y))
        along_y, along_x = (jnp.max(jnp.sum(jnp.abs(z), axis=1), axis=1) for z in (y, x))
        over_y = jnp.max(jnp.tensordot(along_y, jnp.abs(x), 1))
        over_x = jnp.max(jnp.tensordot(along_x, jnp.abs(y), 1))
        return jnp.maximum(over_x, over_y), jnp.sum(largest_x * largest_y)


class RBF(AbstractStaticKernel):
    """`exp(-|x - y|^2 / (2 sigma^2))`, lifted linearly.

    The given points are mapped into the feature space and joined by straight lines **there**. To follow a path that is
    straight in its own space, refine it: `refine=8` puts seven points into each segment, on the segment; the result
    converges to the other lift with the square of `refine`.

    **Raises:** `ValueError` for a `sigma` that is not positive or a `refine` below 1.
    """

    sigma: float = 1.0
    refine: int = eqx.field(static=True, default=1)

    def __check_init__(self):
        if not self.sigma > 0 or self.refine < 1:
            raise ValueError(f"RBF got sigma={self.sigma} and refine={self.refine}; expected sigma > 0, refine >= 1.")

    def features(self, paths: Float[Array, "n L d"]) -> Float[Array, "c segments n"]:
        share = jnp.linspace(0.0, 1.0, self.refine + 1, dtype=paths.dtype)[:-1].reshape(1, 1, self.refine, 1)
        inner = paths[:, :-1, None] * (1 - share) + paths[:, 1:, None] * share
        n, _, d = paths.shape
        points = jnp.concatenate([inner.reshape(n, inner.shape[1] * self.refine, d), paths[:, -1:]], axis=1)
        # In units of sigma.
        return jnp.concatenate([points[:, :-1], points[:, 1:]], axis=2).transpose(2, 1, 0) / self.sigma

    def increment(self, x: Float[Array, "c ..."], y: Float[Array, "c ..."]) -> Float[Array, "..."]:
        d = x.shape[0] // 2

        def kernel(i, j):
            return jnp.exp(-0.5 * sum(((x[i + c] - y[j + c]) ** 2 for c in range(1, d)), (x[i] - y[j]) ** 2))

        return (kernel(d, d) - kernel(0, d)) - (kernel(d, 0) - kernel(0, 0))

    def totals(self, x: Float[Array, "c segments nx"], y: Float[Array, "c others ny"]) -> tuple[Array, Array]:
        def lengths(z):
            d = z.shape[0] // 2
            return jnp.sqrt(-2 * jnp.expm1(-0.5 * jnp.sum((z[d:] - z[:d]) ** 2, axis=0)))

        x, y = lengths(x), lengths(y)
        largest = jnp.max(x) * jnp.max(y)
        total = jnp.maximum(
            jnp.max(x) * jnp.max(jnp.sum(y, axis=0)),
            jnp.max(y) * jnp.max(jnp.sum(x, axis=0)),
        )
        return total, largest
