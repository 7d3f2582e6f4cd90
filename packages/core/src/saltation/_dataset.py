"""`Dataset`: what an experiment trains, validates and tests on, as plain NumPy arrays."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False, repr=False)
class Split:
    """Samples and their targets, sample for sample.

    **Arguments**

    - `inputs`: array `[n, ...]`, one sample per row of the first axis; images are float32 in [0, 1].
    - `targets`: array `[n]`; the class of each sample as int32, or a real number to regress on; `[n, ...]` for
      real numbers of any shape, such as the spike times of a recorded train (`inf` for none).

    **Raises**

    - `ValueError`: not NumPy arrays, another number of targets than of inputs, or a NaN.

    **Example**

    ```python
    import numpy as np
    from saltation import Split

    split = Split(inputs=np.zeros((3, 2), np.float32), targets=np.array([0, 1, 1], np.int32))
    assert len(split) == 3
    ```
    """

    inputs: np.ndarray
    targets: np.ndarray

    def __post_init__(self) -> None:
        for field, array in (("inputs", self.inputs), ("targets", self.targets)):
            if not isinstance(array, np.ndarray):
                raise ValueError(
                    f"Split: got {field} of type {type(array).__name__}, expected a numpy.ndarray. "
                    f"Fix: pass np.asarray({field})."
                )
            if np.issubdtype(array.dtype, np.inexact) and np.isnan(array).any():
                raise ValueError(
                    f"Split: got NaN in {field}, expected numbers only. "
                    "Fix: drop the samples that are undefined (use inf for a spike that never comes)."
                )
        if self.inputs.ndim == 0:
            raise ValueError(
                "Split: got inputs without axes, expected an array [n, ...]. "
                "Fix: put the samples along the first axis, inputs[None] for a single one."
            )
        expected = self.inputs.shape[:1]
        regression = np.issubdtype(self.targets.dtype, np.floating) and self.targets.ndim > 2
        if self.targets.shape[: 1 if regression else None] != expected:
            raise ValueError(
                f"Split: got targets of shape {self.targets.shape}, expected {expected}, one target for each "
                f"of the {expected[0]} samples of inputs {self.inputs.shape}. "
                "Fix: pass one class index (not a one-hot row) per sample."
            )

    def __len__(self) -> int:
        """The number of samples."""
        return self.inputs.shape[0]

    def __repr__(self) -> str:
        return f"Split(inputs={_describe(self.inputs)}, targets={_describe(self.targets)})"


@dataclass(frozen=True, eq=False)
class Dataset:
    """A data set: samples to train on, to choose by, and to report.

    **Arguments**

    - `name`: what the data set is called.
    - `train`, `validation`, `test`: its `Split`s; a sample has the same shape and dtype in each. A split may
      be empty: `[0, ...]`.
    - `classes`: the names of the classes; target `k` is `classes[k]`. Empty, if the targets are no classes.

    **Raises**

    - `ValueError`: samples of different shape or dtype, or targets outside of `0 ... len(classes) - 1`.

    **Example**

    ```python
    import numpy as np
    from saltation import Dataset, Split

    split = Split(inputs=np.zeros((3, 2), np.float32), targets=np.array([0, 1, 1], np.int32))
    dataset = Dataset(name="toy", train=split, validation=split, test=split, classes=("left", "right"))
    assert dataset.sample_shape == (2,)
    ```
    """

    name: str
    train: Split
    validation: Split
    test: Split
    classes: tuple[str, ...]

    def __post_init__(self) -> None:
        if not self.name:
            raise ValueError("Dataset: got an empty name, expected a word. Fix: name it, for example 'yinyang'.")
        if not isinstance(self.classes, tuple) or not all(isinstance(label, str) for label in self.classes):
            raise ValueError(
                f"Dataset {self.name!r}: got classes {self.classes!r}, expected a tuple of names. "
                "Fix: pass tuple(str(label) for label in classes)."
            )
        for part in ("train", "validation", "test"):
            self._check(part, getattr(self, part))

    @property
    def sample_shape(self) -> tuple[int, ...]:
        """The shape of one sample's input."""
        return self.train.inputs.shape[1:]

    def _check(self, part: str, split: Split) -> None:
        if not isinstance(split, Split):
            raise ValueError(
                f"Dataset {self.name!r}: got {part} of type {type(split).__name__}, expected a Split. "
                f"Fix: pass Split(inputs=..., targets=...)."
            )
        if split.inputs.shape[1:] != self.sample_shape or split.inputs.dtype != self.train.inputs.dtype:
            raise ValueError(
                f"Dataset {self.name!r}: got {part} inputs {_describe(split.inputs)}, expected "
                f"{self.train.inputs.dtype}[{', '.join(['n', *map(str, self.sample_shape)])}] as in train. "
                "Fix: prepare all splits in the same way."
            )
        if not self.classes or not len(split):
            return
        if not np.issubdtype(split.targets.dtype, np.integer):
            raise ValueError(
                f"Dataset {self.name!r}: got {part} targets of dtype {split.targets.dtype}, expected class "
                "indices. Fix: pass targets.astype(np.int32), or classes=() if the targets are no classes."
            )
        lowest, highest = int(split.targets.min()), int(split.targets.max())
        if lowest < 0 or highest >= len(self.classes):
            raise ValueError(
                f"Dataset {self.name!r}: got {part} targets from {lowest} to {highest}, expected 0 to "
                f"{len(self.classes) - 1}, one of the {len(self.classes)} classes. Fix: number the classes "
                "from 0, and name them all."
            )


def _describe(array: np.ndarray) -> str:
    return f"{array.dtype}{list(array.shape)}"
