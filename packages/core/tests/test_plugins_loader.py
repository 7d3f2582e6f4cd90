"""Every fault of a plugin is reported by name and leaves the other plugins alone."""

import inspect
import re
import textwrap
from types import ModuleType

import pluggy
import pytest

from saltation._plugins import _hooks
from saltation._plugins._loader import _register
from saltation._plugins._records import KINDS
from saltation.plugins import EncoderSpec, MethodSpec, hookimpl

HEADER = "from saltation.plugins import MethodSpec, NeuronSpec, hookimpl\n"

FAULTS = {
    "import error": ("import a_module_that_is_not_there", "ModuleNotFoundError.*a_module_that_is_not_there"),
    "any exception": ("raise KeyError('oops')", "cannot be imported: KeyError: 'oops'"),
    "syntax error": ("def (", "cannot be imported: SyntaxError"),
    "exit at import": ("raise SystemExit(3)", "cannot be imported: SystemExit: 3"),
    "another interface": ("SALTATION_API = 99", "interface 99.*core has 1"),
    "misspelt hook": (
        "@hookimpl\ndef saltation_method():\n    return []",
        "no hook 'saltation_method'; did you mean 'saltation_methods'",
    ),
    "unmarked hook": (
        "def saltation_methods():\n    return []",
        "'saltation_methods' is not marked.*@hookimpl",
    ),
    "no hooks": ("", "has no hooks"),
    "hook with arguments": ("@hookimpl\ndef saltation_methods(x):\n    return []", "cannot be registered.*x"),
    "hook raises": (
        "@hookimpl\ndef saltation_methods():\n    return 1 / 0",
        "'saltation_methods' failed: ZeroDiv",
    ),
    "hook raises late": (
        "@hookimpl\ndef saltation_methods():\n    yield MethodSpec('m', 'a:b', '')\n    1 / 0",
        "'saltation_methods' failed: ZeroDivisionError",
    ),
    "hook exits": (
        "@hookimpl\ndef saltation_methods():\n    raise SystemExit",
        "'saltation_methods' failed: SystemExit",
    ),
    "hook returns nothing": (
        "@hookimpl\ndef saltation_methods():\n    pass",
        "returned None, expected an iterable",
    ),
    "not a record": (
        "@hookimpl\ndef saltation_methods():\n    yield 'ode'",
        "gave 'ode', expected a MethodSpec",
    ),
    "record of another kind": (
        "@hookimpl\ndef saltation_methods():\n    yield NeuronSpec('n', 'a:b', '')",
        "expected a MethodSpec",
    ),
    "bad target": (
        "@hookimpl\ndef saltation_methods():\n    yield MethodSpec('m', 'a.b', '')",
        "got target='a.b', expected 'package.module:attribute'",
    ),
    "bad name": (
        "@hookimpl\ndef saltation_methods():\n    yield MethodSpec('', 'a:b', '')",
        "expected one word",
    ),
    "bad summary": (
        "@hookimpl\ndef saltation_methods():\n    yield MethodSpec('m', 'a:b', 3)",
        "summary",
    ),
    "one name twice": (
        "@hookimpl\ndef saltation_methods():\n    return 2 * [MethodSpec('m', 'a:b', '')]",
        "brings the method 'm' twice",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faulty_plugin_is_reported_and_the_others_work(site, good, fault):
    code, problem = FAULTS[fault]
    site.install("a-good-one", good("before"))
    site.install("faulty", HEADER + code)
    site.install("z-good-one", good("after"))
    registry = site.scan()
    assert [plugin.distribution for plugin in registry.plugins] == ["a-good-one", "faulty", "z-good-one"]
    assert [plugin.status for plugin in registry.plugins] == ["ok", "broken", "ok"]
    assert re.search(problem, registry.plugins[1].problem)
    assert not registry.plugins[1].records
    assert set(registry.usable("method")) == {"before", "after"}


def test_working_plugin_is_described(site, good):
    site.install("my-dist", good("mine"), entry="my-entry", version="2.5")
    (plugin,) = site.scan().plugins
    assert (plugin.name, plugin.distribution, plugin.version) == ("my-entry", "my-dist", "2.5")
    assert (plugin.title, plugin.status, plugin.problem) == ("my-dist:my-entry", "ok", "")
    assert plugin.records["method"] == (MethodSpec("mine", "collections:OrderedDict", "a method for a test"),)


def test_stated_interface_of_this_core_is_accepted(site, good):
    site.install("stated", "SALTATION_API = 1\n" + textwrap.dedent(good("stated")))
    assert set(site.scan().usable("method")) == {"stated"}


def test_equal_entry_points_of_two_distributions_are_two_plugins(site, good):
    site.install("first", good("one"), entry="delgrad")
    site.install("second", good("two"), entry="delgrad")
    assert set(site.scan().usable("method")) == {"one", "two"}


def test_name_that_two_plugins_claim_is_refused_and_both_are_named(site, good):
    more = """
            @hookimpl
            def saltation_neurons():
                from saltation.plugins import NeuronSpec
                yield NeuronSpec("kept", "collections:deque", "")
    """
    site.install("first", good("same"))
    site.install("second", good("same") + more)
    registry = site.scan()
    assert "same" not in registry.usable("method")
    assert [plugin.status for plugin in registry.plugins] == ["broken", "broken"]
    assert registry.plugins[0].problem == "the method 'same' is brought by second:plug too"
    assert registry.plugins[1].problem == "the method 'same' is brought by first:plug too"
    assert set(registry.usable("neuron")) == {"kept"}


def test_one_module_under_two_entry_points_is_reported(site, good):
    site.install("first", good("one"))
    site.install("second", "", value="first_plugin")
    registry = site.scan()
    assert [plugin.status for plugin in registry.plugins].count("ok") == 1
    assert any("same object as the plugin" in plugin.problem for plugin in registry.plugins)
    assert set(registry.usable("method")) == {"one"}


def test_faulty_plugin_is_rolled_back():
    manager = pluggy.PluginManager(_hooks.PROJECT)
    manager.add_hookspecs(_hooks)
    plugin = ModuleType("faulty")

    def saltation_encoders():
        yield EncoderSpec("fine", "a:b", "")

    def saltation_methods():
        raise RuntimeError("too late")

    plugin.saltation_encoders = hookimpl(saltation_encoders)
    plugin.saltation_methods = hookimpl(saltation_methods)
    with pytest.raises(Exception, match="too late"):
        _register(manager, plugin, "dist:faulty")
    assert not manager.list_name_plugin()
    assert not manager.hook.saltation_encoders.get_hookimpls()


def test_optional_hook_of_a_newer_core_is_let_through(site, good):
    code = textwrap.dedent(good("current")) + "\n@hookimpl(optionalhook=True)\ndef saltation_future():\n    return []\n"
    site.install("forward", code)
    assert [plugin.status for plugin in site.scan().plugins] == ["ok"]


@pytest.mark.parametrize("kind", KINDS)
def test_docstring_of_each_hook_holds_a_complete_plugin(site, kind):
    hook = getattr(_hooks, KINDS[kind].hook)
    blocks = re.findall(r"```python\n(.*?)```", inspect.getdoc(hook) or "", flags=re.DOTALL)
    assert len(blocks) == 1
    site.install("documented", blocks[0])
    registry = site.scan()
    assert [plugin.problem for plugin in registry.plugins] == [""]
    assert len(registry.usable(kind)) == 1


def test_every_hook_has_a_kind():
    hooks = {name for name in vars(_hooks) if name.startswith("saltation_")}
    assert hooks == {kind.hook for kind in KINDS.values()}
