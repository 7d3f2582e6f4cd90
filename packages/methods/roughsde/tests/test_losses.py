"""Distances between samples of spike trains and of paths."""

import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from saltation_roughsde import (
    expected_signature_distance,
    first_spikes_mse,
    mmd_from_grams,
    mmd_squared,
    scoring_rule,
    signature_kernel,
    truncated_signature,
)

REFERENCE = json.loads((Path(__file__).parent / "data" / "sigkernel.json").read_text())["truncated_signature"]


def test_truncated_signature_of_the_reference():
    levels = truncated_signature(jnp.asarray(REFERENCE["path"]), depth=3)
    for k, level in enumerate(levels, start=1):
        np.testing.assert_allclose(level.reshape(-1), REFERENCE[f"level{k}"], rtol=1e-12, atol=1e-12)


def test_expected_signature_distance_of_the_reference():
    x, y = jnp.asarray(REFERENCE["path"])[None], jnp.asarray(REFERENCE["path2"])[None]
    np.testing.assert_allclose(expected_signature_distance(x, y), REFERENCE["loss_mean_sq_snnax"], rtol=1e-12)
    np.testing.assert_allclose(39 * expected_signature_distance(x, y), REFERENCE["loss_sum_sq"], rtol=1e-12)


def test_signature_kernel_is_the_inner_product_of_signatures(getkey):
    x, y = 0.4 * jax.random.normal(getkey(), (2, 4, 2))
    pairs = zip(truncated_signature(x, depth=9), truncated_signature(y, depth=9))
    np.testing.assert_allclose(1 + sum(jnp.sum(a * b) for a, b in pairs), signature_kernel(x, y), rtol=1e-7)


def linear(x, y):
    return x @ y.T


def test_mmd_of_a_linear_kernel_is_a_distance_of_means(getkey):
    x, y = jax.random.normal(getkey(), (6, 3)), 1 + jax.random.normal(getkey(), (4, 3))
    means = jnp.sum((jnp.mean(x, axis=0) - jnp.mean(y, axis=0)) ** 2)
    np.testing.assert_allclose(mmd_squared(x, y, linear, biased=True), means, rtol=1e-12)
    # The unbiased one lacks the variance of the two means.
    variance = sum(jnp.sum(jnp.var(z, axis=0, ddof=1)) / len(z) for z in (x, y))
    np.testing.assert_allclose(mmd_squared(x, y, linear), means - variance, rtol=1e-10)


def test_unbiased_is_unbiased(getkey):
    x, y = jax.random.normal(getkey(), (2, 4000, 3, 1))
    values = jax.vmap(lambda x, y: mmd_squared(x, y, linear))(x, y)
    assert abs(jnp.mean(values)) < 4 * jnp.std(values) / 4000**0.5


def test_scoring_rule_is_an_mmd_but_for_the_observations(getkey):
    x, y = jax.random.normal(getkey(), (6, 3)), jax.random.normal(getkey(), (4, 3))
    kyy = linear(y, y)
    of_observations = (jnp.sum(kyy) - jnp.trace(kyy)) / 12
    np.testing.assert_allclose(scoring_rule(x, y, linear) + of_observations, mmd_squared(x, y, linear), rtol=1e-12)


def test_first_spikes():
    x = jnp.array([[[0.1, 0.5]], [[0.3, jnp.inf]]])
    y = jnp.array([[[0.2, 0.9]]])
    value, gradient = jax.value_and_grad(lambda x: first_spikes_mse(x, y, silent=1.0))(x)
    np.testing.assert_allclose(value, 0.5 * ((0.2 - 0.2) ** 2 + (0.75 - 0.9) ** 2))
    np.testing.assert_allclose(gradient, [[[0.0, -0.075]], [[0.0, 0.0]]], atol=1e-12)


def test_bad_input_says_what_to_do():
    with pytest.raises(ValueError, match="at least two"):
        mmd_from_grams(jnp.ones((1, 1)), jnp.ones((1, 2)), jnp.ones((2, 2)))
    with pytest.raises(ValueError, match="at least two"):
        scoring_rule(jnp.ones((1, 2)), jnp.ones((3, 2)), linear)
    with pytest.raises(ValueError, match="same n"):
        first_spikes_mse(jnp.ones((2, 1, 2)), jnp.ones((2, 1, 3)), silent=1.0)
    with pytest.raises(ValueError, match="dimension 2 and 3"):
        expected_signature_distance(jnp.ones((1, 4, 2)), jnp.ones((1, 4, 3)))
    with pytest.raises(ValueError, match="depth=0"):
        truncated_signature(jnp.ones((4, 2)), depth=0)
