"""Circuits as they are: the fixed pattern, with a calibration's corrections, as far as its effects are on."""

import dataclasses

import numpy as np

from . import _facts as facts
from ._calibration import Calibration
from ._chip import Chip
from ._effects import Effects


@dataclasses.dataclass(frozen=True, eq=False)
class Circuits:
    """Factors by which circuits `[512]` and synapses `[hemisphere, row, column]` are off; 1 is ideal.

    A pair delays by `delay_slope d + delay_offset` (microseconds) when it is set to `d`; the settings know the law
    `known_slope`, `known_offset`. Time stamps are late by `lateness`, of which `known_lateness` is taken off.
    """

    tau_mem: np.ndarray
    tau_syn: np.ndarray
    threshold: np.ndarray
    gain: tuple[np.ndarray, np.ndarray]
    bias: np.ndarray
    synapse: np.ndarray
    delay_slope: np.ndarray
    delay_offset: np.ndarray
    known_slope: np.ndarray
    known_offset: np.ndarray
    loss: np.ndarray
    lateness: float
    known_lateness: float

    @classmethod
    def of(cls, chip: Chip, calibration: Calibration | None, effects: Effects) -> "Circuits":
        """The circuits of a chip; what is switched off is ideal, and not corrected either."""
        pattern = chip.pattern
        one, zero = np.ones(facts.NEURONS), np.zeros(facts.NEURONS)

        def corrected(name: str, on: bool) -> np.ndarray:
            if not on:
                return one
            return getattr(pattern, name) * (1.0 if calibration is None else getattr(calibration, name))

        mismatched = effects.delay_mismatch
        known = calibration if mismatched else None
        lateness = facts.LATENESS if effects.lateness else 0.0
        return cls(
            tau_mem=corrected("tau_mem", effects.time_constants),
            tau_syn=corrected("tau_syn", effects.time_constants),
            threshold=pattern.threshold if effects.thresholds else one,
            gain=(corrected("gain_excitatory", effects.gains), corrected("gain_inhibitory", effects.gains)),
            bias=corrected("bias", effects.gains),
            synapse=pattern.synapse if effects.gains else np.ones_like(pattern.synapse),
            delay_slope=pattern.delay_slope if mismatched else one,
            delay_offset=pattern.delay_offset if mismatched else zero,
            known_slope=one if known is None else known.delay_slope,
            known_offset=zero if known is None else known.delay_offset,
            loss=pattern.loss if effects.loss else zero,
            lateness=lateness,
            known_lateness=calibration.lateness if calibration is not None and effects.lateness else 0.0,
        )
