"""Currents: constant, or piecewise constant in time."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import saltation as st


def test_a_constant_current():
    current = st.Current([1.5, 0.0])
    np.testing.assert_array_equal(current.value, [1.5, 0.0])
    assert current.start is None and current.size == 2


def test_a_pulse():
    current = st.Current(jnp.array([[1.5, 2.0], [0.0, 1.0]]), start=[0.0, 10.0])
    np.testing.assert_array_equal(current.start, [0.0, 10.0])
    assert current.size == 2


def test_precision_is_kept_and_integers_become_floats():
    current = st.Current(np.ones((1, 2), np.float32), start=np.zeros(1))
    assert current.value.dtype == current.start.dtype == jnp.float32
    assert st.Current(np.array([1, 2])).value.dtype == jnp.float64


def test_a_batch_is_a_vmap():
    batch = jax.vmap(st.Current)(jnp.ones((3, 2)))
    assert batch.value.shape == (3, 2) and batch.size == 2


@pytest.mark.parametrize(
    ("value", "start", "message"),
    [
        (np.ones((2, 3)), None, r"shape \(2, 3\) and no start; expected \[n\]"),
        (np.ones((2, 3)), np.zeros(3), r"\(2, 3\) and start of shape \(3,\); expected \[S, n\]"),
        (np.ones(2), np.zeros(2), r"expected \[S, n\]"),
        (np.array([1.0, np.nan]), None, "not finite"),
        (np.ones((2, 1)), np.array([1.0, 0.5]), "ascending times >= 0"),
        (np.ones((2, 1)), np.array([-1.0, 0.5]), "ascending times >= 0"),
        (np.ones((2, 1)), np.array([0.0, np.inf]), "finite"),
    ],
)
def test_current_refuses(value, start, message):
    with pytest.raises(ValueError, match=message):
        st.Current(value, start)
