"""Synapses: linear maps, of a spike or of rates."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import saltation as st

WEIGHT = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])


def test_a_kick_is_a_row_and_padding_is_nothing():
    dense = st.Dense(WEIGHT)
    assert dense.sizes() == (2, 3)
    np.testing.assert_array_equal(dense.kick(jnp.array(1)), WEIGHT[1])
    # -1 is padding, not the last unit.
    np.testing.assert_array_equal(dense.kick(jnp.array(-1)), np.zeros(3))
    kicks = jax.jit(jax.vmap(dense.kick))(jnp.array([0, -1, 1]))
    np.testing.assert_array_equal(kicks, [WEIGHT[0], np.zeros(3), WEIGHT[1]])


def test_rates_are_the_sum_of_kicks():
    np.testing.assert_allclose(st.Dense(WEIGHT).apply(jnp.array([2.0, 0.5])), 2 * WEIGHT[0] + 0.5 * WEIGHT[1])


def test_gradient_of_padding_is_zero():
    gradient = jax.grad(lambda dense: jnp.sum(jax.vmap(dense.kick)(jnp.array([0, -1, 0]))))(st.Dense(WEIGHT))
    np.testing.assert_array_equal(gradient.weight, [[2.0] * 3, [0.0] * 3])


def test_precision_is_kept():
    assert st.Dense(WEIGHT.astype(np.float32)).kick(jnp.array(0)).dtype == jnp.float32
    assert st.Dense([[1, 2]]).weight.dtype == jnp.float64


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        (np.ones(3), r"shape \(3,\); expected \[pre, post\]"),
        (np.array([[1.0, np.nan]]), "NaN or infinite; expected finite"),
        (np.array([[np.inf]]), "NaN or infinite"),
    ],
)
def test_dense_refuses(weight, message):
    with pytest.raises(ValueError, match=message):
        st.Dense(weight)
