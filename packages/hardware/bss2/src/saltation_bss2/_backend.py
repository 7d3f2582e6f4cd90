"""The backend: a chip, and how networks are put on it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import equinox as eqx

import saltation as st

from . import _facts as facts
from ._calibration import Calibration
from ._chip import Chip
from ._effects import Effects
from ._noise import Levels
from ._place import place
from ._program import BSS2Program
from ._units import Units


class BSS2Emulator(st.AbstractBackend):
    """An emulated BrainScaleS-2 chip: a mixed-signal chip with 512 neurons, some thousand times faster than biology.

    Layers of `LIF` or `AtMostOnce(LIF)` neurons, 6-bit weights, axonal delays; neurons that deviate from the model by a
    fixed pattern of this chip, and by noise.

    **Arguments:**

    - `chip`: a `Chip`, its seed, or the file that `Chip.save` wrote.
    - `calibration`: a `Calibration` of this chip, or its file; `None` for the chip as it comes.
    - `effects`: an `Effects`, or words such as "none" (the ideal mock) or "-jitter,-loss".
    - `microseconds`: of the chip, for one unit of the model's time.
    - `weight_scale`: the hardware weight of a model weight of one threshold.
    - `input_copies`: rows of synapses for each input, which add up: the range of input weights grows with them.
    - `refractory`: in microseconds; 30 for neurons that spike at most once and the shortest for others if `None`.
    - `levels`: how strong the noise is.

    **Raises:** `ValueError` for arguments out of range; `DataError` for files that are missing, damaged, of another
    version, or a calibration of another chip.

    The chip's figures: Pehle et al., Frontiers in Neuroscience 2022; Göltz et al., Nature Communications 2025.

    ```python
    method = st.InTheLoop(DelGrad(), BSS2Emulator(chip=3, microseconds=0.6))
    ```
    """

    chip: Chip = eqx.field(static=True)
    calibration: Calibration | None = eqx.field(static=True)
    effects: Effects = eqx.field(static=True)
    units: Units = eqx.field(static=True)
    levels: Levels = eqx.field(static=True)
    input_copies: int = eqx.field(static=True)
    refractory: float | None = eqx.field(static=True)

    def __init__(
        self,
        chip: Chip | int | str | Path = 0,
        calibration: Calibration | str | Path | None = None,
        *,
        effects: Effects | str = "all",
        microseconds: float = 1.0,
        weight_scale: float = 30.0,
        input_copies: int = 5,
        refractory: float | None = None,
        levels: Levels = Levels(),
    ):
        if isinstance(chip, str | Path):
            chip = Chip.load(chip)
        elif not isinstance(chip, Chip):
            chip = Chip(chip)
        if isinstance(calibration, str | Path):
            calibration = Calibration.load(calibration)
        if calibration is not None:
            calibration.check(chip)
        if isinstance(input_copies, bool) or not isinstance(input_copies, int) or input_copies < 1:
            raise ValueError(f"BSS2Emulator got input_copies={input_copies!r}; expected a whole number from 1 on.")
        low, high = facts.REFRACTORY
        if refractory is not None and not low <= refractory <= high:
            raise ValueError(f"BSS2Emulator got refractory={refractory!r}; expected {low} to {high} microseconds.")
        self.chip = chip
        self.calibration = calibration
        self.effects = Effects.parse(effects) if isinstance(effects, str) else effects
        self.units = Units(microseconds, weight_scale)
        self.levels = levels
        self.input_copies = input_copies
        self.refractory = refractory

    @property
    def capabilities(self) -> st.Capabilities:
        return st.Capabilities(
            neurons=("lif", "at_most_once"),
            max_neurons=facts.NEURONS,
            recurrent=False,
            delays=True,
            noisy=self.effects.random,
        )

    def prepare(self, structure: st.Network, stimulus: Mapping[str, Any], *, t1: float, max_spikes: int) -> BSS2Program:
        placement = place(
            structure,
            stimulus,
            t1=t1,
            max_spikes=max_spikes,
            units=self.units,
            input_copies=self.input_copies,
            refractory=self.refractory,
        )
        return BSS2Program(placement, self.chip, self.calibration, self.effects, self.levels, self.units, max_spikes)
