"""Where the units of a population are: NIR numbers images channels first, Saltation channels last."""

from collections.abc import Sequence
from typing import Any

import numpy as np

Shape = tuple[int, ...]


def flat(values: Any, shape: Shape) -> np.ndarray:
    """Values of NIR's `shape` in Saltation's order, `[n]`; one value is one for all."""
    values = np.broadcast_to(np.asarray(values, np.float64), shape)
    return (values.transpose(1, 2, 0) if len(shape) == 3 else values).reshape(-1)


def unflat(values: Any, shape: Shape) -> np.ndarray:
    """Values `[n]` (or one for all) in Saltation's order as NIR's `shape`."""
    if len(shape) != 3:
        return np.broadcast_to(np.asarray(values), shape).copy()
    channels, height, width = shape
    return (
        np.broadcast_to(np.ravel(values), channels * height * width).reshape(height, width, channels).transpose(2, 0, 1)
    )


def population(shape: Shape) -> Shape:
    """NIR's shape of a population as Saltation's."""
    return (*shape[1:], shape[0]) if len(shape) == 3 else shape


def channels_first(shape: Shape) -> Shape:
    """Saltation's shape of an image as NIR's."""
    return (shape[2], shape[0], shape[1])


def flattening(shape: Shape) -> np.ndarray | None:
    """For each unit in Saltation's order its place in NIR's flattened order; `None` if they are the same."""
    if len(shape) != 3:
        return None
    order = np.arange(int(np.prod(shape))).reshape(shape).transpose(1, 2, 0).reshape(-1)
    return None if (np.diff(order) == 1).all() else order


def as_shape(shape: Sequence[int] | np.ndarray) -> Shape:
    """A shape as integers, without the batch axis of 1 that some exporters leave in front."""
    sides = tuple(int(side) for side in np.atleast_1d(shape))
    return sides[1:] if len(sides) in (2, 4) and sides[0] == 1 else sides


def uniform(values: np.ndarray) -> Any:
    """One Python number if all values are the same one, else the array."""
    values = np.asarray(values, np.float64)
    return float(values.flat[0]) if values.size and (values == values.flat[0]).all() else values
