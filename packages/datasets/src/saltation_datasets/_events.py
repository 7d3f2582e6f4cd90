"""Lists of events of different lengths, as one array."""

import numpy as np


def padded_events(samples: list[tuple[np.ndarray, np.ndarray]], room: int) -> np.ndarray:
    """Times and units of each sample as `[n, room, 2]`, padded by `(inf, -1)`."""
    inputs = np.empty((len(samples), room, 2), np.float32)
    inputs[..., 0], inputs[..., 1] = np.inf, -1
    for row, (times, units) in enumerate(samples):
        inputs[row, : len(times), 0], inputs[row, : len(units), 1] = times, units
    return inputs
