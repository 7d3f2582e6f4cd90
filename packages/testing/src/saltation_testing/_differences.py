"""Gradients against central differences."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from ._compare import check_finite


def check_gradient(
    function: Callable[[Any], tuple[Any, Any]],
    gradient: Any,
    at: Any,
    *,
    what: str = "gradient",
    step: float = 3e-5,
    rtol: float = 1e-5,
    atol: float = 1e-6,
    entries: int = 6,
    seed: int = 0,
) -> None:
    """Assert that a gradient is what central differences of fourth order say.

    **Arguments:**

    - `function`: takes a tree like `at` to `(value, signature)`, a number and a tree of arrays. A difference
      counts only if the signature, such as which spikes there are, is the same at all four points.
    - `gradient`: a tree like `at`, `None` where there is nothing to differentiate.
    - `step`: the step, relative to the largest number of the array.
    - `rtol`, `atol`: tolerances, `atol` relative to the largest entry of the array's gradient.
    - `entries`: how many entries of each array are tried, at random.

    **Raises:** `AssertionError` for a gradient that is wrong or not finite, or if at most half of the entries could be
    compared.
    """
    check_finite(gradient, what)
    _, signature = function(at)
    expected = _bytes(signature)
    leaves = jax.tree_util.tree_leaves_with_path(eqx.filter(at, eqx.is_inexact_array))
    slopes = {jax.tree_util.keystr(path): leaf for path, leaf in jax.tree_util.tree_leaves_with_path(gradient)}
    rng = np.random.default_rng(seed)
    tried = compared = 0
    for path, leaf in leaves:
        name = jax.tree_util.keystr(path)
        values = np.asarray(leaf)
        usable = np.flatnonzero(np.isfinite(values) & _movable(name, values, step))
        size = step * (np.abs(values[np.isfinite(values)]).max(initial=0.0) or 1.0)
        slope = np.asarray(slopes[name])
        scale = np.abs(slope).max(initial=0.0)
        for entry in rng.permutation(usable)[:entries]:
            index = np.unravel_index(entry, values.shape)
            ends = [function(_moved(at, name, index, k * size)) for k in (-2, -1, 1, 2)]
            tried += 1
            if any(_bytes(signature) != expected for _, signature in ends):
                continue
            compared += 1
            far_down, down, up, far_up = (float(value) for value, _ in ends)
            difference = (8 * (up - down) - (far_up - far_down)) / (12 * size)
            error = abs(difference - slope[index])
            assert error <= rtol * max(abs(difference), abs(float(slope[index]))) + atol * scale, (
                f"{what}: with respect to {name}[{', '.join(map(str, index))}] it is {slope[index]}, but central "
                f"differences say {difference}."
            )
    assert 2 * compared > tried, (
        f"{what}: only {compared} of {tried} differences could be compared, because spikes appear or disappear within "
        "a step. Choose other weights, or a smaller `step`."
    )


def _movable(name: str, values: np.ndarray, step: float) -> np.ndarray:
    """Which entries can be moved by two steps both ways and mean the same: not times at 0, or about to change order."""
    free = np.ones(values.shape, bool)
    size = 3 * step * (np.abs(values[np.isfinite(values)]).max(initial=0.0) or 1.0)
    if name.endswith((".time", ".start", ".raw")):
        free &= np.abs(values) > size
    if name.endswith((".time", ".start")):
        with np.errstate(invalid="ignore"):
            apart = np.diff(values) > size
        free[1:] &= apart | ~np.isfinite(values[1:])
        free[:-1] &= apart | ~np.isfinite(values[1:])
    return free


def _moved(tree: Any, name: str, index: tuple, by: float) -> Any:
    def move(path, leaf):
        if jax.tree_util.keystr(path) != name:
            return leaf
        if jnp.ndim(leaf) == 0:
            return leaf + float(by)  # of the same type, weak or not: what is compiled stays compiled
        values = np.array(leaf)
        values[index] += by
        return jnp.asarray(values)

    return jax.tree_util.tree_map_with_path(move, tree)


def _bytes(signature: Any) -> list[bytes]:
    return [np.asarray(leaf).tobytes() for leaf in jax.tree.leaves(signature)]
