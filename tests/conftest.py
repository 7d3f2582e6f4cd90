"""Fixtures of tests across packages: commands and scripts in processes of their own, as a user starts them."""

import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

# A distribution of its own with tests of its own, which run where it is installed.
collect_ignore = ["third_party"]

ROOT = Path(__file__).parents[1]
COMMAND = [sys.executable, "-c", "import sys; from saltation_train._cli import main; sys.exit(main())"]

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment variables of a user's process: nothing of this test run, pictures without a screen."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SALTATION_", "JAX_"))}
    return {
        **kept,
        "MPLBACKEND": "Agg",
        "JAX_PLATFORMS": "cpu",
        # What one process has compiled, the next one need not.
        "JAX_COMPILATION_CACHE_DIR": str(tmp_path_factory.mktemp("compiled")),
    }


@pytest.fixture
def python(environment: Mapping[str, str], tmp_path: Path) -> Run:
    """Runs Python with arguments in a process and an empty folder of its own; fails if it does."""

    def run(*arguments: str, env: Mapping[str, str] | None = None, status: int = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [sys.executable, *arguments],
            env={**environment, **(env or {})},
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )
        assert done.returncode == status, f"{arguments}\n{done.stdout}\n{done.stderr}"
        return done

    return run


@pytest.fixture
def saltation(python: Run) -> Run:
    """Runs the command `saltation`."""

    def run(*arguments: str, **options) -> subprocess.CompletedProcess[str]:
        return python(*COMMAND[1:], *arguments, **options)

    return run
