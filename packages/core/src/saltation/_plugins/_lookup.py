"""From a registered name to the object it stands for; what is installed is looked up once per process."""

import difflib
import functools
import importlib
import importlib.metadata
import os
from typing import Any

from .._errors import PluginError, UnknownNameError
from ._known import known_names, known_plugin
from ._loader import PluginInfo, Registry, reason, scan
from ._records import KINDS, Record

GROUP = "saltation"


def get_neuron(name: str) -> Any:
    """Returns the neuron class registered under `name`, such as `get_neuron("lif")`.

    **Raises**

    `UnknownNameError` if no plugin registered it, `PluginError` if its target cannot be imported or two
    plugins claim it.
    """
    return _resolve("neuron", name)


def get_method(name: str) -> Any:
    """Returns the method class that a plugin registered under `name`.

    **Arguments**

    - `name`: a registered name; `saltation plugins` lists them.

    **Returns**

    The record's target, imported now if it was not before.

    **Raises**

    `UnknownNameError` if no plugin registered it: the message holds the nearest name, what is installed, and
    how to install the plugin that is known to bring it. `PluginError` if its target cannot be imported or two
    plugins claim it.

    **Example**

    ```python
    import saltation as st

    method = st.get_method("ode")(max_spikes=8)
    ```
    """
    return _resolve("method", name)


def get_backend(name: str) -> Any:
    """Returns the backend class registered under `name`, such as `get_backend("bss2-emulator")`.

    **Raises**

    `UnknownNameError` if no plugin registered it, `PluginError` if its target cannot be imported or two
    plugins claim it.
    """
    return _resolve("backend", name)


def get_dataset(name: str) -> Any:
    """Returns the loading function of a data set, such as `get_dataset("digits")()`.

    **Raises**

    `UnknownNameError` if no plugin registered it, `PluginError` if its target cannot be imported or two
    plugins claim it.
    """
    return _resolve("dataset", name)


def get_encoder(name: str) -> Any:
    """Returns the encoder registered under `name`, such as `get_encoder("latency")`.

    **Raises**

    `UnknownNameError` if no plugin registered it, `PluginError` if its target cannot be imported or two
    plugins claim it.
    """
    return _resolve("encoder", name)


def get_loss(name: str) -> Any:
    """Returns the loss registered under `name`, such as `get_loss("first_spike_cross_entropy")`.

    **Raises**

    `UnknownNameError` if no plugin registered it, `PluginError` if its target cannot be imported or two
    plugins claim it.
    """
    return _resolve("loss", name)


def get_recipe(name: str) -> Any:
    """Returns the function that makes an experiment, such as `get_recipe("ode/yinyang")(hidden=30)`.

    **Raises**

    `UnknownNameError` if no plugin registered it, `PluginError` if its target cannot be imported or two
    plugins claim it.
    """
    return _resolve("recipe", name)


def get_report(name: str) -> Any:
    """Returns the function that draws a section of a report.

    **Raises**

    `UnknownNameError` if no plugin registered it, `PluginError` if its target cannot be imported or two
    plugins claim it.
    """
    return _resolve("report", name)


def get_converter(name: str) -> Any:
    """Returns the bridge to another library's networks, such as `get_converter("nir")`.

    **Raises**

    `UnknownNameError` if no plugin registered it, `PluginError` if its target cannot be imported or two
    plugins claim it.
    """
    return _resolve("converter", name)


def list_plugins() -> list[PluginInfo]:
    """Returns every installed plugin, working or broken, sorted by distribution.

    **Raises**

    `PluginError` if a plugin is broken and the environment sets `SALTATION_STRICT_PLUGINS=1`.

    **Example**

    ```python
    from saltation.plugins import list_plugins

    for plugin in list_plugins():
        print(plugin.distribution, plugin.status, plugin.problem)
    ```
    """
    return list(_registry().plugins)


def records(kind: str) -> dict[str, Record]:
    """Returns the usable records of one kind by name, sorted; imports none of their targets.

    **Arguments**

    - `kind`: `"neuron"`, `"method"`, `"backend"`, `"dataset"`, `"encoder"`, `"loss"`, `"recipe"`, `"report"`
        or `"converter"`.

    **Example**

    ```python
    from saltation.plugins import records

    print([record.summary for record in records("encoder").values()])
    ```
    """
    if kind not in KINDS:
        raise ValueError(f"records: got kind={kind!r}, expected one of {', '.join(KINDS)}")
    return {name: claim.record for name, claim in sorted(_registry().usable(kind).items())}


def refresh() -> None:
    """Forgets what is installed, so that the next question looks again, for instance after a `pip install`.

    Modules that are already imported are not read again: a plugin that was edited needs a new process.
    """
    importlib.invalidate_caches()
    _installed.cache_clear()


@functools.cache
def _installed() -> Registry:
    return scan(tuple(importlib.metadata.entry_points(group=GROUP)))


def _registry() -> Registry:
    registry = _installed()
    broken = registry.broken()
    if broken and os.environ.get("SALTATION_STRICT_PLUGINS", "") not in ("", "0"):
        problems = "\n".join(f"  {plugin.title}: {plugin.problem}" for plugin in broken)
        raise PluginError(f"broken plugins, and SALTATION_STRICT_PLUGINS is set:\n{problems}")
    return registry


def _resolve(kind: str, name: str) -> Any:
    registry = _registry()
    claims = registry.claims[kind].get(name, ())
    if len(claims) == 0:
        raise UnknownNameError(_unknown(registry, kind, name))
    if len(claims) > 1:
        titles = " and ".join(claim.plugin.title for claim in claims)
        raise PluginError(f"the {kind} {name!r} is brought by {titles}; uninstall all but one of them")
    record, plugin = claims[0].record, claims[0].plugin
    module, _, attributes = record.target.partition(":")
    try:
        target: Any = importlib.import_module(module)
        for attribute in attributes.split("."):
            target = getattr(target, attribute)
    # A target that calls `sys.exit` at import must not end the user's program.
    except (Exception, SystemExit) as error:
        raise PluginError(
            f"the {kind} {name!r} of the plugin {plugin.title} {plugin.version} cannot be imported from "
            f"{record.target!r}: {reason(error)}"
        ) from error
    return target


def _unknown(registry: Registry, kind: str, name: str) -> str:
    """The answer to an unknown name: the nearest one, what is installed, and what to install."""
    installed = sorted(registry.usable(kind))
    sentences = [f"there is no {kind} {name!r} among the installed plugins."]
    meant = name
    if known_plugin(kind, name) is None:
        near = difflib.get_close_matches(name, [*installed, *known_names(kind)], n=1)
        if near:
            meant = near[0]
            sentences.append(f"Did you mean {meant!r}?")
    sentences.append(f"Installed: {', '.join(installed) or 'none'}.")
    if meant not in installed:
        sentences.append(_how_to_install(registry, kind, meant))
    if registry.broken():
        titles = ", ".join(plugin.title for plugin in registry.broken())
        sentences.append(f"Broken plugins: {titles} (`saltation plugins` says why).")
    return " ".join(filter(None, sentences))


def _how_to_install(registry: Registry, kind: str, name: str) -> str:
    known = known_plugin(kind, name)
    if known is None:
        return ""
    for plugin in registry.plugins:
        if plugin.distribution == known.distribution:
            if plugin.status == "ok":
                return ""
            return f"{name!r} comes with {known.distribution}, which is installed but broken: {plugin.problem}."
    return f"{name!r} comes with {known.distribution}; from a checkout: pip install -e {known.path}"
