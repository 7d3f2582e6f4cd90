"""Core stays light: what it imports, and when."""

import subprocess
import sys

import pytest

HEAVY = ("diffrax", "optimistix", "lineax", "optax", "torch", "saltation_ode", "saltation_neurons", "saltation_train")


def loaded(code: str, *modules: str) -> set[str]:
    """Which of `modules` a fresh interpreter has loaded after `code`."""
    check = f"{code}\nimport sys; print([m for m in {modules!r} if m in sys.modules])"
    run = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    return set(eval(run.stdout.splitlines()[-1]))


def test_core_imports_no_plugin_and_none_of_their_libraries():
    assert loaded("import saltation; saltation.Spikes; saltation.InTheLoop; saltation.feedforward", *HEAVY) == set()


def test_every_public_name_is_there_without_them():
    code = "import saltation\nfor name in saltation.__all__: getattr(saltation, name)"
    assert loaded(code, *HEAVY) == set()


@pytest.mark.parametrize(
    "code", ["import saltation", "import saltation.plugins", "import saltation; saltation.plugins"]
)
def test_discovery_imports_no_jax(code):
    assert loaded(code, "jax", "equinox", "numpy") == set()


def test_jax_comes_with_the_first_array():
    assert loaded("import saltation; saltation.Spikes", "jax", "equinox") == {"jax", "equinox"}


def test_importing_changes_no_configuration():
    code = "import saltation\nfor name in saltation.__all__: getattr(saltation, name)\nimport jax"
    checks = "jax.config.jax_enable_x64, jax.config.jax_numpy_dtype_promotion, jax.config.jax_debug_nans"
    run = [sys.executable, "-c", f"{code}\nprint({checks})"]
    plain = [sys.executable, "-c", f"import jax\nprint({checks})"]
    outputs = [subprocess.run(c, capture_output=True, text=True, check=True).stdout for c in (run, plain)]
    assert outputs[0] == outputs[1]
