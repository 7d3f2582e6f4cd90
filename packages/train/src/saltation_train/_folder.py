"""The files of a run, by name."""

from dataclasses import dataclass
from pathlib import Path

from saltation import CheckpointError


@dataclass(frozen=True)
class Folder:
    """The folder of a run: what is read and written there, and nowhere else."""

    path: Path

    @property
    def config(self) -> Path:
        return self.path / "config.json"

    @property
    def metrics(self) -> Path:
        return self.path / "metrics.jsonl"

    @property
    def summary(self) -> Path:
        return self.path / "summary.json"

    @property
    def report(self) -> Path:
        return self.path / "report.html"

    @property
    def figures(self) -> Path:
        return self.path / "figures"

    def checkpoint(self, name: str) -> Path:
        """The checkpoint "last" or "best"."""
        return self.path / "checkpoints" / f"{name}.eqx"

    def is_run(self) -> bool:
        """Whether a run was started here."""
        files = (self.config, self.metrics, self.summary, self.checkpoint("best"))
        return any(file.exists() for file in files)

    def newest_checkpoint(self) -> Path:
        """`last.eqx`, or `best.eqx` if that was removed.

        **Raises:** `CheckpointError` if there is neither.
        """
        for name in ("last", "best"):
            if self.checkpoint(name).exists():
                return self.checkpoint(name)
        raise CheckpointError(
            f"got no checkpoint in {self.checkpoint('last').parent}; expected last.eqx or best.eqx to go on "
            "from. "
            "Fix: restore one, or train anew into another folder."
        )
