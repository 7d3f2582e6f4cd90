"""Fixtures: a fake installed plugin with a toy method, its data and its recipes."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import jax
import pytest
from jax.experimental.compilation_cache.compilation_cache import reset_cache

from saltation.plugins import refresh

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the metadata of an installed distribution, as pip leaves it."""
    folder = tmp_path_factory.mktemp("site")
    info = folder / "saltation_toy-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: saltation-toy\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[saltation]\ntoy = saltation_toy_plugin\n")
    return folder


@pytest.fixture(scope="module", autouse=True)
def toy(site: Path) -> Iterator[None]:
    """The toy plugin, installed for the tests of a module and forgotten after them."""
    before = list(sys.path)
    sys.path[:0] = [str(site), str(HERE)]
    refresh()
    yield
    sys.path[:] = before
    refresh()


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("compiled")


@pytest.fixture(scope="module", autouse=True)
def quick_compilation(cache: Path) -> Iterator[None]:
    """Small models take longer to compile than to train: less optimisation, and each one compiled once."""
    settings = {
        "jax_compilation_cache_dir": str(cache),
        "jax_persistent_cache_min_compile_time_secs": 0.0,
    }
    before = {name: getattr(jax.config, name) for name in settings}
    before["jax_disable_most_optimizations"] = jax.config.read("jax_disable_most_optimizations")
    for name, value in {**settings, "jax_disable_most_optimizations": True}.items():
        jax.config.update(name, value)
    reset_cache()
    yield
    for name, value in before.items():
        jax.config.update(name, value)
    reset_cache()


@pytest.fixture
def command(site: Path) -> Callable[..., subprocess.CompletedProcess]:
    """Runs `saltation` in a process of its own that sees the toy plugin."""
    from saltation_toy_site import COMMAND

    def run(*arguments: str, **options) -> subprocess.CompletedProcess:
        return subprocess.run(
            [*COMMAND, *arguments],
            env=environment(site),
            capture_output=True,
            text=True,
            **options,
        )

    return run


def environment(site: Path) -> dict[str, str]:
    """The environment of a process that sees the toy plugin, and shares what was compiled."""
    paths = [str(site), str(HERE), os.environ.get("PYTHONPATH", "")]
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        "SALTATION_STRICT_PLUGINS": "",
        "JAX_COMPILATION_CACHE_DIR": str(jax.config.jax_compilation_cache_dir),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
    }


@pytest.fixture
def toy_environment(site: Path) -> dict[str, str]:
    return environment(site)
