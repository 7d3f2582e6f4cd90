"""A linear loop over chunks: the same as a scan over all of them, in every order of batching and differentiation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax

from saltation_ode._linear_chunks import Tables, linear_chunks

SAMPLES, CHUNKS = 3, 4
KEYS = jax.random.split(jax.random.key(0), 4)
WEIGHT = jax.random.normal(KEYS[0], (2, 2))
START = jax.random.normal(KEYS[1], (SAMPLES, 2))
XS = jax.random.normal(KEYS[2], (SAMPLES, CHUNKS, 2)).at[:, 2:].set(0.0).at[1, 1].set(0.0)
SCALE = jnp.array(0.7)  # closed over
FIXED = jax.random.normal(KEYS[3], (5, 2))
TABLE = FIXED[::-1] + 0.5
# Three entries a chunk, one of them nowhere and one twice; a column for each place, or one for all.
OWN = jnp.arange(CHUNKS * 6, dtype=jnp.int32).reshape(CHUNKS, 3, 2) % 7 - 1
ROWS = OWN[..., :1]
NEEDED = jnp.array(2)  # chunks: behind them there is nothing but zeros


def _chunk(weight, carry, x, fixed, moving):
    """Linear in the weight, the carry and what moves together; nothing happens where `x` is zero."""
    weight = weight + jnp.sum(fixed["own"] * moving["rows"]) * jnp.eye(2)
    moved = {"v": carry["v"] + jnp.sin(x) * carry["v"] + SCALE * x @ weight}
    return moved, (moved["v"] * x, jnp.sum(moved["v"]) * jnp.sum(x))


def _ours(weight, table, start, xs):
    def chunk(weight, carry, x, fixed, moving):
        return _chunk(weight, carry, x[0], fixed, moving)

    still, moving = Tables({"own": FIXED}, lambda x: {"own": x[1]}), Tables({"rows": table}, lambda x: {"rows": x[2]})
    return linear_chunks(chunk, weight, {"v": start}, (xs, OWN, ROWS), NEEDED, still=still, moving=moving)


def _scan(weight, table, start, xs):
    def read(table, index):
        inside = (index >= 0) & (index < 5)
        return jnp.where(inside, table[jnp.where(inside, index, 0), jnp.arange(2)[None]], 0.0)

    def step(carry, x):
        x, own, rows = x
        return _chunk(weight, carry, x, {"own": read(FIXED, own)}, {"rows": read(table, rows)})

    return lax.scan(step, {"v": start}, (xs, OWN, ROWS))


def _total(loop):
    def total(weight, table, start, xs):
        carry, (first, second) = loop(weight, table, start, xs)
        return jnp.sum(jnp.sin(carry["v"])) + jnp.sum(first**2) + jnp.sum(jnp.cos(second))

    return total


def _ways(loop):
    """The values, and derivatives in every order."""
    total = _total(loop)
    each = (None, None, 0, 0)
    batch = lambda weight, table, start, xs: jnp.sum(jax.vmap(total, each)(weight, table, start, xs))  # noqa: E731
    tables = jnp.stack([TABLE, 2.0 * TABLE, TABLE**2])
    return {
        "value": lambda: jax.vmap(loop, each)(WEIGHT, TABLE, START, XS),
        "gradient of a batch": lambda: jax.grad(batch, (0, 1, 2))(WEIGHT, TABLE, START, XS),
        "batch of gradients": lambda: jax.vmap(jax.grad(total, (0, 1, 2)), each)(WEIGHT, TABLE, START, XS),
        "a table for each": lambda: jax.vmap(jax.grad(total, (0, 1)), (None, 0, None, 0))(WEIGHT, tables, START[0], XS),
        "the weight alone": lambda: jax.grad(lambda weight: total(weight, TABLE, START[0], XS[0]))(WEIGHT),
        "forward": lambda: jax.jacfwd(batch, (0, 1))(WEIGHT, TABLE, START, XS),
        "one set of chunks": lambda: jax.vmap(jax.grad(total), (0, None, None, None))(
            jnp.stack([WEIGHT, 2.0 * WEIGHT]), TABLE, START[0], XS[0]
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
        jax.jacfwd(lambda xs: _total(_ours)(WEIGHT, TABLE, START[0], xs))(XS[0])
