"""What both sides of the equilibrium benchmark share: cases, numbers, and how a side is timed.

A side answers each line on its standard input, a number of seconds, with the processor time of its steps; a last line
"values" with what it computed and its memory. Processor time of one thread is what a step would take on an idle core,
however busy the machine is.
"""

import ctypes
import gc
import json
import resource
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

BATCH, THRESHOLD, CLASSES = 128, 1.0, 10


class Case(NamedTuple):
    """`shape` of the images, `hidden`: (height, width, channels) or (neurons,), and the number of steps."""

    shape: tuple[int, int, int]
    hidden: tuple[int, ...]
    steps: int

    @property
    def convolutional(self) -> bool:
        return len(self.hidden) == 3


CASES = {
    "fc5": Case((28, 28, 1), (400,), 5),
    "conv5": Case((28, 28, 1), (14, 14, 64), 5),
    "conv30": Case((28, 28, 1), (14, 14, 64), 30),
}


def draw(case: Case) -> dict[str, np.ndarray]:
    """Weights, images and labels, in float32; kernels are [height, width, in, out], matrices [in, out]."""
    rng = np.random.default_rng(0)
    units = int(np.prod(case.hidden))
    if case.convolutional:
        channels = case.hidden[2]
        into, back = rng.normal(size=(5, 5, case.shape[2], channels)) / 5, rng.normal(size=(5, 5, channels, channels))
        back = 0.4 * back / (5 * channels**0.5)
    else:
        pixels = int(np.prod(case.shape))
        into, back = rng.normal(size=(pixels, units)) / pixels**0.5, 0.4 * rng.normal(size=(units, units)) / units**0.5
    return {
        "into": into.astype(np.float32),
        "back": back.astype(np.float32),
        "out": (rng.normal(size=(units, CLASSES)) / units**0.5).astype(np.float32),
        "x": rng.uniform(0, 1.5, (BATCH, int(np.prod(case.shape)))).astype(np.float32),
        "labels": rng.integers(0, CLASSES, BATCH).astype(np.int32),
    }


def resident() -> int:
    """The bytes of memory that this process holds now."""
    return _status("VmRSS")


def serve(step: Callable[[], Any], values: Callable[[], dict[str, np.ndarray]], notes: str, *, libraries: int) -> None:
    """Answers as described above; `step()` is one loss with its gradients, `values()` the same as arrays.

    `libraries` are the bytes that were resident once everything was imported.
    """
    step()
    print(json.dumps({"notes": notes}), flush=True)
    for line in sys.stdin:
        if line.strip() == "values":
            process = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
            memory = {"process": process, "beyond_libraries": process - libraries, "step": _memory_of(step)}
            found = {name: np.asarray(array).tolist() for name, array in values().items()}
            print(json.dumps({"memory_bytes": memory, "values": found}), flush=True)
            return
        seconds, times = float(line), []
        while sum(times) < seconds or len(times) < 2:
            start = time.process_time()
            step()
            times.append(time.process_time() - start)
        print(json.dumps({"median": statistics.median(times), "best": min(times), "calls": len(times)}), flush=True)


def _memory_of(step: Callable[[], Any]) -> int:
    """The bytes that a step needs for as long as it runs, beyond what the process holds between two of them."""
    gc.collect()
    # What was freed goes back to the system, or a step would find it there and seem to need nothing.
    ctypes.CDLL("libc.so.6").malloc_trim(0)
    before = resident()
    Path("/proc/self/clear_refs").write_text("5")  # The peak starts anew.
    step()
    return _status("VmHWM") - before


def _status(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(name + ":"))
