"""IDX files are read as their format says, and a broken one says how it is broken."""

import gzip

import numpy as np
import pytest

import saltation as st
import saltation_datasets as sd


@pytest.mark.parametrize("dtype", ["uint8", "int8", "int16", "int32", "float32", "float64"])
@pytest.mark.parametrize("shape", [(0,), (5,), (2, 3), (2, 3, 4)])
def test_reading_gives_what_was_written(tmp_path, encode_idx, dtype, shape):
    array = np.arange(np.prod(shape), dtype=dtype).reshape(shape)
    path = tmp_path / "array"
    path.write_bytes(encode_idx(array))
    found = sd.read_idx(path)
    np.testing.assert_array_equal(found, array)
    assert found.dtype == np.dtype(dtype) and found.dtype.isnative


def test_gzip_is_known_by_its_content(tmp_path, encode_idx):
    array = np.arange(6, dtype=np.uint8)
    (tmp_path / "no-suffix").write_bytes(gzip.compress(encode_idx(array)))
    np.testing.assert_array_equal(sd.read_idx(str(tmp_path / "no-suffix")), array)


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda content: content[:-1], r"got 21 bytes, expected 22 for uint8\[2, 5\]: the file is truncated"),
        (
            lambda content: content + b"\0",
            r"got 23 bytes, expected 22 for uint8\[2, 5\]: the file is too long",
        ),
        (lambda content: content[:9], r"got 9 bytes, expected a header of 12 for 2 axes"),
        (lambda content: content[:3], r"expected an IDX file"),
        (lambda content: b"", r"got a file that begins with b''"),
        (
            lambda content: b"<!DOCTYPE html>",
            r"begins with b'<!DO', expected an IDX file .*Fix: get the raw file",
        ),
        (lambda content: b"\0\0\x0a" + content[3:], r"expected an IDX file"),
    ],
)
def test_broken_content_is_refused(encode_idx, change, message):
    content = change(encode_idx(np.arange(10, dtype=np.uint8).reshape(2, 5)))
    with pytest.raises(st.DataError, match=message) as error:
        sd.parse_idx(content, name="images")
    assert str(error.value).startswith("images: ")


def test_truncated_gzip_is_refused(tmp_path, encode_idx):
    path = tmp_path / "images.gz"
    path.write_bytes(gzip.compress(encode_idx(np.arange(200, dtype=np.uint8)))[:-20])
    with pytest.raises(st.DataError, match="got a broken gzip stream"):
        sd.read_idx(path)


def test_altered_gzip_is_refused(tmp_path, encode_idx):
    packed = bytearray(gzip.compress(encode_idx(np.arange(200, dtype=np.uint8))))
    packed[-6] ^= 0xFF  # in the checksum
    path = tmp_path / "images.gz"
    path.write_bytes(bytes(packed))
    with pytest.raises(st.DataError, match="got a broken gzip stream"):
        sd.read_idx(path)


def test_missing_file_is_named(tmp_path):
    with pytest.raises(st.DataError, match=r"none-idx1-ubyte: got No such file"):
        sd.read_idx(tmp_path / "none-idx1-ubyte")
