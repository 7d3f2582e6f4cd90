"""The exclusive or: of two inputs at once, and of two that come one after the other."""

from pathlib import Path

import numpy as np

from saltation import Dataset, Split

from ._sizes import check_size

_CLASSES = ("equal", "different")


def load_xor(*, data_dir: str | Path | None = None, download: bool = False, repeat: int = 25) -> Dataset:
    """The exclusive or of two bits: four samples, which are all there are.

    **Arguments**

    - `data_dir`, `download`: not used, the data are generated.
    - `repeat`: how often the four stand in the training split, so that an epoch has some steps.

    **Returns** a `saltation.Dataset`: inputs `[n, 2]` of zeros and ones as float32, targets `[n]`: whether they differ.
    Validation and test split are the four.

    **Raises** `ValueError`: a `repeat` below 1.

    **Example**

    ```python
    from saltation_datasets import load_xor

    assert load_xor().test.targets.tolist() == [0, 1, 1, 0]
    ```
    """
    del data_dir, download
    check_size("repeat", repeat, minimum=1)
    inputs = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32)
    targets = np.array([0, 1, 1, 0], np.int32)
    four = Split(inputs, targets)
    return Dataset("xor", Split(np.tile(inputs, (repeat, 1)), np.tile(targets, repeat)), four, four, _CLASSES)


def load_delayed_xor(
    *,
    data_dir: str | Path | None = None,
    download: bool = False,
    min_delay: float = 20.0,
    max_delay: float = 60.0,
    train_size: int = 2000,
    validation_size: int = 500,
    test_size: int = 1000,
) -> Dataset:
    """The delayed-memory exclusive or: two bits, the second one some time after the first, which must be remembered.

    **Arguments**

    - `data_dir`, `download`: not used, the data are generated.
    - `min_delay`, `max_delay`: how much later the second bit comes, uniform between the two, in ms.
    - `train_size`, `validation_size`, `test_size`: the numbers of samples, from the seeds 42, 41 and 40.

    **Returns** a `saltation.Dataset`: inputs `[n, 3]`: the first bit, the second bit, and the delay; as float32.
    Targets `[n]`: whether the bits differ.

    **Raises** `ValueError`: delays that are negative or out of order, or a size that is no number of samples.

    **Example**

    ```python
    from saltation_datasets import load_delayed_xor

    first, second, delay = load_delayed_xor().train.inputs[0]
    ```
    """
    del data_dir, download
    if not 0 <= min_delay <= max_delay:
        raise ValueError(
            f"delayed_xor: got min_delay={min_delay} and max_delay={max_delay}, expected 0 <= min_delay <= max_delay."
        )
    check_size("train_size", train_size, minimum=1)
    check_size("validation_size", validation_size, minimum=0)
    check_size("test_size", test_size, minimum=0)

    def draw(size: int, seed: int) -> Split:
        random = np.random.RandomState(seed)
        bits = random.randint(2, size=(size, 2))
        delay = random.uniform(min_delay, max_delay, (size, 1))
        return Split(
            np.concatenate([bits, delay], axis=1).astype(np.float32), (bits[:, 0] ^ bits[:, 1]).astype(np.int32)
        )

    return Dataset("delayed_xor", draw(train_size, 42), draw(validation_size, 41), draw(test_size, 40), _CLASSES)
