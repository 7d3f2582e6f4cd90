"""A calibration: bias corrections for the circuits of one chip."""

import dataclasses
import hashlib
from pathlib import Path

import numpy as np

from saltation import DataError

from . import _facts as facts
from ._chip import Chip
from ._files import check_format, read_arrays, write_arrays

FORMAT = 1
KIND = "saltation-bss2 calibration"


@dataclasses.dataclass(frozen=True, eq=False)
class Calibration:
    """Factors `[512]` by which biases are corrected, for the chip with the fingerprint `chip`.

    Synaptic gains and the bias current are corrected relative to the threshold, since spikes tell no more.
    `delay_slope` and `delay_offset` (microseconds) are those of each pair's law, which settings of delays then take
    into account; `lateness` is how late time stamps are.

    ```python
    calibration = calibrate(Chip(3), key=jax.random.key(0))
    calibration.save("chip3-calibration.npz")
    BSS2Emulator(chip=3, calibration="chip3-calibration.npz")
    ```
    """

    chip: str
    tau_mem: np.ndarray
    tau_syn: np.ndarray
    gain_excitatory: np.ndarray
    gain_inhibitory: np.ndarray
    bias: np.ndarray
    delay_slope: np.ndarray
    delay_offset: np.ndarray
    lateness: float

    @property
    def identity(self) -> str:
        """A fingerprint: two calibrations are equal if it is."""
        digest = hashlib.sha256(self.chip.encode())
        for name in _ARRAYS:
            digest.update(np.ascontiguousarray(getattr(self, name)).tobytes())
        digest.update(repr(float(self.lateness)).encode())
        return digest.hexdigest()[:16]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Calibration) and other.identity == self.identity

    def __hash__(self) -> int:
        return hash(self.identity)

    def check(self, chip: Chip) -> None:
        """Raise `DataError` for a chip that this is not the calibration of."""
        if chip.identity != self.chip:
            raise DataError(
                f"this calibration is of the chip {self.chip!r}, and {chip!r} is another one; expected the chip that "
                "was calibrated. Calibrate this one: calibrate(chip, key=...)."
            )

    def save(self, path: str | Path) -> None:
        """Write it into a file (`.npz`)."""
        arrays = {name: getattr(self, name) for name in _ARRAYS}
        header = {"kind": KIND, "format": FORMAT, "chip": self.chip, "lateness": float(self.lateness)}
        write_arrays(path, header, arrays)

    @classmethod
    def load(cls, path: str | Path) -> "Calibration":
        """The calibration that `save` wrote.

        **Raises:** `DataError` for a file that is missing, damaged, of another version, or no calibration.
        """
        header, arrays = read_arrays(path, KIND)
        check_format(path, header, KIND, FORMAT)
        wrong = [name for name in _ARRAYS if name not in arrays or arrays[name].shape != (facts.NEURONS,)]
        if wrong or set(arrays) != set(_ARRAYS):
            raise DataError(f"{path} holds other arrays than a calibration ({', '.join(wrong)}); restore the file.")
        return cls(chip=str(header["chip"]), lateness=float(header["lateness"]), **arrays)


_ARRAYS = tuple(field.name for field in dataclasses.fields(Calibration) if field.name not in ("chip", "lateness"))
