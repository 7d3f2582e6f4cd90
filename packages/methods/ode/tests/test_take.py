"""Reading entries of an array: the same as indexing, in every order of batching and differentiation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from saltation_ode._take import take

X = jnp.arange(24.0).reshape(2, 4, 3) ** 2
ROWS = jnp.array([[3, -1, 0, 7, 1], [2, 0, -1, 1, 3]])  # two are nowhere
OWN = jnp.stack([ROWS, ROWS[:, ::-1], ROWS], axis=-1)


def _indexed(x, index):
    inside = (index >= 0) & (index < x.shape[0])
    index = jnp.where(inside, index, 0)
    if index.ndim == 1:
        return jnp.where(inside[:, None], x[index], 0.0)
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
