"""A data set of the MNIST family in miniature, in the true file format."""

import gzip
import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from saltation_datasets import IdxFile, IdxImages

_CODES = {"uint8": 0x08, "int8": 0x09, "int16": 0x0B, "int32": 0x0C, "float32": 0x0D, "float64": 0x0E}


def _encode(array: np.ndarray) -> bytes:
    header = bytes([0, 0, _CODES[array.dtype.name], array.ndim])
    sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
    return header + sizes + array.astype(array.dtype.newbyteorder(">")).tobytes()


@pytest.fixture(scope="session")
def encode_idx() -> Callable[[np.ndarray], bytes]:
    """An array as the bytes of an IDX file, written from the format's description."""
    return _encode


@pytest.fixture(scope="session")
def tiny_arrays() -> dict[str, np.ndarray]:
    random = np.random.RandomState(1)
    return {
        "train-images-idx3-ubyte": random.randint(0, 256, (12, 4, 3)).astype(np.uint8),
        "train-labels-idx1-ubyte": random.randint(0, 3, 12).astype(np.uint8),
        "t10k-images-idx3-ubyte": random.randint(0, 256, (5, 4, 3)).astype(np.uint8),
        "t10k-labels-idx1-ubyte": random.randint(0, 3, 5).astype(np.uint8),
    }


@pytest.fixture(scope="session")
def tiny_files(tiny_arrays: dict[str, np.ndarray]) -> dict[str, bytes]:
    return {name: _encode(array) for name, array in tiny_arrays.items()}


@pytest.fixture
def tiny(tiny_files: dict[str, bytes], tmp_path: Path) -> IdxImages:
    """The record of the miniature; its system folder lies in the test's own."""
    records = [IdxFile(name, hashlib.sha256(content).hexdigest()) for name, content in tiny_files.items()]
    return IdxImages(
        "tiny",
        *records,
        classes=("a", "b", "c"),
        url="http://127.0.0.1/tiny/",
        how_to_get="ask the one who made it",
        folders=("Tiny/raw",),
        system_dirs=(tmp_path / "system",),
    )


@pytest.fixture
def write(tiny_files: dict[str, bytes]) -> Callable[..., Path]:
    """Write the miniature's files into a folder, plain or compressed."""

    def write(folder: Path, *, compressed: bool = False) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in tiny_files.items():
            if compressed:
                (folder / f"{name}.gz").write_bytes(gzip.compress(content))
            else:
                (folder / name).write_bytes(content)
        return folder

    return write


@pytest.fixture
def alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """No data anywhere: the cache, the current folder and `$SALTATION_DATA` are the test's own and empty."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("SALTATION_DATA", raising=False)
    return tmp_path
