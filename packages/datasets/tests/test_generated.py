"""Generated data sets: the exclusive or at once and with a delay, and a sine."""

import numpy as np
import pytest

import saltation_datasets as sd


def test_xor_is_its_four_samples():
    data = sd.load_xor(repeat=3)
    assert data.test.inputs.tolist() == [[0, 0], [0, 1], [1, 0], [1, 1]] and data.test.targets.tolist() == [0, 1, 1, 0]
    assert data.train.inputs.shape == (12, 2) and np.bincount(data.train.targets).tolist() == [6, 6]
    with pytest.raises(ValueError, match="repeat: got 0"):
        sd.load_xor(repeat=0)


def test_delayed_xor():
    data = sd.load_delayed_xor(min_delay=10.0, max_delay=30.0, train_size=400)
    first, second, delay = data.train.inputs.T
    np.testing.assert_array_equal(data.train.targets, first != second)
    assert delay.min() >= 10.0 and delay.max() <= 30.0 and np.ptp(delay) > 15.0
    assert (np.bincount((2 * first + second).astype(int)) > 60).all()
    assert not np.array_equal(data.test.inputs[:100], data.train.inputs[:100])
    again = sd.load_delayed_xor(min_delay=10.0, max_delay=30.0, train_size=100)
    np.testing.assert_array_equal(again.test.inputs, data.test.inputs)
    with pytest.raises(ValueError, match="min_delay=30.0 and max_delay=20.0"):
        sd.load_delayed_xor(min_delay=30.0, max_delay=20.0)


def test_sine():
    data = sd.load_sine(train_size=10)
    assert data.classes == () and data.train.inputs.shape == (10, 1)
    np.testing.assert_allclose(data.train.targets, np.sin(2 * np.pi * data.train.inputs[:, 0]), atol=1e-6)
