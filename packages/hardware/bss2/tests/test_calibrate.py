"""The calibration routine finds the fixed pattern from spikes, and its corrections bring circuits closer together."""

import jax
import numpy as np
import pytest

from saltation_bss2 import BSS2Emulator, Calibration, Chip, Effects, calibrate
from saltation_bss2.__main__ import main


@pytest.fixture(scope="module")
def calibrated():
    return Chip(3), calibrate(Chip(3), key=jax.random.key(0), repetitions=10)


def test_it_finds_the_pattern(calibrated):
    chip, calibration = calibrated
    pattern = chip.pattern
    for name in ("tau_mem", "tau_syn", "gain_excitatory", "gain_inhibitory", "bias"):
        # Spikes tell gains relative to the threshold only.
        off = getattr(pattern, name) / (1.0 if name.startswith("tau") else pattern.threshold)
        corrected = off * getattr(calibration, name)
        assert np.std(corrected) < 0.85 * np.std(off), name
        assert np.corrcoef(off, 1 / getattr(calibration, name))[0, 1] > 0.6, name
    assert calibration.lateness == pytest.approx(0.076, abs=0.02)  # 80 ns, rounded down to stamps


def test_it_finds_the_law_of_delays(calibrated):
    chip, calibration = calibrated
    pairs = slice(1, 510)
    assert np.std(calibration.delay_slope[pairs] - chip.pattern.delay_slope[pairs]) < 0.02
    error = calibration.delay_offset[pairs] - chip.pattern.delay_offset[pairs]
    both = 10.0 * (calibration.delay_slope[pairs] - chip.pattern.delay_slope[pairs]) + error
    assert np.std(both) < 0.1


def test_it_brings_the_chip_closer_to_the_model(calibrated, network, times, measure, first):
    """On spikes of networks that it was not made with, and at the time constants that it was made for."""
    chip, calibration = calibrated
    net = network(delay="axonal")
    ideal = measure(BSS2Emulator(effects="none", microseconds=0.6), net, times(batch=150))

    def error(calibration):
        noiseless = Effects(membrane_noise=False, jitter=False, drift=False, loss=False, input_loss=False)
        backend = BSS2Emulator(chip, calibration, effects=noiseless, microseconds=0.6)
        found = measure(backend, net, times(batch=150))
        off = first(found, "hidden1") - first(ideal, "hidden1")
        return np.sqrt(np.mean(off[np.isfinite(off)] ** 2))

    assert error(calibration) < 0.6 * error(None)


@pytest.mark.slow
def test_it_uses_nothing_but_spikes_of_the_given_effects():
    """Without an effect there is nothing to correct."""
    ideal = calibrate(Chip(3), key=jax.random.key(0), repetitions=1, effects=Effects.none())
    for name in ("tau_mem", "tau_syn", "gain_excitatory", "gain_inhibitory", "bias", "delay_slope"):
        np.testing.assert_allclose(getattr(ideal, name), 1.0, atol=2e-3)
    assert ideal.lateness == pytest.approx(0.0, abs=1e-6)


def test_the_command_saves_chips(tmp_path, capsys):
    path = tmp_path / "chip.npz"
    assert main(["chip", "3", str(path)]) == 0 and capsys.readouterr().out.strip() == str(path)
    assert Chip.load(path) == Chip(3)
    assert main(["calibrate", str(tmp_path / "missing.npz"), "out.npz"]) == 2
    assert "there is no file" in capsys.readouterr().err


def test_a_calibration_survives_its_file(tmp_path, calibrated):
    chip, calibration = calibrated
    calibration.save(tmp_path / "calibration.npz")
    backend = BSS2Emulator(chip, tmp_path / "calibration.npz")
    assert backend.calibration == calibration == Calibration.load(tmp_path / "calibration.npz")
