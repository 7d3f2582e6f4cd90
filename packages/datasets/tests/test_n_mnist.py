"""N-MNIST from tiny files in the published format."""

import numpy as np
import pytest

import saltation as st
from saltation_datasets import load_n_mnist, read_events


def _event(x: int, y: int, polarity: int, microseconds: int) -> bytes:
    return bytes([x, y]) + ((polarity << 23) | microseconds).to_bytes(3, "big")


@pytest.fixture
def folder(tmp_path):
    for split, each in (("Train", 3), ("Test", 1)):
        for digit in range(10):
            for number in range(each):
                path = tmp_path / split / str(digit) / f"{number:05}.bin"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(
                    _event(digit, number, 1, 5_000) + _event(33, 33, 0, 295_000) + _event(0, 0, 0, 300_001)
                )
    return tmp_path


def test_events(tmp_path):
    path = tmp_path / "00001.bin"
    path.write_bytes(_event(3, 7, 1, 1_500) + _event(33, 0, 0, 0x7FFFFF))
    x, y, polarity, time = read_events(path)
    assert x.tolist() == [3, 33] and y.tolist() == [7, 0] and polarity.tolist() == [1, 0]
    assert time.tolist() == [1.5, 8388.607]


def test_a_row_of_240_sets_the_clock_forward(tmp_path):
    path = tmp_path / "00001.bin"
    path.write_bytes(_event(1, 1, 1, 100) + _event(0, 240, 0, 0) + _event(2, 2, 0, 100) + _event(0, 240, 1, 9) * 2)
    x, _, _, time = read_events(path)
    assert x.tolist() == [1, 2]
    assert time.tolist() == [0.1, 0.1 + 8.192]


def test_data_set(folder):
    data = load_n_mnist(data_dir=folder, validation_size=10, steps=30)
    assert data.train.inputs.shape == (20, 30, 34, 34, 2) and data.train.inputs.dtype == np.uint8
    assert len(data.validation) == 10 and len(data.test) == 10
    assert data.test.targets.tolist() == list(range(10))
    frame = data.test.inputs[4]
    # [step, y, x, polarity]; what comes after the end is left out.
    assert np.argwhere(frame).tolist() == [[0, 0, 4, 1], [29, 33, 33, 0]]
    few = load_n_mnist(data_dir=folder, train_size=10, test_size=5, validation_size=2, steps=3)
    assert few.train.inputs.shape == (8, 3, 34, 34, 2) and len(few.test) == 5
    assert len(set(few.train.targets.tolist()) | set(few.validation.targets.tolist())) >= 5


def test_what_is_wrong_is_named(folder, tmp_path):
    path = folder / "Test" / "7" / "00000.bin"
    whole = path.read_bytes()
    path.write_bytes(whole[:-2])
    with pytest.raises(st.DataError, match=r"7/00000.bin: got 13 bytes, expected a multiple of 5.*truncated"):
        load_n_mnist(data_dir=folder, validation_size=1)
    path.write_bytes(_event(34, 0, 0, 1))
    with pytest.raises(st.DataError, match="outside of 34 x 34 pixels"):
        load_n_mnist(data_dir=folder, validation_size=1)
    with pytest.raises(st.DataError, match=r"(?s)got no folder with Train, Test.*Looked in.*Fix"):
        load_n_mnist(data_dir=folder / "Train")
    with pytest.raises(st.DataError, match="no files such as"):
        (tmp_path / "empty" / "Train").mkdir(parents=True)
        (tmp_path / "empty" / "Test").mkdir()
        load_n_mnist(data_dir=tmp_path / "empty")
    with pytest.raises(ValueError, match="steps=0"):
        load_n_mnist(data_dir=folder, steps=0)
    with pytest.raises(ValueError, match="download=True"):
        load_n_mnist(download=True)
    with pytest.raises(ValueError, match="train_size: got 99, expected 1 to 30"):
        load_n_mnist(data_dir=folder, train_size=99)
