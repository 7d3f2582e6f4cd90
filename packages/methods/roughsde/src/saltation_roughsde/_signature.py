"""Truncated signatures: all iterated integrals of a path up to some depth."""

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

Levels = tuple[Array, ...]


def truncated_signature(path: Float[Array, "L d"], *, depth: int) -> Levels:
    """The signature of a path up to a depth: for each level `k` the iterated integrals `[d] * k`, in order of time.

    Each segment's signature is the exponential of its increment, and Chen's identity multiplies them.

    **Raises:** `ValueError` for a depth below 1 or a path that is no array `[L, d]`.
    """
    if depth < 1:
        raise ValueError(f"truncated_signature got depth={depth}; expected at least 1.")
    if path.ndim != 2 or path.shape[0] < 2:
        raise ValueError(f"truncated_signature got a path of shape {path.shape}; expected [L, d] with L >= 2.")
    d = path.shape[1]
    start = tuple(jnp.zeros((d,) * k, path.dtype) for k in range(1, depth + 1))

    def step(levels: Levels, dx: Array) -> tuple[Levels, None]:
        powers = [dx]
        for k in range(2, depth + 1):
            powers.append(jnp.tensordot(powers[-1], dx / k, 0))
        after = []
        for k in range(depth):
            mixed = [jnp.tensordot(levels[j], powers[k - 1 - j], 0) for j in range(k)]
            after.append(sum(mixed, levels[k] + powers[k]))
        return tuple(after), None

    return lax.scan(step, start, jnp.diff(path, axis=0))[0]


def expected_signature(paths: Float[Array, "n L d"], *, depth: int) -> Levels:
    """The mean of the truncated signatures of `n` paths."""
    levels = jax.vmap(lambda path: truncated_signature(path, depth=depth))(paths)
    return tuple(jnp.mean(level, axis=0) for level in levels)


def expected_signature_distance(
    x: Float[Array, "nx Lx d"], y: Float[Array, "ny Ly e"], *, depth: int = 3
) -> Float[Array, ""]:
    """The mean over all entries of the squared difference of two expected signatures.

    **Raises:** `ValueError` for paths of different dimension.

    The loss of Holberg and Salvi, "Exact gradients for stochastic spiking neural networks driven by rough signals",
    NeurIPS 2024, where the depth is 3.
    """
    if x.shape[-1] != y.shape[-1]:
        raise ValueError(
            f"expected_signature_distance got paths of dimension {x.shape[-1]} and {y.shape[-1]}; expected the same."
        )
    pairs = zip(expected_signature(x, depth=depth), expected_signature(y, depth=depth), strict=True)
    difference = jnp.concatenate([(a - b).reshape(-1) for a, b in pairs])
    return jnp.mean(difference**2)
