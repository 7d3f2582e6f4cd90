"""`saltation plugins --check NAME`: what can be checked about a plugin without knowing what it is for."""

import difflib
import inspect
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import saltation as st
from saltation.plugins import PluginInfo, list_plugins, records


@dataclass(frozen=True)
class Check:
    """One check: of what, and what is wrong with it; nothing if it passed. `skipped` says why it was not made."""

    what: str
    problem: str = ""
    skipped: str = ""

    def __str__(self) -> str:
        if self.skipped:
            return f"skip  {self.what}: {self.skipped}"
        return f"FAIL  {self.what}: {self.problem}" if self.problem else f"ok    {self.what}"


def check_plugin(name: str, *, conformance: bool = True) -> Iterator[Check]:
    """The checks of one plugin, each as soon as it is made.

    Its module must import, register and import nothing heavy; every target must be there, be what its kind promises
    and say what it is; neurons, methods, backends and data sets are put through their conformance suites as far as they
    can be made without arguments, where `saltation-testing` is installed.

    **Arguments:** `name`: of its entry point or its distribution, or of something that it registers.

    **Raises:** `UnknownNameError` for a name that no installed plugin has.
    """
    plugin = find_plugin(name)
    yield Check(f"{plugin.distribution} {plugin.version} is registered", plugin.problem)
    if plugin.status != "ok":
        return
    yield _light(plugin)
    for kind, found in plugin.records.items():
        for record in found:
            yield from _check_record(kind, record)
    if conformance:
        yield from _conformance(plugin)


def find_plugin(name: str) -> PluginInfo:
    """The installed plugin that has, or brings, this name."""
    plugins = list_plugins()
    for plugin in plugins:
        if name in (plugin.distribution, plugin.name):
            return plugin
    brought = {record.name: plugin for plugin in plugins for found in plugin.records.values() for record in found}
    if name in brought:
        return brought[name]
    known = [*(plugin.distribution for plugin in plugins), *(plugin.name for plugin in plugins), *brought]
    near = difflib.get_close_matches(name, known, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise st.UnknownNameError(
        f"no installed plugin is called {name!r}, or brings it.{hint} `saltation plugins` lists them; install yours "
        "first: pip install -e PATH."
    )


def _light(plugin: PluginInfo) -> Check:
    """Discovery imports every plugin's module at every start of a command."""
    what = "its plugin module imports nothing heavy"
    code = (
        "import sys, importlib.metadata as m\n"
        f"[e] = [e for e in m.entry_points(group='saltation') if e.name == {plugin.name!r} "
        f"and e.dist.name == {plugin.distribution!r}]\n"
        "e.load()\n"
        "print(*[n for n in ('jax', 'numpy', 'equinox', 'torch', 'matplotlib') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    if done.returncode:
        return Check(what, f"it fails in a fresh process: {done.stderr.strip().splitlines()[-1]}")
    heavy = done.stdout.split()
    return Check(what, f"it imports {', '.join(heavy)}; import them where they are used" if heavy else "")


def _check_record(kind: str, record: Any) -> Iterator[Check]:
    what = f"{kind} {record.name}"
    try:
        target = getattr(st, f"get_{kind}")(record.name)
    except st.SaltationError as error:
        yield Check(what, str(error))
        return
    yield Check(what, "; ".join(_problems(kind, record, target)))


def _problems(kind: str, record: Any, target: Any) -> Iterator[str]:
    if not record.summary.strip():
        yield "its summary is empty"
    if not callable(target):
        yield f"its target {record.target!r} is a {type(target).__name__} and cannot be called"
        return
    if not (inspect.getdoc(target) or "").strip():
        yield f"its target {record.target!r} has no docstring"
    yield from _OF_KIND.get(kind, lambda record, target: iter(()))(record, target)


def _class_problems(base: type) -> Callable[[Any, Any], Iterator[str]]:
    def problems(record: Any, target: Any) -> Iterator[str]:
        if not (inspect.isclass(target) and issubclass(target, base)):
            yield f"its target is no {base.__name__} class"
        elif inspect.isabstract(target):
            yield f"its class lacks {', '.join(sorted(getattr(target, '__abstractmethods__')))}"  # noqa: B009
        elif base is st.AbstractMethod:
            try:
                target()
            except Exception as error:
                yield f"it cannot be made without arguments: {error}"

    return problems


def _dataset_problems(record: Any, target: Any) -> Iterator[str]:
    parameters = inspect.signature(target).parameters
    for name, default in (("data_dir", None), ("download", False)):
        if name not in parameters or parameters[name].default is not default:
            yield f"its loader lacks {name}={default}"


def _recipe_problems(record: Any, target: Any) -> Iterator[str]:
    try:
        experiment = target()
    except Exception as error:
        yield f"it cannot be called without arguments: {type(error).__name__}: {error}"
        return
    if not isinstance(experiment, st.Experiment):
        yield f"it returns a {type(experiment).__name__}; expected an Experiment"
        return
    if experiment.name != record.name:
        yield f"its experiment is called {experiment.name!r}"
    if experiment.dataset not in records("dataset"):
        yield f"its data set {experiment.dataset!r} is not registered"


_OF_KIND: dict[str, Callable[[Any, Any], Iterator[str]]] = {
    "neuron": _class_problems(st.AbstractNeuron),
    "method": _class_problems(st.AbstractMethod),
    "backend": _class_problems(st.AbstractBackend),
    "dataset": _dataset_problems,
    "recipe": _recipe_problems,
}

_SUITES = {
    "neuron": """
class Test_{slug}(t.AbstractNeuronConformance):
    neurons = {{"default": st.get_neuron("{name}")(3)}}
""",
    "method": """
class Test_{slug}(t.AbstractMethodConformance):
    t1 = 30.0

    def method(self):
        return st.get_method("{name}")()

    def networks(self):
        return supported(self.method())
""",
    "backend": """
class Test_{slug}(t.AbstractBackendConformance):
    def backend(self):
        return st.get_backend("{name}")()

    def networks(self):
        return once()
""",
    "dataset": """
class Test_{slug}(t.AbstractDatasetConformance):
    def load(self, **options):
        try:
            return st.get_dataset("{name}")(**options)
        except st.DataError as error:
            pytest.skip(str(error).split(".")[0])
""",
}

_HEAD = """
import jax, pytest
import saltation as st
import saltation_testing as t

jax.config.update("jax_enable_x64", True)

def once():
    neuron = st.get_neuron("at_most_once")(st.get_neuron("lif")(tau_mem=10.0, tau_syn=5.0))
    return {"first spikes": st.feedforward([3, 3, 2], neuron, weight=st.normal(9.0, 2.0), key=jax.random.key(1))}

def supported(method):
    lif = st.get_neuron("lif")(tau_mem=10.0, tau_syn=5.0)
    several = st.feedforward([3, 3, 2], lif, weight=st.normal(4.0, 1.0), key=jax.random.key(1))
    found = {**once(), "several spikes": several}
    return {name: net for name, net in found.items() if method.supports(net)}
"""


def _conformance(plugin: PluginInfo) -> Iterator[Check]:
    what = "conformance"
    suites = [(kind, record) for kind in _SUITES for record in plugin.records.get(kind, ())]
    if not suites:
        return
    if find_spec("saltation_testing") is None:
        yield Check(what, skipped="it needs saltation-testing; from a checkout: pip install -e packages/testing")
        return
    lacks_neurons = {"lif", "at_most_once"} - set(records("neuron"))
    for kind, record in suites:
        what = f"conformance of the {kind} {record.name}"
        if kind in ("method", "backend") and lacks_neurons:
            yield Check(
                what, skipped="it needs neurons to try; install saltation-neurons, or run the plugin's own tests"
            )
            continue
        yield _run_suite(what, kind, record.name)


def _run_suite(what: str, kind: str, name: str) -> Check:
    slug = "".join(letter if letter.isalnum() else "_" for letter in name)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / f"test_{slug}.py"
        file.write_text(_HEAD + _SUITES[kind].format(name=name, slug=slug), encoding="utf-8")
        command = [sys.executable, "-m", "pytest", "-q", "--tb=line", "-p", "no:cacheprovider", f"--rootdir={folder}"]
        done = subprocess.run([*command, str(file)], capture_output=True, text=True, cwd=folder)
    lines = done.stdout.strip().splitlines() or done.stderr.strip().splitlines() or ["no output"]
    if done.returncode == 0:
        return Check(f"{what}: {lines[-1].strip('= ')}")
    failed = [line.split("::")[-1] for line in lines if line.startswith(("FAILED", "ERROR"))]
    return Check(what, "; ".join(failed[:5]) or lines[-1])
