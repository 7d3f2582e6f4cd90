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


def _counts(split):
    return np.stack([np.bincount(x[x[:, 1] >= 0, 1].astype(int), minlength=700) for x in split.inputs]).astype(float)


def test_shd_like_is_events_in_order():
    data = sd.load_shd_like(train_size=6, validation_size=2, test_size=2, events=300, t1=50.0)
    time, unit = data.train.inputs[..., 0], data.train.inputs[..., 1]
    assert len(data.classes) == 20 and data.train.inputs.dtype == np.float32
    assert (time[:, 1:] >= time[:, :-1]).all() and ((unit >= 0) == np.isfinite(time)).all()
    assert (unit < 700).all() and time.min() >= 0.0 and time[np.isfinite(time)].max() < 50.0
    assert 200 < np.isfinite(time).sum(axis=1).mean() < 400
    again = sd.load_shd_like(train_size=1, validation_size=2, test_size=2, events=300, t1=50.0)
    np.testing.assert_array_equal(
        again.test.inputs[again.test.inputs[..., 1] >= 0].ravel()[:50],
        data.test.inputs[data.test.inputs[..., 1] >= 0].ravel()[:50],
    )
    with pytest.raises(ValueError, match="got t1=-1.0"):
        sd.load_shd_like(t1=-1.0)


def test_shd_like_is_told_by_timing_and_not_by_counts():
    data = sd.load_shd_like(train_size=300, validation_size=1, test_size=100, events=4000)

    def histograms(split):
        """How often each group of ten units spikes in each tenth of a trial."""
        time, unit = split.inputs[..., 0], split.inputs[..., 1]
        bins = np.where(unit >= 0, unit // 10 * 10 + np.minimum(time, 999.0) // 100, 700).astype(int)
        return np.stack([np.bincount(row, minlength=701)[:700] for row in bins]).astype(float)

    def nearest(features):
        train, test = features(data.train), features(data.test)
        means = np.stack([train[data.train.targets == label].mean(0) for label in range(20)])
        return np.mean(np.argmin(((test[:, None] - means) ** 2).sum(-1), axis=1) == data.test.targets)

    assert nearest(histograms) > 0.9 and nearest(_counts) < 0.25
