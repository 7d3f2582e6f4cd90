"""What pages of this site may use beyond Markdown, filled in when it is built.

- `<!-- include FILE -->` is the text of a file of the repository, or a sentence that says how to make it.
- `<!-- packages -->` is a table of all packages. Each has a page of its own in the reference, made here: a
  mkdocstrings entry for every name in its `__init__.pyi`, so that a new package or name joins by itself.
- `$...$` and `$$...$$` become MathML, which browsers set without a script or a font from elsewhere.
"""

import html
import re
import sys
from pathlib import Path

import latex2mathml.converter
from mkdocs.structure.files import File

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tools"))

from workspace import Package, packages  # noqa: E402

PUBLIC = re.compile(r"^from (?P<module>\S+) import \w+ as (?P<name>\w+)$", re.MULTILINE)
MATHS = re.compile(r'<(?P<tag>span|div) class="arithmatex">\\[(\[](?P<tex>.*?)\\[)\]]</(?P=tag)>', re.DOTALL)
RESULTS = "benchmarks/results"


def on_config(config):
    for entry in config.nav:
        if entry.get("Reference") == "reference.md":
            entry["Reference"] = ["reference.md", *({module: f"reference/{module}.md"} for module in modules())]
    return config


def on_files(files, config):
    for module in modules():
        text = f"# {module}\n\n{packages()[module.replace('_', '-')].manifest['project']['description']}.\n\n"
        files.append(File.generated(config, f"reference/{module}.md", content=text + reference(module)))
    for picture in (ROOT / RESULTS).glob("*.png"):
        files.append(File.generated(config, f"results/{picture.name}", abs_src_path=str(picture)))
    return files


def on_page_markdown(markdown: str, **_) -> str:
    markdown = re.sub(r"<!-- include (\S+) -->", lambda found: include(found[1]), markdown)
    markdown = markdown.replace("<!-- packages -->", table_of_packages())
    # Beside the pages in the repository, below them in the site.
    return markdown.replace(f"](../{RESULTS}/", "](results/")


def on_page_content(content: str, **_) -> str:
    return MATHS.sub(lambda found: mathml(found["tex"], "block" if found["tag"] == "div" else "inline"), content)


def mathml(tex: str, display: str) -> str:
    return latex2mathml.converter.convert(html.unescape(tex).strip(), display=display)


def include(file: str) -> str:
    path = ROOT / file
    # Pictures and tables beside it are not pages of the site.
    return (
        re.sub(r"!?\[([^]]*)\]\((?!http)[^)]*\)", r"\1", path.read_text())
        if path.exists()
        else (f"*There is no `{file}` yet: run `nox -s benchmarks`.*")
    )


def modules() -> list[str]:
    return [package.import_name for package in packages().values()]


def table_of_packages() -> str:
    rows = [f"| [{p.import_name}](reference/{p.import_name}.md) | {summary(p)} |" for p in packages().values()]
    return "\n".join(["| package | what it brings |", "|---|---|", *rows])


def summary(package: Package) -> str:
    return package.manifest["project"]["description"]


def reference(module: str) -> str:
    """An entry of mkdocstrings for every public name of a module."""
    source = next(package.source for package in packages().values() if package.import_name == module)
    names = [found["name"] for found in PUBLIC.finditer((source / "__init__.pyi").read_text())]
    return "\n\n".join(f"::: {module}.{name}" for name in sorted(names, key=str.lower))
