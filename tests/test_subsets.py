"""Parts without the others: core stands on its own, and what is missing is named."""

import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# Not `None` in sys.modules: what is not installed cannot be found, and raises ModuleNotFoundError.
WITHOUT = """
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        top = name.partition(".")[0]
        if top in {missing!r} or ({plugins!r} and top.startswith("saltation_")):
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Missing())
"""

CORE = """
import jax, jax.numpy as jnp
import saltation as st
from typing import NamedTuple
import equinox as eqx

class State(NamedTuple):
    v: jax.Array

class Leaky(st.AbstractODENeuron):
    shape: tuple = eqx.field(converter=st.population_shape, static=True, default=())

    def init(self, *, key=None):
        return State(jnp.zeros(self.shape))
    def vector_field(self, t, state, current):
        return State(current - state.v)
    def guard(self, state):
        return state.v - 1.0
    def reset(self, state, *, key=None):
        return State(jnp.zeros_like(state.v))
    def receive(self, state, kick, port):
        return State(state.v + kick)
    def observe(self, state):
        return state.v

for name in dir(st):
    getattr(st, name)
net = st.feedforward([2, 3, 1], Leaky(), delay="axonal", key=jax.random.key(0))
assert [stage.populations for stage in net.stages()] == [("hidden1",), ("out",)]
assert st.get_encoder("latency") is st.latency
"""


def without(*missing: str, plugins: bool = False) -> str:
    return WITHOUT.format(missing=missing, plugins=plugins)


def test_core_works_alone(python):
    python("-c", without("diffrax", "optimistix", "lineax", "optax", "torch", "matplotlib", plugins=True) + CORE)


def test_core_imports_no_plugin_and_no_library_of_a_plugin(python):
    loaded = set(python("-c", CORE + "\nimport sys; print(*sys.modules)").stdout.split())
    assert not loaded & {"diffrax", "optimistix", "lineax", "optax", "torch", "matplotlib", "sklearn", "tqdm"}
    # The look-up of a name reads the light `plugin.py` of each plugin, and nothing beyond it.
    ours = {name for name in loaded if name.startswith("saltation_")}
    # A plugin may look whether its library is there.
    assert {name.partition(".")[2] for name in ours} <= {"", "plugin", "_library"}


def test_importing_saltation_imports_no_jax(python):
    python("-c", "import sys, saltation, saltation.plugins; assert 'jax' not in sys.modules")


def test_a_method_whose_library_is_missing_says_so_and_breaks_nothing_else(python):
    code = """
import saltation as st
from saltation.plugins import list_plugins

assert {plugin.status for plugin in list_plugins()} == {"ok"}
try:
    st.get_method("ode")
except st.PluginError as error:
    assert "saltation-ode" in str(error) and "diffrax" in str(error), error
else:
    raise AssertionError("diffrax was found")
st.get_neuron("lif")(3)
"""
    python("-c", without("diffrax") + code)


def test_without_plugins_an_unknown_name_says_what_to_install(python):
    code = """
import saltation as st
from saltation.plugins import list_plugins

status = {plugin.distribution: plugin.status for plugin in list_plugins()}
assert status.pop("saltation") == "ok" and set(status.values()) <= {"broken"}, status
try:
    st.get_method("ode")
except st.UnknownNameError as error:
    assert "saltation-ode" in str(error), error
"""
    python("-c", without(plugins=True) + code)


@pytest.mark.slow
def test_core_in_an_environment_that_holds_only_what_it_declares(tmp_path):
    # Debian's Python may lack what venv needs; nox brings virtualenv.
    maker = "virtualenv" if find_spec("virtualenv") else "venv"
    subprocess.run([sys.executable, "-m", maker, str(tmp_path / "venv")], check=True)
    python = tmp_path / "venv" / "bin" / "python"
    constraints = ROOT / "constraints" / "constraints.txt"
    install = ["-m", "pip", "install", "--quiet", "-c", str(constraints), str(ROOT / "packages" / "core")]
    subprocess.run([python, *install], check=True)
    subprocess.run([python, "-c", CORE], check=True, cwd=tmp_path)
    listed = subprocess.run([python, "-m", "pip", "list"], check=True, capture_output=True, text=True).stdout
    assert re.findall(r"^saltation\S*", listed, re.MULTILINE) == ["saltation"]
    assert not re.search(r"^(diffrax|optax|torch|matplotlib)\b", listed, re.MULTILINE)
