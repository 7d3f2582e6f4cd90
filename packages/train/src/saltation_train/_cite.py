"""`cite`: what a paper that uses a recipe should cite."""

import importlib.metadata
from collections.abc import Iterator
from typing import Any

import saltation as st
from saltation.plugins import records

from ._recipe import Recipe

_SALTATION = """@software{{saltation,
  title = {{Saltation: event-based spiking neural networks trained with exact gradients}},
  version = {{{version}}},
  license = {{Apache-2.0}},
}}"""


def cite(recipe: Recipe) -> str:
    """BibTeX of what a recipe stands on: Saltation, the papers of its method and backend, and its data.

    **Raises:** `UnknownNameError` for a recipe that nothing registers.
    """
    experiment = recipe.build()
    return "\n\n".join([_SALTATION.format(version=importlib.metadata.version("saltation")), *_entries(experiment)])


def _entries(experiment: st.Experiment) -> Iterator[str]:
    method: Any = experiment.method
    if isinstance(method, st.InTheLoop):
        yield from _of_plugin("backend", method.backend)
        method = method.method
    yield from _of_plugin("method", method)
    data: Any = records("dataset").get(experiment.dataset)
    if data is not None and data.source:
        key = experiment.dataset.replace("_", "-")
        yield f"@misc{{data-{key},\n  title = {{{experiment.dataset}}},\n  note = {{{data.source}}},\n}}"


def _of_plugin(kind: str, thing: Any) -> Iterator[str]:
    """What the plugin that brings this object's class asks to be cited; found by name, so that no other is imported."""
    package, name = type(thing).__module__.partition(".")[0], type(thing).__name__
    for record in records(kind).values():
        text: str = getattr(record, "cite", "")
        if record.target == f"{package}:{name}" and text:
            yield text.strip()
