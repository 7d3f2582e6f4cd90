"""CIFAR-10 and CIFAR-100: 60,000 colour images each, in the published pickles."""

import pickle
from pathlib import Path
from typing import Any

import numpy as np

from saltation import DataError, Dataset, Split

from ._folders import find_folder
from ._sizes import check_size

_CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
_PIXELS = 3 * 32 * 32

# What the published files are made of. An unpickler that looks up nothing else cannot be made to run anything.
_ALLOWED = {
    ("numpy.core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("_codecs", "encode"),
}


def load_cifar10(*, data_dir: str | Path | None = None, download: bool = False, validation_size: int = 5000) -> Dataset:
    """CIFAR-10: 50,000 training and 10,000 test images of 32 x 32 pixels, 10 classes.

    The validation split is the last `validation_size` of the training images, the rest is trained on.

    **Arguments**

    - `data_dir`: the folder `cifar-10-batches-py`, or one that holds it; without it `$SALTATION_DATA`, `./data` and the
      cache folder are searched.
    - `download`: not available for this data set.
    - `validation_size`: images set aside for validation.

    **Returns** a `saltation.Dataset`: inputs `[n, 32, 32, 3]` as float32 in [0, 1], channels last, targets `[n]`.

    **Raises**

    - `saltation.DataError`: a file is missing, damaged, or holds anything but arrays, numbers and text.
    - `ValueError`: a `validation_size` out of its range, or `download=True`.

    **Source**: Krizhevsky: Learning multiple layers of features from tiny images, technical report, 2009,
    https://www.cs.toronto.edu/~kriz/cifar.html

    **Example**

    ```python
    import saltation as st
    from saltation_datasets import load_cifar10

    try:
        print(load_cifar10().train)
    except st.DataError as error:
        print(error)  # names the files, the places looked at, and how to get them
    ```
    """
    train = [f"data_batch_{number}" for number in range(1, 6)]
    return _load(
        "cifar10", "cifar-10-batches-py", train, "test_batch", b"labels", _CLASSES, data_dir, download, validation_size
    )


def load_cifar100(
    *, data_dir: str | Path | None = None, download: bool = False, validation_size: int = 5000
) -> Dataset:
    """CIFAR-100: 50,000 training and 10,000 test images of 32 x 32 pixels, 100 classes (the fine labels).

    Arguments and errors are those of `load_cifar10`; the folder is `cifar-100-python`.
    """
    classes = tuple(f"class {number}" for number in range(100))
    return _load(
        "cifar100", "cifar-100-python", ["train"], "test", b"fine_labels", classes, data_dir, download, validation_size
    )


def _load(
    name: str,
    folder: str,
    train: list[str],
    test: str,
    key: bytes,
    classes: tuple[str, ...],
    data_dir: str | Path | None,
    download: bool,
    validation_size: int,
) -> Dataset:
    if download:
        raise ValueError(f"{name}: got download=True, expected the files to be there. Fix: {_how_to_get(folder)}")
    check_size("validation_size", validation_size, minimum=0)
    found = find_folder(name, data_dir, [*train, test], within=(folder,), how_to_get=_how_to_get(folder))
    parts = [read_cifar_batch(found / file, key) for file in train]
    images, labels = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    check_size("validation_size", validation_size, minimum=0, maximum=len(labels) - 1)
    kept = len(labels) - validation_size
    test_images, test_labels = read_cifar_batch(found / test, key)
    inputs = images / np.float32(255)
    return Dataset(
        name=name,
        train=Split(inputs=inputs[:kept], targets=labels[:kept]),
        validation=Split(inputs=inputs[kept:], targets=labels[kept:]),
        test=Split(inputs=test_images / np.float32(255), targets=test_labels),
        classes=classes,
    )


def read_cifar_batch(path: str | Path, labels: bytes = b"labels") -> tuple[np.ndarray, np.ndarray]:
    """The images and labels of one published pickle, read without running anything that it may contain.

    **Arguments**

    - `path`: of the file.
    - `labels`: the name of the labels in it: `b"labels"`, or `b"fine_labels"`.

    **Returns** images `[n, 32, 32, 3]` as uint8, channels last, and labels `[n]` as int32.

    **Raises** `saltation.DataError`: the file is missing, truncated, has other content, or names a class.

    **Example**

    ```python
    from saltation_datasets import read_cifar_batch

    def first_image(folder: str):
        return read_cifar_batch(f"{folder}/test_batch")[0][0]
    ```
    """
    path = Path(path)
    try:
        with path.open("rb") as file:
            content = _Restricted(file, encoding="bytes").load()
    except DataError as error:
        raise DataError(f"{path}: {error}") from None
    except OSError as error:
        raise DataError(
            f"{path}: got {error.strerror or error}, expected a readable file. Fix: check the path."
        ) from error
    except (pickle.UnpicklingError, EOFError, ValueError, TypeError, AttributeError, IndexError, KeyError) as error:
        raise DataError(
            f"{path}: got a damaged pickle ({type(error).__name__}: {error}), expected a published CIFAR file. "
            "Fix: unpack the archive again."
        ) from error
    data, target = (content.get(key) for key in (b"data", labels)) if isinstance(content, dict) else (None, None)
    if not isinstance(data, np.ndarray) or data.dtype != np.uint8 or data.ndim != 2 or data.shape[1] != _PIXELS:
        raise DataError(f"{path}: got no uint8 array [n, {_PIXELS}] under b'data', expected a published CIFAR file.")
    if not isinstance(target, list) or len(target) != len(data) or not all(isinstance(x, int) for x in target):
        raise DataError(
            f"{path}: got no list of {len(data)} numbers under {labels!r}, expected a published CIFAR file."
        )
    # Published with the channels first.
    images = data.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    return np.ascontiguousarray(images), np.asarray(target, np.int32)


class _Restricted(pickle.Unpickler):
    """Finds nothing but what arrays are made of."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise DataError(
                f"got a pickle that names {module}.{name}, expected arrays, numbers and text only: it could run "
                "anything. Fix: get the published file."
            )
        return getattr(__import__(module, fromlist=[name]), name)


def _how_to_get(folder: str) -> str:
    archive = {"cifar-10-batches-py": "cifar-10-python.tar.gz", "cifar-100-python": "cifar-100-python.tar.gz"}[folder]
    return (
        f"get https://www.cs.toronto.edu/~kriz/{archive} and unpack it: tar xzf {archive},\n"
        f"then data_dir='{folder}' (--data-dir {folder})"
    )
