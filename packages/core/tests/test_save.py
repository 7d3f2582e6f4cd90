"""What a solution keeps."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import saltation as st


def test_defaults_keep_spikes_only():
    save = st.Save()
    assert save.spikes and not save.rates and save.states_at is None


@pytest.mark.parametrize("times", [[1.0, 2.0], np.array([1, 2]), (0.0, 0.0, 3.0), 5.0, jnp.array([1.0, 2.0])])
def test_times_become_a_vector_of_floats(times):
    save = st.Save(states_at=times)
    np.testing.assert_array_equal(save.states_at, np.atleast_1d(times))
    assert save.states_at.dtype == jnp.float64
    assert st.Save(states_at=jnp.ones(2, jnp.float32)).states_at.dtype == jnp.float32


@pytest.mark.parametrize("times", [[2.0, 1.0], [-1.0], [np.nan], [np.inf], [[1.0, 2.0]]])
def test_save_refuses(times):
    with pytest.raises(ValueError, match="states_at = .*; expected finite, ascending times >= 0. Sort them first"):
        st.Save(states_at=times)


def test_it_is_data_for_jit_and_vmap():
    times = jax.vmap(lambda t: st.Save(states_at=t).states_at * 2.0)(jnp.ones((3, 2)))
    assert times.shape == (3, 2)
    assert jax.jit(lambda save: save.states_at + 1.0)(st.Save(states_at=[1.0])) == 2.0
