"""Training samples change a little, and stay what they are."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import saltation as st


def test_noise_has_its_deviation_and_stays_in_range(getkey):
    noisy = st.noisy(jnp.full(4000, 0.5), getkey(), noise=0.1)
    np.testing.assert_allclose(noisy.std(), 0.1, rtol=0.1)
    wild = st.noisy(jnp.full(4000, 0.5), getkey(), noise=3.0)
    assert wild.min() == 0.0 and wild.max() == 1.0


def test_an_image_moves_by_every_shift_and_loses_nothing_but_its_edge(getkey):
    image = jnp.zeros((6, 5, 2)).at[2, 2].set(jnp.array([1.0, 3.0]))
    moved = jax.vmap(lambda key: st.shifted(image, key, pixels=1))(jax.random.split(getkey(), 200))
    assert moved.shape == (200, 6, 5, 2)
    places = {(int(y), int(x)) for _, y, x in zip(*np.nonzero(moved[..., 0]), strict=True)}
    assert places == {(y, x) for y in (1, 2, 3) for x in (1, 2, 3)}
    np.testing.assert_array_equal(moved.sum((1, 2)), jnp.broadcast_to(jnp.array([1.0, 3.0]), (200, 2)))


def test_what_is_no_image_is_refused(getkey):
    for x, pixels in ((jnp.zeros(5), 1), (jnp.zeros((3, 3)), 3), (jnp.zeros((3, 3)), -1)):
        with pytest.raises(ValueError, match="expected an image"):
            st.shifted(x, getkey(), pixels=pixels)
