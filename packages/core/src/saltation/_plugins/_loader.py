"""From entry points to a registry, with every fault caught, named and confined to its plugin.

Core loads entry points itself because pluggy's own loader lets a plugin's import error through and so takes
all other plugins down with it. pluggy still does what it is good at: it checks each hook against its
specification.
"""

import difflib
import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from importlib.metadata import EntryPoint
from typing import Any, Literal

import pluggy

from . import _hooks
from ._records import KINDS, Kind, Record

SALTATION_API = 1
"""Version of the plugin interface; a plugin may state the one it is written for under the same name."""

# A plugin that calls `sys.exit` at import must not end the user's program.
_FAULTS = (Exception, SystemExit)


@dataclass(frozen=True)
class PluginInfo:
    """What became of one installed plugin.

    **Attributes**

    - `name`: the name of its entry point.
    - `distribution`, `version`: the distribution that brought it.
    - `status`: `"ok"`, or `"broken"` if anything about it was refused.
    - `problem`: what was refused and why; empty if nothing was.
    - `records`: its usable records by kind, such as `{"method": (MethodSpec(...),)}`.
    """

    name: str
    distribution: str
    version: str
    status: Literal["ok", "broken"]
    problem: str
    records: Mapping[str, tuple[Record, ...]]

    @property
    def title(self) -> str:
        """The entry point with its distribution: the entry point's name alone may collide."""
        return f"{self.distribution}:{self.name}"


@dataclass(frozen=True)
class Claim:
    """A record together with the plugin that brought it."""

    record: Record
    plugin: PluginInfo


@dataclass(frozen=True)
class Registry:
    """Everything that installed plugins bring: `claims[kind][name]` holds all plugins that claim a name.

    A name with several claims is nobody's: which one should win is the user's decision, not a sorting order.
    """

    plugins: tuple[PluginInfo, ...]
    claims: Mapping[str, Mapping[str, tuple[Claim, ...]]]

    def usable(self, kind: str) -> dict[str, Claim]:
        """Returns the names of one kind that exactly one plugin claims."""
        return {name: claims[0] for name, claims in self.claims[kind].items() if len(claims) == 1}

    def broken(self) -> list[PluginInfo]:
        """Returns the plugins of which something was refused."""
        return [plugin for plugin in self.plugins if plugin.status == "broken"]


class _Fault(Exception):
    """Why a plugin is refused, in words for the user."""


def scan(entry_points: Iterable[EntryPoint]) -> Registry:
    """Loads every plugin and returns what they bring. Never raises for a faulty plugin.

    **Arguments**

    - `entry_points`: those of the group `saltation`, each with the distribution it belongs to.

    **Returns**

    A `Registry`, in which a faulty plugin is listed with its problem and without records.
    """
    manager = pluggy.PluginManager(_hooks.PROJECT)
    manager.add_hookspecs(_hooks)
    loaded = sorted((_load(manager, entry_point) for entry_point in entry_points), key=lambda plugin: plugin.title)
    claims = _claims(loaded)
    return Registry(tuple(_without_conflicts(plugin, claims) for plugin in loaded), claims)


def _load(manager: pluggy.PluginManager, entry_point: EntryPoint) -> PluginInfo:
    distribution, version = _origin(entry_point)
    info = PluginInfo(entry_point.name, distribution, version, "ok", "", {})
    try:
        try:
            plugin = entry_point.load()
        except _FAULTS as error:
            raise _Fault(f"its module {entry_point.value!r} cannot be imported: {reason(error)}") from error
        _check_api(plugin, info)
        return replace(info, records=_register(manager, plugin, info.title))
    except _Fault as fault:
        return replace(info, status="broken", problem=str(fault))


def _origin(entry_point: EntryPoint) -> tuple[str, str]:
    # A half-removed distribution has entry points but no metadata.
    try:
        assert entry_point.dist is not None
        return entry_point.dist.name or "unknown", entry_point.dist.version or "unknown"
    except Exception:
        return "unknown", "unknown"


def _check_api(plugin: object, info: PluginInfo) -> None:
    api = getattr(plugin, "SALTATION_API", SALTATION_API)
    if api != SALTATION_API:
        raise _Fault(
            f"it is written for plugin interface {api!r}, but the installed core has {SALTATION_API}; "
            f"install versions of saltation and {info.distribution} that belong together"
        )


def _register(manager: pluggy.PluginManager, plugin: object, title: str) -> dict[str, tuple[Record, ...]]:
    """Registers one plugin and calls its hooks, or leaves no trace of it."""
    twin = next((name for name, other in manager.list_name_plugin() if other is plugin), None)
    if twin is not None:
        raise _Fault(f"its entry point names the same object as the plugin {twin}")
    try:
        manager.register(plugin, name=title)
        _check_hooks(manager, plugin)
        return {
            kind.name: _call(kind, function)
            for kind in KINDS.values()
            for function in _implementations(manager, plugin, kind.hook)
        }
    except _FAULTS as error:
        if manager.has_plugin(title):
            manager.unregister(name=title)
        if isinstance(error, _Fault):
            raise
        raise _Fault(f"it cannot be registered: {reason(error)}") from error


def _check_hooks(manager: pluggy.PluginManager, plugin: object) -> None:
    """Refuses hooks that would be ignored silently: misspelt ones and unmarked ones."""
    hooks = [kind.hook for kind in KINDS.values()]
    callers = manager.get_hookcallers(plugin) or []
    for caller in callers:
        optional = all(impl.optionalhook for impl in caller.get_hookimpls() if impl.plugin is plugin)
        if not caller.has_spec() and not optional:
            near = difflib.get_close_matches(caller.name, hooks, n=1, cutoff=0.0)[0]
            raise _Fault(f"there is no hook {caller.name!r}; did you mean {near!r}?")
    marked = {caller.name for caller in callers}
    for hook in hooks:
        if hook not in marked and inspect.isfunction(inspect.getattr_static(plugin, hook, None)):
            raise _Fault(f"its function {hook!r} is not marked; put `@hookimpl` from saltation.plugins above it")
    if not callers:
        raise _Fault("it has no hooks; mark a function such as `saltation_methods` with `@hookimpl`")


def _implementations(manager: pluggy.PluginManager, plugin: object, hook: str) -> list[Callable[[], Any]]:
    impls = getattr(manager.hook, hook).get_hookimpls()
    return [impl.function for impl in impls if impl.plugin is plugin]


def _call(kind: Kind, function: Callable[[], Any]) -> tuple[Record, ...]:
    expected = kind.spec.__name__
    try:
        returned = function()
        if not isinstance(returned, Iterable):
            raise _Fault(f"its hook {kind.hook!r} returned {returned!r}, expected an iterable of {expected}")
        records = tuple(returned)
    except _Fault:
        raise
    except _FAULTS as error:
        raise _Fault(f"its hook {kind.hook!r} failed: {reason(error)}") from error
    names = set()
    for record in records:
        if not isinstance(record, kind.spec):
            raise _Fault(f"its hook {kind.hook!r} gave {record!r}, expected a {expected}")
        if record.name in names:
            raise _Fault(f"it brings the {kind.name} {record.name!r} twice")
        names.add(record.name)
    return records


def _claims(plugins: list[PluginInfo]) -> dict[str, dict[str, tuple[Claim, ...]]]:
    claims: dict[str, dict[str, tuple[Claim, ...]]] = {kind: {} for kind in KINDS}
    for plugin in plugins:
        for kind, records in plugin.records.items():
            for record in records:
                claims[kind][record.name] = (*claims[kind].get(record.name, ()), Claim(record, plugin))
    return claims


def _without_conflicts(plugin: PluginInfo, claims: Mapping[str, Mapping[str, tuple[Claim, ...]]]) -> PluginInfo:
    """Takes away the records that another plugin claims too; the plugin's other records stay usable."""
    kept, problems = {}, []
    for kind, records in plugin.records.items():
        kept[kind] = tuple(record for record in records if len(claims[kind][record.name]) == 1)
        for record in records:
            others = [claim.plugin.title for claim in claims[kind][record.name] if claim.plugin is not plugin]
            if others:
                problems.append(f"the {kind} {record.name!r} is brought by {' and '.join(others)} too")
    if not problems:
        return plugin
    return replace(plugin, status="broken", problem="; ".join(problems), records=kept)


def reason(error: BaseException) -> str:
    """One line on an error: its class and what it says."""
    return ": ".join(filter(None, (type(error).__name__, " ".join(str(error).split()))))
