"""Labelled images from four IDX files: where they are looked for, how they are verified and split."""

import hashlib
import os
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from saltation import DataError, Dataset, Split

from ._cache import cache_dir
from ._download import fetch_with_pooch
from ._folders import search_folders
from ._idx import parse_idx, read_content
from ._sizes import check_size


@dataclass(frozen=True)
class IdxFile:
    """One IDX file: its name, and the SHA-256 of its content, decompressed."""

    name: str
    sha256: str


@dataclass(frozen=True)
class IdxImages:
    """A data set of the MNIST family: its four files, and where they may be.

    **Arguments**

    - `name`: of the data set, and of its folder in a data or cache folder.
    - `train_images`, `train_labels`, `test_images`, `test_labels`: the `IdxFile`s.
    - `classes`: the names of the classes.
    - `url`: where `<name of the file>.gz` can be downloaded; ends with a slash.
    - `how_to_get`: in words, for the message when files are missing.
    - `folders`: further names of its folder in a data folder, such as torchvision's `MNIST/raw`.
    - `system_dirs`: folders into which an operating system's package installs it.

    **Example**

    ```python
    from saltation_datasets import MNIST

    assert MNIST.train_images.name == "train-images-idx3-ubyte"
    ```
    """

    name: str
    train_images: IdxFile
    train_labels: IdxFile
    test_images: IdxFile
    test_labels: IdxFile
    classes: tuple[str, ...]
    url: str
    how_to_get: str
    folders: tuple[str, ...] = field(default=())
    system_dirs: tuple[Path, ...] = field(default=())

    @property
    def files(self) -> tuple[IdxFile, ...]:
        """All four files."""
        return self.train_images, self.train_labels, self.test_images, self.test_labels


def load_idx_images(
    source: IdxImages,
    *,
    data_dir: str | Path | None = None,
    download: bool = False,
    validation_size: int = 5000,
    fetch: Callable[[str, Path], None] = fetch_with_pooch,
) -> Dataset:
    """Load labelled images from IDX files, verified by their SHA-256.

    Each file, plain or with `.gz`, is looked for in this order: `data_dir`; the folder that
    `$SALTATION_DATA` names; `source.system_dirs`; `./data` (where torchvision is usually told to put them);
    the cache folder. In `data_dir`, `$SALTATION_DATA` and `./data`, the data set's own sub-folders come first
    (`<name>`, then `source.folders`, torchvision's layout among them). A file of wrong content is passed over
    with a warning if a right one is found, and is an error if none is.

    **Arguments**

    - `source`: which data set.
    - `data_dir`: a folder that holds the files, or the data set's folder.
    - `download`: fetch the files that are missing, into `<name>` in `data_dir` or else in the cache folder.
      Nothing is ever downloaded without it.
    - `validation_size`: how many of the last training images are set aside as the validation split.
    - `fetch`: what downloads a URL into a file.

    **Returns** a `saltation.Dataset`: inputs `[n, height, width]` as float32 in [0, 1], targets `[n]`.

    **Raises**

    - `saltation.DataError`: a file is missing, truncated or wrong, or cannot be downloaded.
    - `ValueError`: a `validation_size` that leaves nothing to train on.

    **Example**

    ```python
    from saltation_datasets import FASHION_MNIST, load_idx_images

    def load_for_the_final_fit(folder: str):
        return load_idx_images(FASHION_MNIST, data_dir=folder, validation_size=0)
    ```
    """
    check_size("validation_size", validation_size, minimum=0)
    folder = None if data_dir is None else Path(data_dir).expanduser()
    if folder is not None and not download and not folder.is_dir():
        raise DataError(
            f"{source.name}: got data_dir {str(folder)!r}, expected an existing folder. "
            "Fix: correct the path, or pass download=True to fill it."
        )
    arrays = _read_all(source, folder, fetch if download else None)
    train_images, train_labels, test_images, test_labels = arrays
    check_size("validation_size", validation_size, minimum=0, maximum=len(train_labels) - 1)
    kept = len(train_labels) - validation_size
    inputs, targets = _to_inputs(train_images), train_labels.astype(np.int32)
    return Dataset(
        name=source.name,
        train=Split(inputs=inputs[:kept], targets=targets[:kept]),
        validation=Split(inputs=inputs[kept:], targets=targets[kept:]),
        test=Split(inputs=_to_inputs(test_images), targets=test_labels.astype(np.int32)),
        classes=source.classes,
    )


def _to_inputs(images: np.ndarray) -> np.ndarray:
    return images / np.float32(255)


def _read_all(source: IdxImages, data_dir: Path | None, fetch: Callable[[str, Path], None] | None) -> list[np.ndarray]:
    folders = list(search_folders(source.name, data_dir, within=source.folders, system_dirs=source.system_dirs))
    arrays, missing, problems = [], [], []
    for file in source.files:
        array, wrong = _find(file, folders)
        if array is None and fetch is not None:
            array = _download(source, file, data_dir or cache_dir(), fetch)
        elif array is not None and wrong:
            warnings.warn(f"{source.name}: passed over {'; '.join(wrong)}", stacklevel=4)
        if array is None:
            missing.append(file)
            problems.extend(wrong)
        else:
            arrays.append(array)
    if missing:
        raise DataError(_describe_missing(source, missing, problems, folders))
    return arrays


def _find(file: IdxFile, folders: list[Path]) -> tuple[np.ndarray | None, list[str]]:
    """The file's array from the first folder that has it right, and what was wrong with those before."""
    wrong = []
    for folder in folders:
        for path in (folder / file.name, folder / f"{file.name}.gz"):
            if not path.is_file():
                continue
            try:
                return _read_verified(file, path), wrong
            except DataError as error:
                wrong.append(str(error))
    return None, wrong


def _read_verified(file: IdxFile, path: Path) -> np.ndarray:
    content = read_content(path)
    # The format first: "truncated by 12 bytes" helps more than "another hash".
    array = parse_idx(content, name=str(path))
    found = hashlib.sha256(content).hexdigest()
    if found != file.sha256:
        raise DataError(
            f"{path}: got an IDX file {array.dtype}{list(array.shape)} with SHA-256 {found}, expected "
            f"{file.sha256} (of the decompressed file): it is another data set's, or altered. "
            "Fix: replace it by the original."
        )
    return array


def _download(source: IdxImages, file: IdxFile, root: Path, fetch: Callable[[str, Path], None]) -> np.ndarray:
    folder = root / source.name
    name = f"{file.name}.gz"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # Verified apart, then moved in one step: an interrupted download leaves nothing behind.
        with tempfile.TemporaryDirectory(dir=folder, prefix=".download-") as private:
            fetched = Path(private) / name
            fetch(source.url + name, fetched)
            array = _read_verified(file, fetched)
            os.replace(fetched, folder / name)
    except DataError as error:
        raise DataError(f"{source.name}: {error}\n{source.how_to_get}") from error
    except OSError as error:
        raise DataError(
            f"{source.name}: got {error} while downloading {source.url}{name} into {folder}, expected a "
            "folder to write to. Fix: pass data_dir, or set XDG_CACHE_HOME, to one."
        ) from error
    return array


def _describe_missing(source: IdxImages, missing: list[IdxFile], problems: list[str], folders: list[Path]) -> str:
    lines = [f"{source.name}: got {4 - len(missing)} of 4 files, expected these too (plain or with .gz):"]
    lines += [f"  {file.name}  SHA-256 of the decompressed file {file.sha256}" for file in missing]
    if problems:
        lines += ["Found, but not usable:", *(f"  {problem}" for problem in problems)]
    lines.append("Looked in (change it by data_dir, on the command line --data-dir, or by $SALTATION_DATA):")
    lines += [f"  {folder}{'' if folder.is_dir() else '  (no such folder)'}" for folder in folders]
    lines += ["Fix:", *(f"  {line}" for line in source.how_to_get.splitlines())]
    return "\n".join(lines)
