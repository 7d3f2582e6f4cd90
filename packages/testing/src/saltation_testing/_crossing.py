"""Threshold crossings of a closed form, against a fine grid."""

from collections.abc import Callable
from typing import Any

import jax.numpy as jnp
import numpy as np


def check_crossing(crossing: Any, guard: Callable, duration: Any, what: str) -> None:
    """Against a fine grid: finite crossings are zeros of the guard, and there is none before them."""
    crossing, duration = np.asarray(crossing), np.asarray(duration)
    fractions = jnp.linspace(0.0, 1.0, 801) ** 2  # finer near 0, where fast time constants act
    grid = fractions.reshape(-1, *[1] * duration.ndim) * duration[None]
    values = np.asarray(guard(grid)[0])
    rises = (values[:-1] < 0) & (values[1:] >= 0)
    first = np.where(
        rises.any(axis=0), np.take_along_axis(np.asarray(grid)[1:], rises.argmax(axis=0)[None], 0)[0], np.inf
    )
    found = np.isfinite(crossing)
    assert (crossing[found] > 0).all() and (crossing <= duration)[found].all(), f"{what}: not in (0, duration]."
    assert (crossing <= first * (1 + 1e-9) + 1e-12).all(), f"{what}: {crossing}; a grid sees it at {first} or before."
    at = jnp.asarray(np.where(found, crossing, 0.0))
    scale = 1e-8 * np.abs(values).max()
    level, slope = (x[0] for x in guard(at[None]))
    assert (np.abs(np.asarray(level))[found] <= scale).all(), f"{what}: the guard is {level} there; expected 0."
    assert (np.asarray(slope)[found] >= -scale).all(), f"{what}: the guard falls there, with slope {slope}."
