"""Fixtures of core's tests."""

import importlib
import sys
import textwrap
from collections.abc import Callable, Iterator
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import pytest

from saltation._plugins._loader import Registry, scan
from saltation.plugins import refresh


class Site:
    """A directory of fake distributions, each one a plugin."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def install(
        self, distribution: str, code: str, *, entry: str = "plug", version: str = "1.0", value: str = ""
    ) -> None:
        """Writes a distribution whose plugin module holds `code`, as pip would leave it."""
        module = distribution.replace("-", "_") + "_plugin"
        (self.path / f"{module}.py").write_text(textwrap.dedent(code))
        info = self.path / f"{distribution.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")
        (info / "entry_points.txt").write_text(f"[saltation]\n{entry} = {value or module}\n")
        importlib.invalidate_caches()

    def scan(self) -> Registry:
        """Loads the plugins of this directory and no others."""
        found = distributions(path=[str(self.path)])
        return scan([point for distribution in found for point in distribution.entry_points])


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """An importable directory for fake plugins, forgotten after the test."""
    monkeypatch.syspath_prepend(str(tmp_path))
    refresh()
    yield Site(tmp_path)
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", None)).startswith(str(tmp_path)):
            del sys.modules[name]
    refresh()


@pytest.fixture
def good() -> Callable[[str], str]:
    """Code of a plugin that works and registers one method of the given name."""

    def code(name: str) -> str:
        return f"""
            from saltation.plugins import MethodSpec, hookimpl

            @hookimpl
            def saltation_methods():
                yield MethodSpec({name!r}, "collections:OrderedDict", "a method for a test")
        """

    return code


@pytest.fixture(scope="session")
def leaky() -> type:
    """A neuron of the smallest kind, for tests of what is built from neurons."""
    from typing import NamedTuple

    import equinox as eqx
    import jax.numpy as jnp

    import saltation as st

    class State(NamedTuple):
        v: Any

    class Leaky(st.AbstractODENeuron):
        shape: tuple[int, ...] = eqx.field(converter=st.population_shape, static=True, default=())
        tau_mem: Any = 20.0

        def init(self, *, key=None):
            return State(jnp.zeros(self.shape))

        def vector_field(self, t, state, current):
            return State((current - state.v) / self.tau_mem)

        def guard(self, state):
            return state.v - 1.0

        def reset(self, state, *, key=None):
            return State(jnp.zeros_like(state.v))

        def receive(self, state, kick, port):
            return State(state.v + kick)

        def observe(self, state):
            return state.v

    return Leaky
