"""Comparing trees of arrays, with words when they differ."""

from typing import Any

import jax
import numpy as np


def check_close(actual: Any, expected: Any, what: str, *, rtol: float = 1e-9, atol: float = 1e-12) -> None:
    """Assert that two trees have one structure and near leaves; `inf` equals `inf`, NaN equals nothing.

    `atol` is relative to the largest finite number of each leaf.
    """
    got, wanted = jax.tree.structure(actual), jax.tree.structure(expected)
    assert got == wanted, f"{what}: got the structure {got}; expected {wanted}."
    pairs = zip(jax.tree_util.tree_leaves_with_path(actual), jax.tree.leaves(expected), strict=True)
    for (path, leaf), other in pairs:
        leaf, other = np.asarray(leaf), np.asarray(other)
        name = f"{what}{jax.tree_util.keystr(path)}"
        assert leaf.shape == other.shape, f"{name}: got the shape {leaf.shape}; expected {other.shape}."
        scale = np.abs(other[np.isfinite(other)]).max(initial=0.0)
        np.testing.assert_allclose(
            leaf, other, rtol=rtol, atol=atol * max(1.0, float(scale)), equal_nan=False, err_msg=name
        )


def check_finite(tree: Any, what: str) -> None:
    """Assert that no number of a tree is NaN or infinite."""
    for path, leaf in jax.tree_util.tree_leaves_with_path(tree):
        bad = ~np.isfinite(np.asarray(leaf))
        assert not bad.any(), f"{what}{jax.tree_util.keystr(path)}: {bad.sum()} of {bad.size} are NaN or infinite."
