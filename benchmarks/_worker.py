"""One side of the benchmark as a process that stays alive, so that several are timed in turns."""

import json
import os
import subprocess
import sys
import tempfile
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

from _harness import ONE_THREAD

HERE = Path(__file__).parent
PATIENCE_SECONDS = 600.0


class WorkerError(Exception):
    """A side could not run; the message is the end of what it said."""


class Worker:
    """`python -m MODULE` on one problem: ready once constructed, timed by `measure`, ended by `close`."""

    def __init__(self, python: Path, module: str, variant: str, problem: Path, out: Path):
        self.out = out
        self._errors = tempfile.TemporaryFile(mode="w+")
        foreign = ("JAX_", "PYTHON")
        environment = {name: value for name, value in os.environ.items() if not name.startswith(foreign)}
        self._process = subprocess.Popen(
            [str(python), "-m", module, "--problem", str(problem), "--out", str(out), "--variant", variant],
            cwd=HERE,
            env=environment | ONE_THREAD,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
        )
        self.about = self._answer()

    def measure(self, seconds: float) -> dict[str, Any]:
        """`median` and `best` seconds of a training step, from as many `calls` as fit into `seconds`."""
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # it ended: the answer says how
            self._process.stdin.write(f"{seconds}\n")
            self._process.stdin.flush()
        return self._answer()

    def close(self) -> dict[str, Any]:
        """Ends the process and returns its peak memory."""
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        last = self._answer()
        self._process.wait()
        self._errors.close()
        return last

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        timer = threading.Timer(PATIENCE_SECONDS, self._process.kill)
        timer.start()
        try:
            for line in self._process.stdout:
                if line.startswith("{"):
                    return json.loads(line)
        finally:
            timer.cancel()
        self._process.wait()
        self._errors.seek(0)
        lines = self._errors.read().strip().splitlines() or [f"ended with status {self._process.returncode}"]
        raise WorkerError(lines[-1])


def python_of(environment: Path) -> Path:
    return environment / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
