"""`new_plugin`: a plugin of one's own that passes its conformance suite from the first minute."""

import difflib
import importlib.metadata
import keyword
import re
from collections.abc import Iterator
from pathlib import Path

import jinja2

from saltation._plugins._known import known_plugin
from saltation.plugins import records

KINDS = ("neuron", "method", "backend")

_TEMPLATE = Path(__file__).parent / "template"
_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")


def new_plugin(name: str, *, kind: str, out: str | Path = ".") -> Path:
    """Writes a plugin with one neuron, method or backend into `out/saltation-NAME`, from the template.

    The template is one of Copier as well: `copier copy template DIR` renders the same.

    **Arguments:** `name`: under which it is registered, in lower-case words with hyphens; `kind`: "neuron", "method" or
    "backend".

    **Returns:** the folder.

    **Raises:** `ValueError` for another kind, a name that is no identifier, or one that is taken: by an installed
    plugin, by one of this project's, by an installed distribution, or by a folder that exists.
    """
    if kind not in KINDS:
        near = difflib.get_close_matches(kind, KINDS, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise ValueError(f"new-plugin got the kind {kind!r}; expected one of {', '.join(KINDS)}.{hint}")
    _check_name(name, kind)
    folder = Path(out) / f"saltation-{name}"
    if folder.exists():
        raise ValueError(
            f"new-plugin got {name!r}, but {folder} exists already; choose another name, or another --out."
        )
    for path, text in rendered(name, kind):
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")
    return folder


def rendered(name: str, kind: str) -> Iterator[tuple[Path, str]]:
    """The files of a plugin, each with its path in the plugin's folder."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATE), keep_trailing_newline=True, undefined=jinja2.StrictUndefined
    )
    module = name.replace("-", "_")
    values = {
        "name": name,
        "kind": kind,
        "class_name": "".join(word.capitalize() for word in name.split("-")),
        "import_name": f"saltation_{module}",
        "distribution": f"saltation-{name}",
        "core_version": _core_version(),
    }
    for source in sorted(path for path in _TEMPLATE.rglob("*") if path.is_file()):
        place = source.relative_to(_TEMPLATE)
        if place.parts[0] in ("parts", "copier.yml") or "__pycache__" in place.parts:
            continue
        path = environment.from_string(place.as_posix().removesuffix(".jinja")).render(values)
        # A name that is empty for this kind: the file is not for it.
        if path.endswith("/"):
            continue
        text = source.read_text(encoding="utf-8")
        if source.suffix == ".jinja":
            text = environment.get_template(place.as_posix()).render(values)
        yield Path(path), text


def _core_version() -> str:
    """Such as 0.1.0: a plugin keeps to the interface of one minor version."""
    major, minor, *_ = importlib.metadata.version("saltation").split(".")
    return f"{major}.{minor}.0"


def _check_name(name: str, kind: str) -> None:
    bare = name.removeprefix("saltation-")
    if not _NAME.fullmatch(name) or keyword.iskeyword(name.replace("-", "_")) or bare != name:
        suggestion = re.sub(r"[^a-z0-9]+", "-", bare.lower()).strip("-0123456789") or f"my-{kind}"
        suggestion = f"my-{suggestion}" if keyword.iskeyword(suggestion.replace("-", "_")) else suggestion
        raise ValueError(
            f"new-plugin got the name {name!r}; expected lower-case words with hyphens, without 'saltation-', such as "
            f"{suggestion!r}."
        )
    if name in records(kind) or name.replace("-", "_") in records(kind):
        raise ValueError(f"new-plugin got {name!r}, but an installed plugin has a {kind} of that name; choose another.")
    known = known_plugin(kind, name) or known_plugin(kind, name.replace("-", "_"))
    if known is not None:
        raise ValueError(
            f"new-plugin got {name!r}, but {known.distribution} brings a {kind} of that name; choose another."
        )
    try:
        importlib.metadata.distribution(f"saltation-{name}")
    except importlib.metadata.PackageNotFoundError:
        return
    raise ValueError(f"new-plugin got {name!r}, but saltation-{name} is installed already; choose another name.")
