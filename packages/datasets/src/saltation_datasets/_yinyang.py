"""The Yin-Yang data set: points of a disc, to be told apart by a small non-linear network.

The generator is the published one (Kriener, Göltz, Petrovici: The Yin-Yang dataset, NICE 2022), draw for
draw.
"""

import math
from pathlib import Path

import numpy as np

from saltation import Dataset, Split

from ._sizes import check_size

_CLASSES = ("yin", "yang", "dot")
_YIN, _YANG, _DOT = 0, 1, 2
_R_SMALL = 0.1  # radius of a dot
_R_BIG = 0.5  # radius of the disc


def load_yinyang(
    *,
    data_dir: str | Path | None = None,
    download: bool = False,
    train_size: int = 5000,
    validation_size: int = 1000,
    test_size: int = 1000,
) -> Dataset:
    """The published Yin-Yang data set: training, validation and test samples from seeds 42, 41 and 40.

    A sample is `(x, y, 1 - x, 1 - y)`, a point of the disc of radius 0.5 around (0.5, 0.5) and its mirror
    image, in float64; the classes are yin, yang and dot. A smaller split is the beginning of the published
    one.

    **Arguments**

    - `data_dir`, `download`: not used, the data are generated.
    - `train_size`, `validation_size`, `test_size`: the numbers of samples.

    **Returns** a `saltation.Dataset`: inputs `[n, 4]`, targets `[n]`.

    **Raises** `ValueError`: a size that is no number of samples.

    **Source**: Kriener, Göltz, Petrovici: The Yin-Yang dataset, NICE 2022.

    **Example**

    ```python
    from saltation_datasets import load_yinyang

    dataset = load_yinyang(train_size=100)
    assert dataset.train.inputs.shape == (100, 4)
    ```
    """
    del data_dir, download
    check_size("train_size", train_size, minimum=1)
    check_size("validation_size", validation_size, minimum=0)
    check_size("test_size", test_size, minimum=0)
    return Dataset(
        name="yinyang",
        train=generate_yinyang(train_size, seed=42),
        validation=generate_yinyang(validation_size, seed=41),
        test=generate_yinyang(test_size, seed=40),
        classes=_CLASSES,
    )


def generate_yinyang(size: int, *, seed: int) -> Split:
    """Draw Yin-Yang samples: for each a class first, then points of the square until one has that class.

    **Arguments**

    - `size`: the number of samples.
    - `seed`: of the `numpy.random.RandomState` that draws, whose numbers NumPy keeps the same for good.

    **Returns** a `saltation.Split`: inputs `[size, 4]` = `(x, y, 1 - x, 1 - y)` in float64, targets `[size]`.

    **Raises** `ValueError`: a negative size.

    **Example**

    ```python
    from saltation_datasets import generate_yinyang

    more = generate_yinyang(200, seed=7)
    assert more.inputs.shape == (200, 4)
    ```
    """
    check_size("size", size, minimum=0)
    random = np.random.RandomState(seed)
    inputs = np.empty((size, 4), dtype=np.float64)
    targets = np.empty(size, dtype=np.int32)
    for sample in range(size):
        target = random.randint(3)
        x, y = _draw_point(random, target)
        inputs[sample] = (x, y, 1.0 - x, 1.0 - y)
        targets[sample] = target
    return Split(inputs=inputs, targets=targets)


def _draw_point(random: np.random.RandomState, target: int) -> tuple[float, float]:
    while True:
        # Two draws of Python floats are the same numbers as one `rand(2)`, and faster to compute with.
        x, y = random.random_sample(), random.random_sample()
        if math.sqrt((x - _R_BIG) ** 2 + (y - _R_BIG) ** 2) <= _R_BIG and _class_of(x, y) == target:
            return x, y


def _class_of(x: float, y: float) -> int:
    right = math.sqrt((x - 1.5 * _R_BIG) ** 2 + (y - _R_BIG) ** 2)
    left = math.sqrt((x - 0.5 * _R_BIG) ** 2 + (y - _R_BIG) ** 2)
    if right < _R_SMALL or left < _R_SMALL:
        return _DOT
    # The published code's comparisons, kept as they are: they decide the class of points on a border.
    in_right_dot = right <= _R_SMALL
    in_left_half = _R_SMALL < left <= 0.5 * _R_BIG
    in_upper_half = y > _R_BIG and right > 0.5 * _R_BIG
    return _YANG if in_right_dot or in_left_half or in_upper_half else _YIN
