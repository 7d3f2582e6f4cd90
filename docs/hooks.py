"""Two words that pages of this documentation may use, filled in when the site is built.

`<!-- include FILE -->` is the text of a file of the repository, or a sentence that says how to make it.
`<!-- reference MODULE -->` is every public name of a module with its signature and its docstring.
"""

import importlib
import inspect
import re
from pathlib import Path

ROOT = Path(__file__).parents[1]


def on_page_markdown(markdown: str, **_) -> str:
    markdown = re.sub(r"<!-- include (\S+) -->", lambda found: include(found[1]), markdown)
    return re.sub(r"<!-- reference (\S+) -->", lambda found: reference(found[1]), markdown)


def include(file: str) -> str:
    path = ROOT / file
    # Pictures and tables beside it are not pages of the site.
    return (
        re.sub(r"!?\[([^]]*)\]\((?!http)[^)]*\)", r"\1", path.read_text())
        if path.exists()
        else (f"*There is no `{file}` yet: run `nox -s benchmarks`.*")
    )


def reference(module: str) -> str:
    package = importlib.import_module(module)
    return "\n\n".join(entry(module, name, getattr(package, name)) for name in sorted(package.__all__, key=str.lower))


def entry(module: str, name: str, value: object) -> str:
    """One public name: a heading, its signature and its docstring."""
    parts = [f"### `{name}`"]
    if callable(value):
        parts.append(f"```python\n{module}.{name}{signature(value)}\n```")
    doc = inspect.getdoc(value)
    if doc and (callable(value) or inspect.ismodule(value)):
        parts.append(doc)
    for method, function in own_methods(value):
        parts.append(f"**`.{method}{signature(function)}`**\n\n{inspect.getdoc(function)}")
    return "\n\n".join(parts)


def own_methods(value: object) -> list[tuple[str, object]]:
    """The documented public methods that a class itself defines."""
    if not inspect.isclass(value):
        return []
    found = {name: getattr(value, name) for name in vars(value) if not name.startswith("_")}
    return [(name, method) for name, method in found.items() if callable(method) and inspect.getdoc(method)]


def signature(value: object) -> str:
    try:
        text = str(inspect.signature(value))
    except (TypeError, ValueError):
        return "(...)"
    # What a reader needs are names and defaults, not the full path of every annotation.
    text = re.sub(r"(?:\w+\.)+(\w+)", r"\1", text)
    return re.sub(r"\((?:self|cls)(?:, )?", "(", text, count=1)
