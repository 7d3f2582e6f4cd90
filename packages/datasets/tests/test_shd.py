"""The Spiking Heidelberg Digits from tiny files in the published format."""

import sys

import numpy as np
import pytest

import saltation as st
from saltation_datasets import load_shd, read_shd

h5py = pytest.importorskip("h5py")


def _write(path, recordings, labels):
    """Arrays of variable length: times in half precision, units as 16-bit numbers; and what else such files hold."""
    with h5py.File(path, "w") as file:
        for name, dtype, column in (("times", np.float16, 0), ("units", np.uint16, 1)):
            rows = file.create_dataset(f"spikes/{name}", (len(recordings),), dtype=h5py.vlen_dtype(dtype))
            for row, recording in enumerate(recordings):
                rows[row] = np.asarray(recording[column], dtype)
        file["labels"] = np.asarray(labels, np.uint16)
        file["extra/speaker"] = np.zeros(len(labels), np.uint16)
        file["extra/keys"] = np.array([b"zero", b"null"])
    return path


@pytest.fixture
def folder(tmp_path):
    train = [([0.5, 0.1 + 0.01 * n], [n, 699]) for n in range(10)]
    _write(tmp_path / "shd_train.h5", train, range(10, 20))
    _write(tmp_path / "shd_test.h5", [([0.25], [3]), ([0.125, 0.5, 0.75], [1, 2, 3])], [0, 19])
    return tmp_path


def test_recordings_are_in_ms_and_in_order(folder):
    recordings, labels = read_shd(folder / "shd_train.h5")
    assert labels.tolist() == list(range(10, 20)) and len(recordings) == 10
    times, units = recordings[2]
    assert times.dtype == np.float64 and units.tolist() == [699, 2]
    np.testing.assert_array_equal(times, [float(np.float16(0.12)) * 1000.0, 500.0])
    assert [len(read_shd(folder / "shd_train.h5", size=n)[0]) for n in (1, 4)] == [1, 4]


def test_a_late_time_keeps_its_milliseconds(tmp_path):
    # 1.2998046875 s is a half-precision number, but 1299.8046875 is not.
    path = _write(tmp_path / "a.h5", [([1.2998046875], [0])], [0])
    assert read_shd(path)[0][0][0].tolist() == [1299.8046875]


def test_data_set(folder):
    data = load_shd(data_dir=folder, validation_size=3)
    assert data.train.inputs.shape == (7, 3, 2) and data.train.inputs.dtype == np.float32
    assert len(data.validation) == 3 and len(data.classes) == 20
    assert data.test.targets.tolist() == [0, 19]
    assert data.test.inputs[0].tolist() == [[250.0, 3.0], [np.inf, -1.0], [np.inf, -1.0]]
    few = load_shd(data_dir=folder, train_size=4, test_size=1, validation_size=1)
    assert len(few.train) == 3 and len(few.test) == 1
    (folder / "SHD").mkdir()
    for name in ("shd_train.h5", "shd_test.h5"):
        (folder / name).rename(folder / "SHD" / name)
    assert len(load_shd(data_dir=folder, validation_size=3).train) == 7


def test_what_is_wrong_is_named(folder, tmp_path, monkeypatch):
    with pytest.raises(st.DataError, match=r"(?s)got no folder with shd_train.h5.*Looked in.*zenkelab.org"):
        load_shd(data_dir=tmp_path.parent)
    with pytest.raises(ValueError, match="download=True"):
        load_shd(download=True)
    with pytest.raises(ValueError, match="validation_size: got 10, expected 0 to 9"):
        load_shd(data_dir=folder, validation_size=10)
    path = folder / "bad.h5"
    path.write_bytes((folder / "shd_train.h5").read_bytes()[:1000])
    with pytest.raises(st.DataError, match=r"bad.h5: .*expected a readable HDF5 file"):
        read_shd(path)
    with pytest.raises(st.DataError, match="got 2 times and 1 units in recording 0"):
        read_shd(_write(path, [([0.1, 0.2], [1])], [0]))
    with pytest.raises(st.DataError, match="a unit outside of 0 to 699 in recording 0"):
        read_shd(_write(path, [([0.1], [700])], [0]))
    with pytest.raises(st.DataError, match="1 arrays of times, 1 of units and 2 labels"):
        read_shd(_write(path, [([0.1], [7])], [0, 1]))
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(st.DataError, match=r"pip install 'saltation-datasets\[shd\]'"):
        read_shd(folder / "shd_train.h5")
