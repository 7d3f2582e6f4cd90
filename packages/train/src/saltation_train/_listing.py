"""`saltation plugins` and `saltation recipes`: what is installed. Imports no JAX, so both answer at once."""

import json
import textwrap
from typing import Any

from saltation.plugins import list_plugins, records


def plugins_json() -> list[dict[str, Any]]:
    """All plugins, for `--json`."""
    return [
        {
            "name": plugin.name,
            "distribution": plugin.distribution,
            "version": plugin.version,
            "status": plugin.status,
            "problem": plugin.problem,
            "records": {
                kind: [{"name": record.name, "target": record.target, "summary": record.summary} for record in found]
                for kind, found in plugin.records.items()
                if found
            },
        }
        for plugin in list_plugins()
    ]


def plugins_text() -> str:
    """All plugins, for people: what each brings, and what is wrong with the broken ones."""
    lines = []
    for plugin in list_plugins():
        lines.append(f"{plugin.distribution} {plugin.version}  ({plugin.name}: {plugin.status})")
        if plugin.problem:
            lines += textwrap.wrap(f"problem: {plugin.problem}", 100, initial_indent="  ", subsequent_indent="    ")
        for kind, found in plugin.records.items():
            lines += [f"  {kind:<10} {record.name:<26} {record.summary}" for record in found]
    return "\n".join(lines) or "no plugins are installed"


def recipes_json() -> list[dict[str, str]]:
    """All recipes, for `--json`."""
    return [
        {"name": record.name, "summary": record.summary, "reproduces": getattr(record, "reproduces", "")}
        for record in records("recipe").values()
    ]


def recipes_text() -> str:
    """All recipes, for people, with what each reproduces."""
    lines = []
    for recipe in recipes_json():
        lines.append(f"{recipe['name']:<26} {recipe['summary']}")
        if recipe["reproduces"]:
            lines.append(f"{'':<26} reproduces: {recipe['reproduces']}")
    if not lines:
        return "no recipes are installed; methods bring them, such as saltation-ode (packages/methods/ode)"
    return "\n".join([*lines, "", "Train one: saltation train RECIPE; its options: saltation train RECIPE --help"])


def dump(value: Any) -> str:
    """JSON for a terminal."""
    return json.dumps(value, indent=2)
