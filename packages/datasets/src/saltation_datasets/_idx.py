"""The IDX file format of the MNIST family: a header of big-endian sizes, then the numbers.

Its bytes are

    0  0  type  ndim | size of axis 0 (uint32) | ... | size of axis ndim - 1 | data, last axis fastest
"""

import gzip
import math
import zlib
from pathlib import Path

import numpy as np

from saltation import DataError

_DTYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


def read_idx(path: str | Path) -> np.ndarray:
    """Read an IDX file, plain or compressed by gzip (by its content, whatever its name).

    **Arguments**

    - `path`: of the file.

    **Returns** an array of the file's shape and type, in the machine's byte order.

    **Raises** `saltation.DataError`: the file is missing, truncated, or not an IDX file.

    **Example**

    ```python
    import tempfile
    from pathlib import Path
    from saltation_datasets import read_idx

    path = Path(tempfile.mkdtemp()) / "labels-idx1-ubyte"
    path.write_bytes(bytes([0, 0, 8, 1]) + (3).to_bytes(4, "big") + bytes([7, 2, 1]))
    assert read_idx(path).tolist() == [7, 2, 1]
    ```
    """
    return parse_idx(read_content(Path(path)), name=str(path))


def read_content(path: Path) -> bytes:
    """The bytes of a file, decompressed if they are a gzip stream."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(
            f"{path}: got {error.strerror or error}, expected a readable file. Fix: check the path and its permissions."
        ) from error
    if content[:2] != b"\x1f\x8b":
        return content
    try:
        return gzip.decompress(content)
    except (EOFError, OSError, zlib.error) as error:
        raise DataError(
            f"{path}: got a broken gzip stream ({error}), expected a complete one. "
            "Fix: delete the file and get it again."
        ) from error


def parse_idx(content: bytes, *, name: str) -> np.ndarray:
    """The array that the bytes of an IDX file describe.

    **Arguments**

    - `content`: the whole file, decompressed.
    - `name`: what error messages call it.

    **Returns** an array in the machine's byte order.

    **Raises** `saltation.DataError`: the bytes are truncated, too many, or not in the IDX format.

    **Example**

    ```python
    from saltation_datasets import parse_idx

    content = bytes([0, 0, 8, 1]) + (2).to_bytes(4, "big") + bytes([5, 6])
    assert parse_idx(content, name="labels").tolist() == [5, 6]
    ```
    """
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] not in _DTYPES or content[3] == 0:
        raise DataError(
            f"{name}: got a file that begins with {content[:4]!r}, expected an IDX file (0, 0, type, axes). "
            "Fix: get the raw file (a web page or an archive may have been saved under its name)."
        )
    dtype, ndim = np.dtype(_DTYPES[content[2]]), content[3]
    start = 4 + 4 * ndim
    if len(content) < start:
        raise DataError(
            f"{name}: got {len(content)} bytes, expected a header of {start} for {ndim} axes: "
            "the file is truncated. Fix: get it again."
        )
    shape = tuple(int(size) for size in np.frombuffer(content, ">u4", count=ndim, offset=4))
    expected = start + math.prod(shape) * dtype.itemsize
    if len(content) != expected:
        problem = "truncated" if len(content) < expected else "too long"
        raise DataError(
            f"{name}: got {len(content)} bytes, expected {expected} for {dtype.newbyteorder('=')}"
            f"{list(shape)}: the file is {problem}. Fix: get it again."
        )
    return np.frombuffer(content, dtype, offset=start).reshape(shape).astype(dtype.newbyteorder("="))
