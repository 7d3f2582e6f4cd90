"""The 8 x 8 digits: real handwriting, small enough to be packaged, so it is there without a network."""

import gzip
from importlib import resources
from pathlib import Path

import numpy as np

from saltation import Dataset, Split

from ._sizes import check_size

_INK = 16.0  # a pixel counts the ink in a block of 4 x 4


def load_digits(
    *,
    data_dir: str | Path | None = None,
    download: bool = False,
    validation_size: int = 300,
    test_size: int = 300,
    seed: int = 0,
) -> Dataset:
    """Handwritten digits, 1,797 images of 8 x 8 pixels, in a fixed split that is stratified by class.

    The collection has no published split into three of its own: this one is drawn by `seed`. In each split
    every class keeps its share to within one image or two.

    **Arguments**

    - `data_dir`, `download`: not used, the data come with the package.
    - `validation_size`, `test_size`: the numbers of images set aside; the others are trained on.
    - `seed`: of the split.

    **Returns** a `saltation.Dataset`: inputs `[n, 8, 8]` as float32 in [0, 1], targets `[n]`.

    **Raises** `ValueError`: sizes that leave no image to train on.

    **Source**: Alpaydin, Kaynak: Optical Recognition of Handwritten Digits, UCI Machine Learning Repository,
    1998, https://doi.org/10.24432/C50P49 (its test set), licensed under CC BY 4.0.

    **Example**

    ```python
    from saltation_datasets import load_digits

    dataset = load_digits()
    assert dataset.train.inputs.shape == (1197, 8, 8)
    ```
    """
    del data_dir, download
    images, labels = _read_table()
    check_size("test_size", test_size, minimum=0, maximum=len(labels) - 1)
    check_size("validation_size", validation_size, minimum=0, maximum=len(labels) - 1 - test_size)
    order = _stratified_order(labels, seed)
    test, validation, train = np.split(order, [test_size, test_size + validation_size])
    return Dataset(
        name="digits",
        train=_take(images, labels, train),
        validation=_take(images, labels, validation),
        test=_take(images, labels, test),
        classes=tuple(str(digit) for digit in range(10)),
    )


def _read_table() -> tuple[np.ndarray, np.ndarray]:
    packed = resources.files("saltation_datasets").joinpath("data", "digits.csv.gz").read_bytes()
    table = np.loadtxt(gzip.decompress(packed).decode("ascii").splitlines(), delimiter=",", dtype=np.int32)
    images = (table[:, :64] / _INK).astype(np.float32).reshape(-1, 8, 8)
    return images, table[:, 64]


def _stratified_order(labels: np.ndarray, seed: int) -> np.ndarray:
    """A shuffled order in which every stretch holds the classes in their proportions."""
    # RandomState, because NumPy promises that its numbers never change.
    shuffled = np.random.RandomState(seed).permutation(len(labels))
    position = np.empty(len(labels), dtype=np.float64)
    for label in np.unique(labels):
        members = shuffled[labels[shuffled] == label]
        # Each class is spread evenly over (0, 1); sorting by that position deals the classes out like cards.
        position[members] = (np.arange(len(members)) + 0.5) / len(members)
    return shuffled[np.argsort(position[shuffled], kind="stable")]


def _take(images: np.ndarray, labels: np.ndarray, chosen: np.ndarray) -> Split:
    return Split(inputs=images[chosen], targets=labels[chosen])
