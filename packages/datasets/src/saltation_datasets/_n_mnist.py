"""N-MNIST: MNIST seen by an event camera that moves."""

from pathlib import Path

import numpy as np

from saltation import DataError, Dataset, Split

from ._folders import find_folder
from ._sizes import check_size

SIDE = 34
_OVERFLOW_ROW = 240
_OVERFLOW = 1 << 13


def load_n_mnist(
    *,
    data_dir: str | Path | None = None,
    download: bool = False,
    steps: int = 30,
    duration: float = 300.0,
    train_size: int | None = None,
    test_size: int | None = None,
    validation_size: int = 5000,
) -> Dataset:
    """N-MNIST, events counted in time bins: 60,000 training and 10,000 test recordings of 300 ms.

    A bin says whether there was an event of that pixel and polarity in it. The validation split is every twelfth
    training recording or so, evenly spread over the classes. In full, at 30 steps, it takes 5 GB of memory.

    **Arguments**

    - `data_dir`: the folder with `Train` and `Test`, or one that holds it as `n_mnist` or `N-MNIST`.
    - `download`: not available for this data set.
    - `steps`, `duration`: how many bins, and of how much time in ms; later events are left out.
    - `train_size`, `test_size`: how many recordings are read, evenly spread over the classes; all of them if left out.
    - `validation_size`: recordings of the training set that are set aside.

    **Returns** a `saltation.Dataset`: inputs `[n, steps, 34, 34, 2]` as uint8, targets `[n]`.

    **Raises**

    - `saltation.DataError`: a folder or file is missing, truncated or not of this format.
    - `ValueError`: a size out of its range, or `download=True`.

    **Source**: Orchard, Jayawant, Cohen, Thakor: Converting static image datasets to spiking neuromorphic datasets
    using saccades, Frontiers in Neuroscience 9 (2015), https://www.garrickorchard.com/datasets/n-mnist

    **Example**

    ```python
    import saltation as st
    from saltation_datasets import load_n_mnist

    try:
        print(load_n_mnist(train_size=6000).train)
    except st.DataError as error:
        print(error)
    ```
    """
    if download:
        raise ValueError(f"n_mnist: got download=True, expected the files to be there. Fix: {_HOW_TO_GET}")
    if steps < 1 or not duration > 0:
        raise ValueError(f"n_mnist: got steps={steps}, duration={duration}; expected a positive number of each.")
    check_size("validation_size", validation_size, minimum=0)
    folder = find_folder("n_mnist", data_dir, ["Train", "Test"], within=("N-MNIST", "NMNIST"), how_to_get=_HOW_TO_GET)
    train, train_labels = _read_split(folder / "Train", train_size, steps, duration)
    test, test_labels = _read_split(folder / "Test", test_size, steps, duration)
    check_size("validation_size", validation_size, minimum=0, maximum=len(train) - 1)
    # Recordings lie class by class, and those chosen are spread evenly over all.
    chosen = np.zeros(len(train), bool)
    chosen[np.linspace(0, len(train) - 1, validation_size).round().astype(int)] = True
    return Dataset(
        name="n_mnist",
        train=Split(inputs=train[~chosen], targets=train_labels[~chosen]),
        validation=Split(inputs=train[chosen], targets=train_labels[chosen]),
        test=Split(inputs=test, targets=test_labels),
        classes=tuple(str(digit) for digit in range(10)),
    )


def read_events(path: str | Path) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The events of one `.bin` file, in order.

    Five bytes each: x, y, then one bit of polarity and 23 bits of microseconds, the highest first. A row of 240 is no
    event: from there on the clock has run over, by 2^13 microseconds.

    **Arguments**

    - `path`: of the file.

    **Returns** `x`, `y`, `polarity` (1: brighter) as int64 and `time` in ms as float64, all `[n]`.

    **Raises** `saltation.DataError`: the file is missing, truncated, or has events outside of 34 x 34 pixels.

    **Example**

    ```python
    import tempfile
    from pathlib import Path
    from saltation_datasets import read_events

    path = Path(tempfile.mkdtemp()) / "00001.bin"
    path.write_bytes(bytes([3, 4, 0x80, 0x03, 0xE8]))
    x, y, polarity, time = read_events(path)
    assert (x[0], y[0], polarity[0], time[0]) == (3, 4, 1, 1.0)
    ```
    """
    path = Path(path)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(
            f"{path}: got {error.strerror or error}, expected a readable file. Fix: check the path."
        ) from error
    if len(content) % 5:
        raise DataError(
            f"{path}: got {len(content)} bytes, expected a multiple of 5, an event each: the file is truncated. "
            "Fix: unpack the archive again."
        )
    x, y, high, middle, low = np.frombuffer(content, np.uint8).reshape(-1, 5).astype(np.int64).T
    microseconds = ((high & 0x7F) << 16) | (middle << 8) | low
    overflow = y == _OVERFLOW_ROW
    microseconds = microseconds + _OVERFLOW * np.cumsum(overflow)
    if ((x >= SIDE) | (y >= SIDE))[~overflow].any():
        raise DataError(
            f"{path}: got events outside of {SIDE} x {SIDE} pixels, expected a file of N-MNIST. Fix: check the folder."
        )
    kept = ~overflow
    return x[kept], y[kept], (high >> 7)[kept], microseconds[kept] / 1000.0


def _read_split(folder: Path, size: int | None, steps: int, duration: float) -> tuple[np.ndarray, np.ndarray]:
    files = [(path, digit) for digit in range(10) for path in sorted((folder / str(digit)).glob("*.bin"))]
    if not files:
        raise DataError(f"{folder}: got no files such as 0/00002.bin, expected folders 0 to 9. Fix: {_HOW_TO_GET}")
    if size is not None:
        check_size("train_size" if folder.name == "Train" else "test_size", size, minimum=1, maximum=len(files))
        files = [files[place] for place in np.linspace(0, len(files) - 1, size).round().astype(int)]
    frames = np.zeros((len(files), steps, SIDE, SIDE, 2), np.uint8)
    for number, (path, _) in enumerate(files):
        x, y, polarity, time = read_events(path)
        step = np.floor(time * steps / duration).astype(np.int64)
        inside = step < steps
        frames[number, step[inside], y[inside], x[inside], polarity[inside]] = 1
    return frames, np.array([digit for _, digit in files], np.int32)


_HOW_TO_GET = (
    "get Train.zip and Test.zip from https://www.garrickorchard.com/datasets/n-mnist and unpack both into one folder,\n"
    "then data_dir='that folder' (--data-dir ...)"
)
