"""Distances between samples of two distributions, from the Gram matrices of a kernel."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float

Gram = Callable[[Any, Any], Float[Array, "nx ny"]]


def mmd_squared(x: Any, y: Any, gram: Gram, *, biased: bool = False) -> Float[Array, ""]:
    """The squared maximum mean discrepancy, `E k(x, x') + E k(y, y') - 2 E k(x, y)`.

    **Arguments:**

    - `x`, `y`: samples, whatever `gram` takes.
    - `gram(x, y) -> [nx, ny]`: such as `lambda x, y: spike_gram(x, y, t1=1.0)`.
    - `biased`: with the diagonals, which makes it a squared norm, never negative; without them its mean is right, and
      it may be negative.

    **Raises:** `ValueError` for fewer than two samples of either kind, unless `biased`.

    Gretton et al., "A kernel two-sample test", JMLR 2012, equations (3) and (5).
    """
    return mmd_from_grams(gram(x, x), gram(x, y), gram(y, y), biased=biased)


def mmd_from_grams(
    xx: Float[Array, "nx nx"], xy: Float[Array, "nx ny"], yy: Float[Array, "ny ny"], *, biased: bool = False
) -> Float[Array, ""]:
    """`mmd_squared`, of Gram matrices that are there already."""
    if not biased and min(xy.shape) < 2:
        raise ValueError(f"mmd_squared got {xy.shape} samples; expected at least two of each, or biased=True.")
    # Values can be far larger than their differences.
    return _mean(xx, biased) + _mean(yy, biased) - 2 * jnp.mean(xy)


def scoring_rule(x: Any, observed: Any, gram: Gram) -> Float[Array, ""]:
    """The kernel score `E k(x, x') - 2 E k(x, y)` of samples `x` of a model, a mean over observations `y`.

    It is smallest, in expectation, for the distribution that the observations come from, and needs only one of them.
    Gneiting and Raftery, "Strictly proper scoring rules", 2007, section 5.

    **Raises:** `ValueError` for fewer than two samples.
    """
    xx, xy = gram(x, x), gram(x, observed)
    if xx.shape[0] < 2:
        raise ValueError(f"scoring_rule got {xx.shape[0]} sample; expected at least two.")
    return _mean(xx, biased=False) - 2 * jnp.mean(xy)


def _mean(values: Float[Array, "n n"], biased: bool) -> Float[Array, ""]:
    n = values.shape[0]
    if biased:
        return jnp.mean(values)
    return jnp.sum(jnp.where(jnp.eye(n, dtype=bool), 0.0, values)) / (n * (n - 1))
