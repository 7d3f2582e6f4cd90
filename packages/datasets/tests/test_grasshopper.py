"""The grasshopper's recordings from files in the published format."""

import hashlib

import numpy as np
import pytest

import saltation as st
from saltation_datasets import _grasshopper, load_grasshopper


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Ten spikes, at every second from 0.05 s on, and an amplitude that is the time in seconds."""
    rows = "\n".join(f"{1_000_000 * k + 50_000}" for k in range(10))
    times = np.arange(0, 10_000_000, 500)
    files = {
        "grasshopper_spike_times1.txt": f"# a header\n# of two lines\n\n{rows}\n\n",
        "grasshopper_stimulus1.txt": "\n".join(f"{t}  {t / 1e6}" for t in times),
    }
    for name, content in files.items():
        (tmp_path / name).write_text(content)
        monkeypatch.setitem(_grasshopper._SHA256, name, hashlib.sha256(content.encode()).hexdigest())
    return tmp_path


def test_windows(folder):
    data = load_grasshopper(data_dir=folder, window=100.0, resolution=2.0)
    assert data.train.inputs.shape == (60, 50) and data.train.targets.shape == (60, 1, 1)
    assert (len(data.validation), len(data.test)) == (15, 25)
    spikes = data.train.targets[:, 0, 0]
    np.testing.assert_array_equal(np.flatnonzero(np.isfinite(spikes)), np.arange(0, 60, 10))
    np.testing.assert_allclose(spikes[::10], 50.0)
    # A bin holds the samples of 2 ms: four of them, of which the mean is 0.75 ms behind its start.
    np.testing.assert_allclose(data.test.inputs[0, :3], 7.5 + np.array([0.75, 2.75, 4.75]) / 1000, rtol=1e-6)


def test_a_lead_and_splits_in_turns(folder):
    data = load_grasshopper(data_dir=folder, window=50.0, lead=70.0, interleaved=True, validation_size=40, test_size=50)
    # Two windows start before there is a lead; a sample begins 70 ms before its window.
    assert [len(split) for split in (data.train, data.validation, data.test)] == [108, 40, 50]
    assert data.train.inputs.shape[1] == 120
    starts = np.sort(np.concatenate([s.inputs[:, 70] for s in (data.train, data.validation, data.test)]))
    np.testing.assert_allclose(starts, 0.05 * np.arange(2, 200) + 0.00025, rtol=1e-4)
    spread = np.diff(np.sort(data.test.inputs[:, 70]))
    assert 0.1 < spread.min() and spread.max() < 0.3
    # Spikes stay relative to the window: the one at 1.05 s is at the start of one.
    spikes = np.concatenate([s.targets[:, 0] for s in (data.train, data.validation, data.test)])
    np.testing.assert_allclose(spikes[np.isfinite(spikes)], 0.0, atol=1e-3)


def test_an_installed_nitime_is_found(folder, tmp_path, monkeypatch, alone):
    package = tmp_path / "site" / "nitime"
    (package / "data").mkdir(parents=True)
    (package / "__init__.py").write_text("")
    for path in folder.glob("grasshopper*"):
        path.rename(package / "data" / path.name)
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    assert len(load_grasshopper().test) == 25


def test_what_is_wrong_is_named(folder):
    with pytest.raises(ValueError, match="download=True"):
        load_grasshopper(download=True)
    with pytest.raises(ValueError, match="recording=3"):
        load_grasshopper(recording=3)
    with pytest.raises(ValueError, match="window=100.0 and resolution=3.0"):
        load_grasshopper(data_dir=folder, resolution=3.0)
    with pytest.raises(ValueError, match="lead=0.5 and resolution=1.0"):
        load_grasshopper(data_dir=folder, lead=0.5)
    with pytest.raises(ValueError, match="test_size=100"):
        load_grasshopper(data_dir=folder, test_size=100)
    with pytest.raises(st.DataError, match=r"(?s)got no folder with.*spike_times2.*Looked in.*Fix"):
        load_grasshopper(data_dir=folder, recording=2)
    (folder / "grasshopper_stimulus1.txt").write_text("0 1\n")
    with pytest.raises(st.DataError, match="not the published file"):
        load_grasshopper(data_dir=folder)
