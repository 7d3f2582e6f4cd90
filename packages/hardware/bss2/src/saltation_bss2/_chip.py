"""A chip: its fixed pattern, which belongs to it and not to a run."""

import dataclasses
import hashlib
from pathlib import Path

import numpy as np

from saltation import DataError

from . import _facts as facts
from ._files import check_format, read_arrays, write_arrays
from ._pattern import Pattern, Spread, draw_pattern

FORMAT = 1
KIND = "saltation-bss2 chip"


class Chip:
    """One emulated chip. The same seed, or the same file, is the same chip in every process.

    **Arguments:** `seed`: which chip; `spread`: how much circuits of a chip differ.

    **Raises:** `ValueError` for a seed that is not a whole number from 0 to 2^32 - 1.

    ```python
    chip = Chip(3)
    chip.save("chip3.npz")
    assert Chip.load("chip3.npz") == chip
    ```
    """

    def __init__(self, seed: int = 0, spread: Spread = Spread()):
        if isinstance(seed, bool) or not isinstance(seed, int | np.integer) or not 0 <= seed < 2**32:
            raise ValueError(f"Chip got seed={seed!r}; expected a whole number from 0 to 2^32 - 1.")
        self._fill(int(seed), draw_pattern(int(seed), spread))

    def _fill(self, seed: int, pattern: Pattern) -> None:
        self.seed, self.pattern = seed, pattern
        digest = hashlib.sha256()
        for field in dataclasses.fields(pattern):
            digest.update(np.ascontiguousarray(getattr(pattern, field.name)).tobytes())
        self.identity = digest.hexdigest()[:16]
        """A fingerprint of the pattern: two chips are equal if it is."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Chip) and other.identity == self.identity

    def __hash__(self) -> int:
        return hash(self.identity)

    def __repr__(self) -> str:
        return f"Chip({self.seed}, identity={self.identity!r})"

    def save(self, path: str | Path) -> None:
        """Write the pattern into a file (`.npz`)."""
        arrays = {field.name: getattr(self.pattern, field.name) for field in dataclasses.fields(self.pattern)}
        write_arrays(path, {"kind": KIND, "format": FORMAT, "seed": self.seed}, arrays)

    @classmethod
    def load(cls, path: str | Path) -> "Chip":
        """The chip that `save` wrote.

        **Raises:** `DataError` for a file that is missing, damaged, of another version, or no chip.
        """
        header, arrays = read_arrays(path, KIND)
        check_format(path, header, KIND, FORMAT)
        wanted: dict[str, tuple[int, ...]] = {field.name: (facts.NEURONS,) for field in dataclasses.fields(Pattern)}
        wanted["synapse"] = (facts.HEMISPHERES, facts.ROWS, facts.COLUMNS)
        found = {name: array.shape for name, array in arrays.items()}
        if found != wanted or not all(np.isfinite(array).all() for array in arrays.values()):
            wrong = sorted(name for name in {*found, *wanted} if found.get(name) != wanted.get(name))
            raise DataError(
                f"{path} holds another chip than expected (wrong or not finite: {', '.join(wrong) or 'values'}). "
                "Restore the file, or make a chip from its seed: Chip(seed)."
            )
        chip = cls.__new__(cls)
        chip._fill(int(header["seed"]), Pattern(**arrays))
        return chip
