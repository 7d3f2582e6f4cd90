"""Residuals travel from the forward to the backward pass in few arrays, and arrive as they were."""

import jax
import jax.numpy as jnp
import numpy as np

from saltation_torch._packing import pack
from saltation_torch._tensors import SMALL


def test_packed_residuals_are_few_and_come_back_as_they_were():
    inputs = [jnp.arange(3.0), jnp.ones((2, 2))]
    twice, wide = jnp.full((2, 3), 7.0), jnp.ones(SMALL + 1)
    kinds = [jnp.array([True, False]), jnp.array(4, jnp.int32), jnp.zeros((0, 2), jnp.int32), jax.random.key(0)]
    residuals = [inputs[1], twice, wide, jnp.arange(4.0), twice, *kinds]
    packing, packed = pack(residuals, inputs)
    # The wide one and the key as they are, then one array for each of three dtypes.
    assert len(packed) == 5
    found = packing.unpack(packed, inputs)
    assert found[0] is inputs[1]
    for new, old in zip(found[:-1], residuals[:-1], strict=True):
        assert new.dtype == old.dtype
        np.testing.assert_array_equal(new, old)
    np.testing.assert_array_equal(jax.random.key_data(found[-1]), jax.random.key_data(residuals[-1]))
