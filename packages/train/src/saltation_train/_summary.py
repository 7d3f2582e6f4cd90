"""`summary.json`: what a finished run comes down to, and what it was made with."""

import importlib.metadata
import json
import platform
import resource
import sys
from pathlib import Path
from typing import Any

import jax

from ._files import write_atomically

_LIBRARIES = ("jax", "jaxlib", "equinox", "optax", "diffrax", "numpy")


def versions() -> dict[str, str]:
    """The versions of Python, of all installed packages of Saltation, and of the libraries below them."""
    found = {"python": platform.python_version()}
    for distribution in importlib.metadata.distributions():
        name = (distribution.name or "").lower().replace("_", "-")
        if name == "saltation" or name.startswith("saltation-") or name in _LIBRARIES:
            found[name] = distribution.version
    return dict(sorted(found.items()))


def peak_memory_bytes() -> int:
    """The largest resident memory of this process so far."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Kilobytes on Linux, bytes on macOS.
    return peak if sys.platform == "darwin" else peak * 1024


def device() -> str:
    """What JAX computed on."""
    first = jax.devices()[0]
    return f"{first.platform}: {first.device_kind}"


def write_summary(path: Path, summary: dict[str, Any]) -> None:
    """Writes `summary.json`."""
    write_atomically(path, (json.dumps(summary, indent=2) + "\n").encode())


def read_summary(path: Path) -> dict[str, Any] | None:
    """Reads `summary.json`, `None` for a run that has not finished."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
