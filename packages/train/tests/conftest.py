"""Fixtures: a fake installed plugin with a toy method, its data and its recipes."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
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


@pytest.fixture(scope="session", autouse=True)
def toy(site: Path) -> Iterator[None]:
    """The toy plugin, installed for all tests of this package and forgotten after them."""
    before = list(sys.path)
    sys.path[:0] = [str(site), str(HERE)]
    refresh()
    yield
    sys.path[:] = before
    refresh()


@pytest.fixture
def command(site: Path) -> Callable[..., subprocess.CompletedProcess]:
    """Runs `saltation` in a process of its own that sees the toy plugin."""

    def run(*arguments: str, **options) -> subprocess.CompletedProcess:
        return subprocess.run(
            [sys.executable, "-c", "import sys; from saltation_train._cli import main; sys.exit(main())", *arguments],
            env=environment(site),
            capture_output=True,
            text=True,
            **options,
        )

    return run


def environment(site: Path) -> dict[str, str]:
    paths = [str(site), str(HERE), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths)), "SALTATION_STRICT_PLUGINS": ""}
