"""Names are looked up among what is installed; a name that is not there gets a helpful answer."""

import os
import subprocess
import sys
import textwrap
import tomllib
from collections import OrderedDict
from pathlib import Path

import pytest

import saltation.plugins
from saltation import _errors
from saltation._plugins import _lookup
from saltation._plugins._known import KNOWN, known_plugin
from saltation._plugins._records import KINDS
from saltation.plugins import list_plugins, records, refresh

ROOT = Path(__file__).parents[3]


def run(code: str, site, **environment: str) -> subprocess.CompletedProcess:
    """Runs Python code in a process of its own that sees the fake plugins."""
    code = f"import sys; sys.path.insert(0, {str(site.path)!r})\n{textwrap.dedent(code)}"
    inherited = {name: value for name, value in os.environ.items() if name != "SALTATION_STRICT_PLUGINS"}
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={**inherited, **environment}
    )


def test_target_is_returned(site, good):
    site.install("one", good("ordered"))
    refresh()
    assert _lookup.get_method("ordered") is OrderedDict
    assert records("method")["ordered"].target == "collections:OrderedDict"


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_has_a_getter(site, kind):
    spec = KINDS[kind].spec.__name__
    site.install(
        "one",
        f"""
        from saltation.plugins import {spec}, hookimpl

        @hookimpl
        def {KINDS[kind].hook}():
            return [{spec}("mine", "os:path.join", "")]
        """,
    )
    refresh()
    assert getattr(_lookup, f"get_{kind}")("mine") is os.path.join


def test_what_is_installed_is_read_once_until_refreshed(site, good):
    list_plugins()
    site.install("later", good("later"))
    assert "later" not in records("method")
    refresh()
    assert "later" in records("method")


def test_core_brings_its_encoders_and_losses():
    assert {"latency", "constant_current", "poisson"} <= set(records("encoder"))
    assert {
        "first_spike_cross_entropy",
        "first_spike_mse",
        "state_cross_entropy",
        "rate_cross_entropy",
        "keep_firing",
    } <= set(records("loss"))


@pytest.mark.parametrize("kind", ["encoder", "loss"])
def test_core_own_targets_are_there(kind):
    for name, record in records(kind).items():
        if record.target.startswith("saltation:"):
            assert callable(getattr(_lookup, f"get_{kind}")(name))


def test_unknown_kind_is_refused():
    with pytest.raises(ValueError, match="got kind='methods', expected one of neuron, method"):
        records("methods")


def test_misspelt_name_gets_the_nearest_and_what_is_installed(site, good):
    site.install("one", good("gradual"))
    refresh()
    with pytest.raises(
        _errors.UnknownNameError, match=r"no method 'gradul'.*Did you mean 'gradual'.*Installed:.*gradual"
    ):
        _lookup.get_method("gradul")
    with pytest.raises(LookupError):
        _lookup.get_method("gradul")


def _nothing_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_lookup.importlib.metadata, "entry_points", lambda **_: [])
    refresh()


@pytest.mark.parametrize(
    ("kind", "name", "distribution", "path"),
    [
        ("method", "ode", "saltation-ode", "packages/methods/ode"),
        ("method", "delgrad", "saltation-delgrad", "packages/methods/delgrad"),
        ("method", "equilibrium", "saltation-equilibrium", "packages/methods/equilibrium"),
        ("method", "roughsde", "saltation-roughsde", "packages/methods/roughsde"),
        ("backend", "bss2-emulator", "saltation-bss2", "packages/hardware/bss2"),
        ("dataset", "yinyang", "saltation-datasets", "packages/datasets"),
        ("neuron", "lif", "saltation-neurons", "packages/neurons"),
        ("recipe", "ode/digits", "saltation-ode", "packages/methods/ode"),
    ],
)
def test_known_name_says_what_to_install(site, monkeypatch, kind, name, distribution, path):
    _nothing_installed(monkeypatch)
    with pytest.raises(_errors.UnknownNameError) as caught:
        getattr(_lookup, f"get_{kind}")(name)
    assert f"comes with {distribution}; from a checkout: pip install -e {path}" in str(caught.value)


def test_misspelt_known_name_says_what_to_install(site, monkeypatch):
    _nothing_installed(monkeypatch)
    with pytest.raises(_errors.UnknownNameError, match="Did you mean 'delgrad'.*Installed: none.*saltation-delgrad"):
        _lookup.get_method("delgrda")


def test_known_plugin_that_is_installed_but_broken_is_named(site):
    site.install("saltation-roughsde", "import a_module_that_is_not_there", version="9")
    refresh()
    with pytest.raises(_errors.UnknownNameError, match="roughsde, which is installed but broken.*a_module_that"):
        _lookup.get_method("roughsde")


def test_unknown_name_mentions_broken_plugins(site):
    site.install("third-party", "1 / 0")
    refresh()
    with pytest.raises(_errors.UnknownNameError, match="Broken plugins: .*third-party:plug"):
        _lookup.get_backend("a-chip")


TARGETS = {
    "missing module": ("no_such_module:Method", "ModuleNotFoundError: No module named 'no_such_module'"),
    "missing attribute": ("collections:NoSuchClass", "AttributeError.*NoSuchClass"),
    "exit at import": ("exits_when_imported:Method", "SystemExit: 7"),
}


@pytest.mark.parametrize("case", TARGETS)
def test_target_that_cannot_be_imported_is_explained(site, case):
    target, problem = TARGETS[case]
    (site.path / "exits_when_imported.py").write_text("raise SystemExit(7)")
    site.install(
        "half",
        f"""
        from saltation.plugins import MethodSpec, hookimpl

        @hookimpl
        def saltation_methods():
            return [MethodSpec("absent", {target!r}, "")]
        """,
    )
    refresh()
    with pytest.raises(_errors.PluginError, match=f"'absent' of the plugin half:plug 1.0.*'{target}'.*{problem}"):
        _lookup.get_method("absent")


def test_name_that_two_plugins_claim_raises_and_names_both(site, good):
    site.install("first", good("same"))
    site.install("second", good("same"))
    refresh()
    with pytest.raises(_errors.PluginError, match="'same' is brought by first:plug and second:plug"):
        _lookup.get_method("same")


def test_strict_mode_raises_for_a_broken_plugin(site, monkeypatch):
    site.install("third-party", "1 / 0")
    refresh()
    monkeypatch.setenv("SALTATION_STRICT_PLUGINS", "0")
    assert any(plugin.status == "broken" for plugin in list_plugins())
    monkeypatch.setenv("SALTATION_STRICT_PLUGINS", "1")
    with pytest.raises(_errors.PluginError, match="third-party:plug.*ZeroDivisionError"):
        list_plugins()


def test_discovery_imports_no_jax(site, good):
    site.install("light", good("light"))
    code = """
        import saltation.plugins
        assert "light" in saltation.plugins.records("method")
        heavy = {"jax", "jaxlib", "equinox", "numpy"} & set(sys.modules)
        assert not heavy, heavy
    """
    done = run(code, site)
    assert done.returncode == 0, done.stderr


def test_strict_mode_in_a_process_of_its_own(site):
    site.install("third-party", "1 / 0")
    code = "import saltation.plugins; print([p.problem for p in saltation.plugins.list_plugins()])"
    assert "ZeroDivisionError" in run(code, site).stdout
    strict = run(code, site, SALTATION_STRICT_PLUGINS="1")
    assert strict.returncode != 0 and "PluginError" in strict.stderr


def test_public_module_offers_what_plugins_need():
    for kind in KINDS.values():
        assert getattr(saltation.plugins, kind.spec.__name__) is kind.spec


def test_known_table_agrees_with_the_checkout():
    manifests = sorted({*ROOT.glob("packages/*/pyproject.toml"), *ROOT.glob("packages/*/*/pyproject.toml")})
    if not manifests:
        pytest.skip("not a checkout")
    paths = {plugin.path: plugin.distribution for plugin in KNOWN}
    for manifest in manifests:
        path = manifest.parent.relative_to(ROOT).as_posix()
        if path in paths:
            assert tomllib.loads(manifest.read_text())["project"]["name"] == paths[path]


def test_known_names_of_working_plugins_come_from_the_plugin_that_the_table_says():
    for plugin in list_plugins():
        for kind, found in plugin.records.items():
            for record in found:
                known = known_plugin(kind, record.name)
                if known is not None and plugin.distribution.startswith("saltation-"):
                    assert known.distribution == plugin.distribution, (kind, record.name)
