"""A period of a sine, to regress on."""

from pathlib import Path

import numpy as np

from saltation import Dataset, Split

from ._sizes import check_size


def load_sine(
    *,
    data_dir: str | Path | None = None,
    download: bool = False,
    train_size: int = 1000,
    validation_size: int = 200,
    test_size: int = 500,
) -> Dataset:
    """Points of one period of a sine, `sin(2 pi x)` for `x` in [0, 1]: the least of regressions.

    **Arguments**

    - `data_dir`, `download`: not used, the data are generated.
    - `train_size`, `validation_size`, `test_size`: the numbers of samples, from the seeds 42, 41 and 40.

    **Returns** a `saltation.Dataset` without classes: inputs `[n, 1]`, targets `[n]`, as float32.

    **Raises** `ValueError`: a size that is no number of samples.

    **Example**

    ```python
    from saltation_datasets import load_sine

    assert load_sine(train_size=10).train.targets.shape == (10,)
    ```
    """
    del data_dir, download
    check_size("train_size", train_size, minimum=1)
    check_size("validation_size", validation_size, minimum=0)
    check_size("test_size", test_size, minimum=0)

    def draw(size: int, seed: int) -> Split:
        x = np.random.RandomState(seed).uniform(size=(size, 1))
        return Split(x.astype(np.float32), np.sin(2 * np.pi * x[:, 0]).astype(np.float32))

    return Dataset("sine", draw(train_size, 42), draw(validation_size, 41), draw(test_size, 40), classes=())
