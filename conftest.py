"""Settings of all tests: float64, no silent promotion, and types and shapes checked by jaxtyping.

Works in an environment that holds only some of the packages, and for tests of packages that need no JAX.
"""

import gc
import os
import zlib
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent
_MOST_MAPS = 45_000

# The hook instruments exact top-level names only: `saltation` would not cover `saltation_neurons`.
CHECKED = sorted(
    package.name
    for pattern in ("packages/*/src/*", "packages/*/*/src/*")
    for package in ROOT.glob(pattern)
    if (package / "__init__.py").exists() and find_spec(package.name)
)

# Tests compile much and run little: compiled with less care, most of them take half the time.
os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0 --xla_cpu_use_fusion_emitters=false")

# Tracing makes many objects that live for long: the collector would go through all of them again and again.
gc.set_threshold(10_000)

if find_spec("jax"):
    import jax

    jax.config.update("jax_enable_x64", True)
    jax.config.update("jax_numpy_dtype_promotion", "strict")
    jax.config.update("jax_numpy_rank_promotion", "raise")
    # Most of a test's time is compilation, and most of that has been done by the run before.
    jax.config.update("jax_compilation_cache_dir", str(ROOT / ".pytest_cache" / "jax"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)

if find_spec("jaxtyping") and find_spec("beartype"):
    from jaxtyping import install_import_hook

    install_import_hook(CHECKED, "beartype.beartype")
else:
    CHECKED.clear()


def pytest_report_header() -> str:
    return f"types checked in: {', '.join(CHECKED) or 'nothing (jaxtyping or beartype is missing)'}"


@pytest.fixture(scope="module", autouse=True)
def room_for_programs():
    """Frees what a test process has compiled before it reaches the kernel's limit of memory maps, and crashes.

    Every program takes some of the 65,530 that Linux allows by default.
    """
    yield
    maps = Path("/proc/self/maps")
    if find_spec("jax") and maps.exists() and maps.read_bytes().count(b"\n") > _MOST_MAPS:
        jax.clear_caches()
        gc.collect()


@pytest.fixture
def getkey(request: pytest.FixtureRequest) -> Callable[[], Any]:
    """A function that gives a fresh random key at every call, the same ones in every run of a test."""
    import jax

    key = jax.random.key(zlib.crc32(request.node.nodeid.encode()))
    count = 0

    def fresh() -> Any:
        nonlocal count
        count += 1
        return jax.random.fold_in(key, count)

    return fresh
