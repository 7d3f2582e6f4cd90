"""The Spiking Heidelberg Digits: spoken digits as spike trains of an artificial inner ear."""

from pathlib import Path
from typing import Any

import numpy as np

from saltation import DataError, Dataset, Split

from ._events import padded_events
from ._folders import find_folder
from ._sizes import check_size

UNITS = 700
_FILES = ("shd_train.h5", "shd_test.h5")
_MILLISECONDS = 1000.0  # in a second
_HOW_TO_GET = (
    "get shd_train.h5.gz and shd_test.h5.gz from https://zenkelab.org/datasets and gunzip both into one folder,\n"
    "then data_dir='that folder' (--data-dir ...)"
)


def load_shd(
    *,
    data_dir: str | Path | None = None,
    download: bool = False,
    train_size: int | None = None,
    test_size: int | None = None,
    validation_size: int = 800,
) -> Dataset:
    """The Spiking Heidelberg Digits: 8156 training and 2264 test recordings of spoken digits, 20 classes.

    A sample is a list of events, a spike of one of 700 units each, in order of time. The validation split is spread
    evenly over the training recordings. In full it takes 0.8 GB of memory.

    **Arguments**

    - `data_dir`: the folder with `shd_train.h5` and `shd_test.h5`, or one that holds it as `shd` or `SHD`.
    - `download`: not available for this data set.
    - `train_size`, `test_size`: how many recordings are read, evenly spread over the file; all of them if left out.
    - `validation_size`: recordings of the training set that are set aside.

    **Returns** a `saltation.Dataset`: inputs `[n, events, 2]` as float32: time in ms and unit, padded by
    `(inf, -1)`; targets `[n]`.

    **Raises**

    - `saltation.DataError`: the package `h5py` is not installed, a file is missing, or not of this format.
    - `ValueError`: a size out of its range, or `download=True`.

    **Source**: Cramer, Stradmann, Schemmel, Zenke: The Heidelberg spiking data sets for the systematic evaluation of
    spiking neural networks, IEEE Transactions on Neural Networks and Learning Systems 33 (2022).

    **Example**

    ```python
    import saltation as st
    from saltation_datasets import load_shd

    try:
        print(load_shd(train_size=2000).train)
    except st.DataError as error:
        print(error)
    ```
    """
    if download:
        raise ValueError(f"shd: got download=True, expected the files to be there. Fix: {_HOW_TO_GET}")
    check_size("validation_size", validation_size, minimum=0)
    folder = find_folder("shd", data_dir, _FILES, within=("SHD",), how_to_get=_HOW_TO_GET)
    train = read_shd(folder / _FILES[0], size=train_size)
    test = read_shd(folder / _FILES[1], size=test_size)
    check_size("validation_size", validation_size, minimum=0, maximum=len(train[0]) - 1)
    room = max(len(times) for times, _ in train[0] + test[0])
    chosen = np.zeros(len(train[0]), bool)
    chosen[np.linspace(0, len(train[0]) - 1, validation_size).round().astype(int)] = True
    inputs, targets = padded_events(train[0], room), train[1]
    return Dataset(
        name="shd",
        train=Split(inputs=inputs[~chosen], targets=targets[~chosen]),
        validation=Split(inputs=inputs[chosen], targets=targets[chosen]),
        test=Split(inputs=padded_events(test[0], room), targets=test[1]),
        classes=tuple(f"{word} ({language})" for language in ("German", "English") for word in range(10)),
    )


def read_shd(path: str | Path, *, size: int | None = None) -> tuple[list[tuple[np.ndarray, np.ndarray]], np.ndarray]:
    """The recordings of one file of the Heidelberg data sets.

    **Arguments**

    - `path`: of an HDF5 file with `spikes/times` (seconds, an array of its own length for each recording, in half
      precision as published), `spikes/units` and `labels`.
    - `size`: how many recordings are read, evenly spread over the file; all of them if left out.

    **Returns** the recordings, each as times in ms (float64, in order) and units (int64), and the labels `[n]`.

    **Raises**

    - `saltation.DataError`: `h5py` is not installed, the file is missing, truncated or not of this format.
    - `ValueError`: a size out of its range.

    **Example**

    ```python
    from saltation_datasets import read_shd

    def mean_count(path):
        recordings, _ = read_shd(path, size=100)
        return sum(len(times) for times, _ in recordings) / 100
    ```
    """
    path = Path(path)
    h5py = _h5py()
    try:
        with h5py.File(path, "r") as file:
            labels = np.asarray(file["labels"]).astype(np.int32)
            times, units = file["spikes/times"], file["spikes/units"]
            if not len(labels) == len(times) == len(units):
                raise DataError(
                    f"{path}: got {len(times)} arrays of times, {len(units)} of units and {len(labels)} labels, "
                    "expected the same number of each. Fix: get the file again."
                )
            rows = np.arange(len(labels))
            if size is not None:
                check_size("size", size, minimum=1, maximum=len(labels))
                rows = np.linspace(0, len(labels) - 1, size).round().astype(int)
            recordings = [_recording(path, row, times[row], units[row]) for row in rows.tolist()]
    except (OSError, KeyError) as error:
        raise DataError(
            f"{path}: got {error}, expected a readable HDF5 file with labels, spikes/times and spikes/units. "
            "Fix: unpack it again, and check the path."
        ) from error
    return recordings, labels[rows]


def _recording(path: Path, row: int, times: np.ndarray, units: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    if len(times) != len(units):
        raise DataError(
            f"{path}: got {len(times)} times and {len(units)} units in recording {row}, expected the same number. "
            "Fix: get the file again."
        )
    # To double precision first: in half precision a number of milliseconds above 2048 is even.
    times, units = times.astype(np.float64) * _MILLISECONDS, units.astype(np.int64)
    if not np.isfinite(times).all() or (times < 0).any() or ((units < 0) | (units >= UNITS)).any():
        raise DataError(
            f"{path}: got a negative time, one that is not finite or a unit outside of 0 to {UNITS - 1} in recording "
            f"{row}, expected a file of the Heidelberg data sets. Fix: check the folder."
        )
    order = np.argsort(times, kind="stable")
    return times[order], units[order]


def _h5py() -> Any:
    try:
        import h5py
    except ImportError as error:
        raise DataError(
            "shd: got no package 'h5py', expected it to be installed. Fix: pip install 'saltation-datasets[shd]' "
            "(or: pip install h5py)"
        ) from error
    return h5py
