"""Membrane samples: what the chip's 8-bit ADC reports of potentials."""

import dataclasses

import numpy as np

import saltation as st

from . import _facts as facts
from ._units import Units


@dataclasses.dataclass(frozen=True)
class Recording:
    """Membrane samples of a population, all its neurons at once.

    **Arguments:**

    - `population`: whose.
    - `period`: microseconds of the chip between samples, at least 1.7.
    - `start`: when the first is taken, in microseconds after the population's time begins.

    At most 100 samples a run fit into the fast memory, so a recording ends after 100, or at the end of the run.
    Samples are whole numbers from 0 to 255; those from 30 to 210 are reliable.

    **Raises:** `ValueError` for a period that is too short.
    """

    population: str
    period: float = facts.SAMPLE_PERIOD
    start: float = 0.0

    def __post_init__(self):
        if not self.period >= facts.SAMPLE_PERIOD or not self.start >= 0:
            raise ValueError(
                f"Recording got period={self.period} and start={self.start}; expected a period of at least "
                f"{facts.SAMPLE_PERIOD} us, which the ADC needs for a sample of all neurons, and a start from 0 on."
            )

    def times(self, end: float) -> np.ndarray:
        """When samples are taken, in microseconds."""
        times = self.start + self.period * np.arange(facts.MAX_SAMPLES)
        return times[times < end]

    def check(self, names: list[str]) -> None:
        """Raise `UnsupportedError` for a population that is not on the chip."""
        if self.population not in names:
            raise st.UnsupportedError(f"Recording got the population {self.population!r}; expected one of {names}.")


def digitise(potential: np.ndarray) -> np.ndarray:
    """ADC values of potentials in thresholds above the leak."""
    return np.clip(np.round(Units.to_cadc(potential)), 0, 255).astype(np.uint8)
