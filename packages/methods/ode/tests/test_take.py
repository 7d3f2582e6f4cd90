"""Reading entries of tables and adding to them: as by indexing, in every order of batching and differentiation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from saltation_ode._take import add_into, take

X = jnp.arange(24.0).reshape(2, 4, 3) ** 2
ROWS = jnp.array([[3, -1, 0, 7, 1], [2, 0, -1, 1, 3]])[..., None]  # two are nowhere
OWN = jnp.concatenate([ROWS, ROWS[:, ::-1], ROWS], axis=-1)


def _indexed(x, index):
    inside = (index >= 0) & (index < x.shape[0])
    index = jnp.where(inside, index, 0)
    if index.shape[1] == 1:
        return jnp.where(inside, x[index[:, 0]], 0.0)
    return jnp.where(inside, x[index, jnp.arange(x.shape[1])[None, :]], 0.0)


@pytest.mark.parametrize("index", [ROWS, OWN], ids=["rows", "own"])
def test_entries_and_both_derivatives_are_those_of_indexing(index):
    def value(read):
        return lambda x, index: jnp.sum(jnp.sin(read(x, index)))

    @jax.jit
    def pairs():
        return (
            (jax.vmap(take)(X, index), jax.vmap(_indexed)(X, index)),
            (jax.vmap(jax.grad(value(take)))(X, index), jax.vmap(jax.grad(value(_indexed)))(X, index)),
            (
                jax.grad(lambda x: jnp.sum(jax.vmap(value(take))(x, index)))(X),
                jax.grad(lambda x: jnp.sum(jax.vmap(value(_indexed))(x, index)))(X),
            ),
            (
                jax.grad(lambda x: jnp.sum(jax.vmap(lambda index: value(take)(x, index))(index)))(X[0]),
                jax.grad(lambda x: jnp.sum(jax.vmap(lambda index: value(_indexed)(x, index))(index)))(X[0]),
            ),
            (
                jax.jacfwd(jax.grad(value(take)))(X[0], index[0]),
                jax.jacrev(jax.grad(value(_indexed)))(X[0], index[0]),
            ),
        )

    for one, two in pairs():
        np.testing.assert_allclose(one, two, rtol=1e-12)


def test_what_is_added_comes_on_top_also_twice_in_one_place():
    table, index = jnp.ones((4, 3)), jnp.array([[3], [-1], [3], [9]])
    rows = jnp.arange(12.0).reshape(4, 3)
    expected = np.ones((4, 3))
    expected[3] += np.asarray(rows[0] + rows[2])
    np.testing.assert_array_equal(add_into(table, rows, index), expected)
    # One table for all samples, or one row for all columns.
    wide = jnp.stack([index, jnp.array([[0], [1], [2], [3]])])
    together = jax.vmap(add_into, (None, None, 0))(table, rows, wide)
    np.testing.assert_array_equal(together[1], 1.0 + rows)
    np.testing.assert_array_equal(together[0], expected)
    narrow = take(jnp.arange(4.0)[:, None], jnp.array([[3, 0], [1, -1]]))
    np.testing.assert_array_equal(narrow, [[3.0, 0.0], [1.0, 0.0]])
    by_table, by_rows = jax.vjp(lambda table, rows: add_into(table, rows, index), table, rows)[1](table)
    np.testing.assert_array_equal(by_table, table)
    np.testing.assert_array_equal(by_rows, [[1.0] * 3, [0.0] * 3, [1.0] * 3, [0.0] * 3])
