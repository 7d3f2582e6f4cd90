"""Bursts of 700 units at times that depend on the class: generated, and of the size of the Heidelberg digits."""

from pathlib import Path

import numpy as np

from saltation import Dataset, Split

from ._events import padded_events
from ._sizes import check_size

UNITS, CLASSES = 700, 20
_GROUPS, _SLOTS = 70, 10  # groups of ten units, seven of which burst at a time
_FIRST, _LAST = 80.0, 920.0  # ms, of the bursts
_BURST, _JITTER = 12.0, 8.0  # ms: how long a burst is, and how late a group of a sample
_SHIFT, _SPEED = 30.0, 0.05  # how a sample is shifted and stretched as a whole, ms and relative
_BACKGROUND = 0.2  # the share of a unit's events that are no burst's
_TEMPLATES = 1000  # the seed of what the classes are


def load_shd_like(
    *,
    data_dir: str | Path | None = None,
    download: bool = False,
    train_size: int = 2000,
    validation_size: int = 250,
    test_size: int = 500,
    events: int = 8000,
    t1: float = 1000.0,
    count_share: float = 0.01,
) -> Dataset:
    """Spike trains of 700 units in 20 classes that differ in when units burst, hardly in how often.

    In groups of ten, units burst once a sample, seven groups at a time; which ones burst together, and in which order,
    is the class's own. Each sample is shifted and stretched as a whole, each group of it moved by a jitter, and a fifth
    of the events lie anywhere. The number of events of a unit is a Poisson number; its mean differs from class to class
    by `count_share`, so that counting tells little.

    **Arguments**

    - `data_dir`, `download`: not used, the data are generated.
    - `train_size`, `validation_size`, `test_size`: the numbers of samples, from the seeds 42, 41 and 40.
    - `events`: of a sample, in the mean; as in the Spiking Heidelberg Digits by default.
    - `t1`: the length of a sample, ms.
    - `count_share`: how much a unit's mean number of events differs between classes, relative, a standard deviation.

    **Returns** a `saltation.Dataset`: inputs `[n, events, 2]` as float32: time in ms and unit, in order of time and
    padded by `(inf, -1)`; targets `[n]`. 2750 samples take 0.2 GB.

    **Raises** `ValueError`: a size that is no number of samples or events, or a number out of its range.

    **Source**: after Cramer et al., IEEE TNNLS 33 (2022), whose recordings have this shape.

    **Example**

    ```python
    from saltation_datasets import load_shd_like

    assert load_shd_like(train_size=4, test_size=0, validation_size=0).train.inputs.shape[2] == 2
    ```
    """
    del data_dir, download
    check_size("train_size", train_size, minimum=1)
    check_size("validation_size", validation_size, minimum=0)
    check_size("test_size", test_size, minimum=0)
    check_size("events", events, minimum=1)
    if not (0 < t1 < np.inf and 0 <= count_share < 1):
        raise ValueError(
            f"shd_like: got t1={t1} and count_share={count_share}, expected a positive length and a share in [0, 1)."
        )
    random = np.random.RandomState(_TEMPLATES)
    slots = np.stack([random.permutation(_GROUPS) % _SLOTS for _ in range(CLASSES)])
    share = np.clip(1.0 + count_share * random.normal(size=(CLASSES, UNITS)), 0.0, None)
    rate = events * share / np.sum(share, axis=1, keepdims=True)

    def draw(size: int, seed: int):
        random = np.random.RandomState(seed)
        targets = random.randint(CLASSES, size=size).astype(np.int32)
        return [_sample(random, slots[target], rate[target], t1) for target in targets], targets

    drawn = draw(train_size, 42), draw(validation_size, 41), draw(test_size, 40)
    room = max(len(time) for samples, _ in drawn for time, _ in samples)
    train, validation, test = (Split(padded_events(samples, room), targets) for samples, targets in drawn)
    return Dataset("shd_like", train, validation, test, classes=tuple(f"pattern {label}" for label in range(CLASSES)))


def _sample(random: np.random.RandomState, slots: np.ndarray, rate: np.ndarray, t1: float):
    """Times in order, and the units."""
    unit = np.repeat(np.arange(UNITS), random.poisson(rate))
    length = _LAST - _FIRST
    at = _FIRST + length * slots / (_SLOTS - 1) + _JITTER * random.normal(size=_GROUPS)
    middle = 0.5 * (_FIRST + _LAST)
    at = middle + (at - middle) * (1.0 + _SPEED * random.normal()) + _SHIFT * random.normal()
    time = at[unit * _GROUPS // UNITS] + _BURST * random.normal(size=len(unit))
    anywhere = random.uniform(size=len(unit)) < _BACKGROUND
    # A burst that reaches beyond the sample is folded back: an event lost would be one to count.
    time = np.where(anywhere, random.uniform(0.0, 1000.0, size=len(unit)), 1000.0 - np.abs(1000.0 - np.abs(time)))
    order = np.argsort(time, kind="stable")
    return (np.clip(time, 0.0, 999.9) * (t1 / 1000.0))[order], unit[order]
