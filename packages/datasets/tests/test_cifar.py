"""CIFAR from tiny files in the published format: pickles of protocol 2, written by Python 2."""

import pickle

import numpy as np
import pytest

import saltation as st
from saltation_datasets import load_cifar10, load_cifar100, read_cifar_batch


def _python2_string(data: bytes) -> bytes:
    """A `str` as Python 2 pickles it: BINSTRING."""
    return b"T" + len(data).to_bytes(4, "little") + data


def _python2_pickle(images: np.ndarray, labels: list[int], name: bytes) -> bytes:
    """`{name: labels, "data": array}` as cPickle of Python 2 wrote it, with NumPy's names of that time."""
    rows, columns = images.shape
    array = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\nK\x00\x85" + _python2_string(b"b") + b"tR"
    array += b"(K\x01M" + rows.to_bytes(2, "little") + b"M" + columns.to_bytes(2, "little") + b"\x86"
    array += b"cnumpy\ndtype\n(" + _python2_string(b"u1") + b"K\x00K\x01tR(K\x03" + _python2_string(b"|") + b"NNN"
    array += b"J\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89" + _python2_string(images.tobytes()) + b"tb"
    numbers = b"](" + b"".join(b"K" + bytes([label]) for label in labels) + b"e"
    content = _python2_string(name) + numbers + _python2_string(b"data") + array
    return b"\x80\x02}(" + content + b"u."


@pytest.fixture
def images():
    return np.random.default_rng(0).integers(0, 256, (4, 3072), dtype=np.uint8)


@pytest.fixture
def folder(tmp_path, images):
    ten = tmp_path / "cifar-10-batches-py"
    ten.mkdir()
    for number in range(1, 6):
        (ten / f"data_batch_{number}").write_bytes(_python2_pickle(images + np.uint8(number), [0, 1, 2, 9], b"labels"))
    (ten / "test_batch").write_bytes(_python2_pickle(images, [3, 4, 5, 6], b"labels"))
    hundred = tmp_path / "cifar-100-python"
    hundred.mkdir()
    for name in ("train", "test"):
        (hundred / name).write_bytes(_python2_pickle(images, [0, 99, 50, 7], b"fine_labels"))
    return tmp_path


def test_images_are_read_with_their_channels_last(folder, images):
    found, labels = read_cifar_batch(folder / "cifar-10-batches-py" / "test_batch")
    assert found.shape == (4, 32, 32, 3) and found.dtype == np.uint8 and labels.tolist() == [3, 4, 5, 6]
    # Published: 1024 red values row by row, then green, then blue.
    assert found[2, 5, 7, 0] == images[2, 5 * 32 + 7] and found[1, 0, 3, 2] == images[1, 2048 + 3]


def test_what_python_3_pickles_is_read_too(tmp_path, images):
    path = tmp_path / "test_batch"
    path.write_bytes(pickle.dumps({b"data": images, b"labels": [1, 2, 3, 4]}, protocol=2))
    np.testing.assert_array_equal(read_cifar_batch(path)[0][0, 0, 0], images[0, [0, 1024, 2048]])


def test_data_sets(folder):
    ten = load_cifar10(data_dir=folder, validation_size=5)
    assert (len(ten.train), len(ten.validation), len(ten.test)) == (15, 5, 4)
    assert ten.train.inputs.dtype == np.float32 and 0 <= ten.train.inputs.min() < ten.train.inputs.max() <= 1
    assert ten.classes[9] == "truck" and ten.test.targets.tolist() == [3, 4, 5, 6]
    hundred = load_cifar100(data_dir=folder / "cifar-100-python", validation_size=1)
    assert len(hundred.train) == 3 and len(hundred.classes) == 100


class _Foreign:
    def __reduce__(self):
        return (print, ("this must not run",))


def test_a_pickle_with_foreign_classes_runs_nothing(tmp_path, capsys):
    path = tmp_path / "test_batch"
    path.write_bytes(pickle.dumps({b"data": _Foreign(), b"labels": []}))
    with pytest.raises(st.DataError, match=r"test_batch: got a pickle that names builtins\.print.*could run anything"):
        read_cifar_batch(path)
    assert "this must not run" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({b"labels": [1]}, "no uint8 array"),
        ({b"data": np.zeros((2, 3072), np.float32), b"labels": [1, 2]}, "no uint8 array"),
        ({b"data": np.zeros((2, 100), np.uint8), b"labels": [1, 2]}, "no uint8 array"),
        ({b"data": np.zeros((2, 3072), np.uint8), b"labels": [1]}, "no list of 2 numbers"),
        ([1, 2], "no uint8 array"),
    ],
)
def test_other_content_is_refused(tmp_path, content, message):
    path = tmp_path / "test_batch"
    path.write_bytes(pickle.dumps(content))
    with pytest.raises(st.DataError, match=message):
        read_cifar_batch(path)


def test_a_truncated_pickle_and_missing_files_are_named(folder, monkeypatch, tmp_path):
    path = folder / "cifar-10-batches-py" / "data_batch_3"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(st.DataError, match="data_batch_3: got a damaged pickle"):
        load_cifar10(data_dir=folder, validation_size=1)
    path.unlink()
    with pytest.raises(st.DataError, match=r"(?s)data_batch_3.*Looked in.*Fix:.*tar xzf cifar-10-python"):
        load_cifar10(data_dir=folder)
    with pytest.raises(st.DataError, match="expected an existing folder"):
        load_cifar100(data_dir=tmp_path / "nowhere")
    with pytest.raises(ValueError, match="download=True"):
        load_cifar10(download=True)
