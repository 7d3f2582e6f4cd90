"""A chip is the same chip in every process, and its file says what it is."""

import subprocess
import sys

import numpy as np
import pytest

import saltation as st
from saltation_bss2 import BSS2Emulator, Calibration, Chip, Spread
from saltation_bss2 import _chip as chips
from saltation_bss2._files import write_arrays


def test_the_same_seed_is_the_same_chip_in_another_process():
    code = "from saltation_bss2 import Chip; print(Chip(3).identity)"
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    assert other == Chip(3).identity != Chip(4).identity


def test_a_chip_survives_its_file(tmp_path):
    chip = Chip(3, Spread(gain=0.2))
    chip.save(tmp_path / "chip.npz")
    loaded = Chip.load(tmp_path / "chip.npz")
    assert loaded == chip and loaded.seed == 3 and loaded != Chip(3)
    assert BSS2Emulator(str(tmp_path / "chip.npz")).chip == chip
    assert list(tmp_path.iterdir()) == [tmp_path / "chip.npz"]


def test_circuits_spread_as_much_as_they_should():
    pattern = Chip(0).pattern
    assert np.std(pattern.threshold) == pytest.approx(0.031, rel=0.1)
    assert np.mean(pattern.threshold) == pytest.approx(1.05, abs=0.005)
    # 95 % of the thresholds within 8 units of the ADC of the wanted one.
    assert np.mean(np.abs(pattern.threshold - 1.0) * 70 < 8) == pytest.approx(0.98, abs=0.02)
    for name in ("tau_mem", "tau_syn", "gain_excitatory", "gain_inhibitory", "bias", "synapse", "delay_slope"):
        assert np.std(np.log(getattr(pattern, name))) == pytest.approx(0.05, rel=0.1)
    assert pattern.loss.min() >= 0.003 and pattern.loss.max() <= 0.06


def damaged(path):
    path.write_bytes(path.read_bytes()[:1000])


def of_another_version(path):
    chip = Chip(0)
    header = {"kind": chips.KIND, "format": 99, "seed": 0}
    write_arrays(path, header, {"tau_mem": chip.pattern.tau_mem})


def a_calibration(path):
    write_arrays(path, {"kind": "saltation-bss2 calibration", "format": 1}, {})


def too_small(path):
    header = {"kind": chips.KIND, "format": chips.FORMAT, "seed": 0}
    write_arrays(path, header, {"tau_mem": np.ones(12)})


WRONG = {
    "missing": (lambda path: path.unlink(), "there is no file"),
    "damaged": (damaged, "is damaged or no saltation-bss2 chip"),
    "another version": (of_another_version, "has format 99; expected 1"),
    "another kind": (a_calibration, "is a 'saltation-bss2 calibration'; expected a 'saltation-bss2 chip'"),
    "another size": (too_small, r"wrong or not finite: .*tau_mem"),
}


@pytest.mark.parametrize("mistake", WRONG)
def test_a_file_that_is_no_chip_is_refused(tmp_path, mistake):
    spoil, message = WRONG[mistake]
    path = tmp_path / "chip.npz"
    Chip(0).save(path)
    spoil(path)
    with pytest.raises(st.DataError, match=message):
        Chip.load(path)


def test_a_calibration_belongs_to_its_chip(tmp_path):
    one = np.ones(512)
    calibration = Calibration(Chip(3).identity, one, one, one, one, one, one, 0.0 * one, 0.08)
    path = tmp_path / "calibration.npz"
    calibration.save(path)
    assert Calibration.load(path) == calibration
    assert BSS2Emulator(3, path).calibration == calibration
    with pytest.raises(st.DataError, match="is another one; expected the chip that was calibrated"):
        BSS2Emulator(4, path)
    with pytest.raises(st.DataError, match="is a 'saltation-bss2 calibration'; expected a 'saltation-bss2 chip'"):
        Chip.load(path)
