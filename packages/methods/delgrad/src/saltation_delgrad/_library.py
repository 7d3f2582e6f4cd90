"""The native kernel's library: whether it was built, and whether it loads. Imports no JAX."""

import ctypes
import functools
from pathlib import Path

PATH = Path(__file__).with_name("_kernel.so")


@functools.cache
def load() -> ctypes.CDLL | str:
    """The library, or why there is none."""
    if not PATH.exists():
        return "it was not built: install a C++ compiler (g++ or clang++), then saltation-delgrad again"
    try:
        return ctypes.CDLL(str(PATH))
    except OSError as error:
        return f"it cannot be loaded: {error}. Install saltation-delgrad again on this machine"


def in_words() -> str:
    """Which kernel a CPU uses, in two words."""
    return "plain JAX" if isinstance(load(), str) else "native kernel"
