"""Units: how values of the model and values of the chip translate into each other."""

import dataclasses
import math
from typing import Any

import numpy as np

from . import _facts as facts


@dataclasses.dataclass(frozen=True)
class Units:
    """What one unit of the model is on the chip. The chip runs in microseconds.

    **Arguments:**

    - `microseconds`: of the chip, for one unit of the model's time. 1 is the chip's own pace for a model in ms.
    - `weight_scale`: the hardware weight of a model weight of one threshold; 63 is the largest hardware weight.

    **Raises:** `ValueError` for values that are not positive.

    A potential of the model is `80 + 70 (v - v_leak) / (v_threshold - v_leak)` on the chip's 8-bit ADC.
    """

    microseconds: float = 1.0
    weight_scale: float = 30.0

    def __post_init__(self):
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
                raise ValueError(f"Units got {field.name}={value!r}; expected a positive number.")

    def to_chip(self, time: np.ndarray | float) -> Any:
        """Microseconds of the chip."""
        return time * self.microseconds

    def to_model(self, time: np.ndarray | float) -> Any:
        """The model's unit of time."""
        return time / self.microseconds

    @staticmethod
    def to_cadc(potential: np.ndarray | float) -> Any:
        """A potential in thresholds above the leak, in units of the ADC; not rounded."""
        return facts.TYPICAL_LEAK + facts.CADC_PER_THRESHOLD * potential
