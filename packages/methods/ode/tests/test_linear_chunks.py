"""A linear loop over chunks: the same as a scan over all of them, in every order of batching and differentiation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from saltation_ode._linear_chunks import linear_chunks

SAMPLES, CHUNKS = 3, 4
KEYS = jax.random.split(jax.random.key(0), 4)
WEIGHT = jax.random.normal(KEYS[0], (2, 2))
START = jax.random.normal(KEYS[1], (SAMPLES, 2))
XS = jax.random.normal(KEYS[2], (SAMPLES, CHUNKS, 2)).at[:, 2:].set(0.0).at[1, 1].set(0.0)
SCALE = jnp.array(0.7)  # closed over


def _chunk(weight, carry, x):
    """Linear in the weight and the carry together; nothing happens where `x` is zero."""
    moved = {"v": carry["v"] + jnp.sin(x) * carry["v"] + SCALE * x @ weight}
    return moved, (moved["v"] * x, jnp.sum(moved["v"]) * jnp.sum(x))


def _ours(weight, start, xs):
    return linear_chunks(_chunk, weight, {"v": start}, xs, jnp.any(xs != 0, axis=1))


def _scan(weight, start, xs):
    return lax.scan(lambda carry, x: _chunk(weight, carry, x), {"v": start}, xs)


def _total(loop):
    def total(weight, start, xs):
        carry, (first, second) = loop(weight, start, xs)
        return jnp.sum(jnp.sin(carry["v"])) + jnp.sum(first**2) + jnp.sum(jnp.cos(second))

    return total


def _ways(loop):
    """The values, and derivatives in every order."""
    total = _total(loop)
    batch = lambda weight, start, xs: jnp.sum(jax.vmap(total, (None, 0, 0))(weight, start, xs))  # noqa: E731
    return {
        "value": lambda: jax.vmap(loop, (None, 0, 0))(WEIGHT, START, XS),
        "gradient of a batch": lambda: jax.grad(batch, (0, 1))(WEIGHT, START, XS),
        "batch of gradients": lambda: jax.vmap(jax.grad(total, (0, 1)), (None, 0, 0))(WEIGHT, START, XS),
        "the weight alone": lambda: jax.grad(lambda weight: total(weight, START[0], XS[0]))(WEIGHT),
        "forward": lambda: jax.jacfwd(batch)(WEIGHT, START, XS),
        "one set of chunks": lambda: jax.vmap(jax.grad(total), (0, None, None))(
            jnp.stack([WEIGHT, 2.0 * WEIGHT]), START[0], XS[0]
        ),
    }


@pytest.mark.parametrize("way", list(_ways(_scan)))
def test_it_is_a_scan(way):
    for one, two in zip(
        jax.tree.leaves(jax.jit(_ways(_ours)[way])()), jax.tree.leaves(_ways(_scan)[way]()), strict=True
    ):
        np.testing.assert_allclose(one, two, rtol=1e-12, atol=1e-14)


def test_a_derivative_of_its_derivative_is_refused():
    with pytest.raises(TypeError, match="first derivatives only"):
        jax.jacfwd(lambda xs: _total(_ours)(WEIGHT, START[0], xs))(XS[0])
