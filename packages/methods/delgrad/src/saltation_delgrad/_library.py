"""The native kernel's library: whether it was built, and whether it loads. Imports no JAX."""

import ctypes
import functools
import importlib.metadata
import re
from pathlib import Path

PATH = Path(__file__).with_name("_kernel.so")


@functools.cache
def load() -> ctypes.CDLL | str:
    """The library, or why there is none."""
    if not PATH.exists():
        return "it was not built: install a C++ compiler (g++ or clang++), then saltation-delgrad again"
    try:
        library = ctypes.CDLL(str(PATH))
    except OSError as error:
        return f"it cannot be loaded: {error}. Install saltation-delgrad again on this machine"
    library.saltation_jaxlib.restype = ctypes.c_char_p
    built, found = library.saltation_jaxlib().decode(), importlib.metadata.version("jaxlib")
    # JAX takes what was built for an older version of it, and does not start at all with what was for a newer one.
    if _numbers(found) < _numbers(built):
        return (
            f"it was built for jaxlib {built}, and {found} is installed. Install saltation-delgrad again, with this JAX"
        )
    return library


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"\d+", version)[:3])


def in_words() -> str:
    """Which kernel a CPU uses, in two words."""
    return "plain JAX" if isinstance(load(), str) else "native kernel"
