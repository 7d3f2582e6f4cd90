"""Every task of this repository: `nox -l` lists them, `nox -s NAME -- ARGUMENTS` runs one.

Nothing here names a package: lists come from packages/**/pyproject.toml through tools/workspace.py.
"""

import shutil
import sys
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path

import nox
from packaging.requirements import Requirement

ROOT = Path(__file__).parent
sys.path.insert(0, str(ROOT / "tools"))

from workspace import packages, resolve  # noqa: E402

nox.needs_version = ">=2024.4.15"
nox.options.default_venv_backend = "virtualenv"
nox.options.sessions = ["tests"]

CONSTRAINTS = str(ROOT / "constraints" / "constraints.txt")
# JAX is here for its headers, which a native kernel is built with.
BUILD_TOOLS = ["hatchling", "editables", "jax"]
TEST_TOOLS = ["beartype", "jaxtyping", "pytest", "pytest-xdist"]
LINTERS = ["ruff", "import-linter"]
# mkdocstrings breaks long signatures with ruff.
DOCS_TOOLS = ["latex2mathml", "mkdocs-material", "mkdocstrings[python]", "ruff"]
PACKAGES = packages()
RECIPES_OF_DEMO = ["ode/digits", "ode/yinyang"]

# One worker a core of a small machine, each with several GB; tests of one file share what they compiled.
PARALLEL = ["-n", "2", "--dist", "loadfile"]


@nox.session
def demo(session: nox.Session) -> None:
    """Trains on handwritten digits and on Yin-Yang, and shows the reports. Arguments go to both runs."""
    install(session, ["saltation[all]"])
    folder = ROOT / "runs" / f"demo-{datetime.now():%Y%m%d-%H%M%S}"
    reports = []
    for recipe in RECIPES_OF_DEMO:
        out = folder / recipe.replace("/", "-")
        session.run("saltation", "train", recipe, "--out", str(out), *session.posargs)
        reports.append(out / "report.html")
    session.log("Reports, to open in a browser:")
    for report in reports:
        session.log(f"  {report}")


@nox.session
def tests(session: nox.Session) -> None:
    """All checks and the fast tests of everything in one environment. Arguments go to pytest."""
    install(session, everything(), *LINTERS)
    commands = [*lint_commands(), *check_commands()]
    # Two at a time, as the tests; one after the other they take a minute.
    with ThreadPoolExecutor(2) as pool:
        passed = list(pool.map(lambda command: passes(session, command), commands))
    failed = [" ".join(command) for command, good in zip(commands, passed, strict=True) if not good]
    session.run("pytest", "-m", "not slow", *PARALLEL, *session.posargs)
    if failed:
        session.error(f"the tests passed, but these checks did not: {', '.join(failed)}")


@nox.session
@nox.parametrize("name", [nox.param(name, id=name) for name in PACKAGES])
def package(session: nox.Session, name: str) -> None:
    """The fast tests of one package, in an environment that holds only what this package declares."""
    requirements = [name, *map(str, PACKAGES[name].test_group)]
    install(session, requirements, *TEST_TOOLS)
    session.run("pytest", str(PACKAGES[name].path), "-m", "not slow", *session.posargs)


@nox.session
def integration(session: nox.Session) -> None:
    """Tests across packages: methods against each other, a third-party plugin."""
    install(session, everything())
    session.run("pytest", "tests", *session.posargs)


@nox.session
def conformance(session: nox.Session) -> None:
    """The conformance suite of every plugin."""
    install(session, everything())
    suites = [str(path) for package in PACKAGES.values() for path in package.tests.glob("test_conformance*.py")]
    session.run("pytest", *suites, *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Style: ruff's rules and its format. `nox -s lint -- --fix` repairs what can be repaired."""
    session.install("-c", CONSTRAINTS, "ruff")
    if "--fix" in session.posargs:
        session.run("ruff", "check", "--fix", ".")
        session.run("ruff", "format", ".")
    for command in lint_commands():
        session.run(*command)


@nox.session
def layers(session: nox.Session) -> None:
    """Structure: who may import whom, declared imports, classes, metadata, lazy names, wheels."""
    install(session, everything(), *LINTERS)
    for command in check_commands():
        session.run(*command)


@nox.session
def typing(session: nox.Session) -> None:
    """Static types, with pyright."""
    extras = [f"{name}[{','.join(package.extras)}]" for name, package in PACKAGES.items() if package.extras]
    install(session, [*everything(), *extras], "pyright[nodejs]")
    session.run("python", "tools/check_types.py")


@nox.session
def lower_bounds(session: nox.Session) -> None:
    """The fast tests with the oldest versions that the packages say they work with."""
    session.install("packaging")
    bounds = Path(session.create_tmp()) / "lower-bounds.txt"
    bounds.write_text(str(session.run("python", "tools/lower_bounds.py", silent=True)))
    install(session, everything(), constraints=str(bounds))
    session.run("pytest", "-m", "not slow", *PARALLEL, *session.posargs)


@nox.session
def slow(session: nox.Session) -> None:
    """The slow tests, such as full training runs."""
    install(session, everything())
    session.run("pytest", "-m", "slow", *session.posargs)


@nox.session
def docs(session: nox.Session) -> None:
    """The documentation's site, built into site/ and checked; then all code of all pages, unless `-- --no-code`."""
    install(session, everything(), *DOCS_TOOLS)
    # MkDocs 1 warns that there may be a version 2.
    session.run("mkdocs", "build", "--strict", env={"NO_MKDOCS_2_WARNING": "1"})
    session.run("python", "tools/check_site.py", "site")
    arguments = [argument for argument in session.posargs if argument != "--no-code"]
    pages = [] if "--no-code" in session.posargs else ["tests/test_documents.py"]
    session.run("pytest", "tests/test_site.py", *pages, *arguments, env={"SALTATION_SITE": "site"})
    session.log(f"The site, to open in a browser: {ROOT / 'site' / 'index.html'}")


@nox.session
def build(session: nox.Session) -> None:
    """Wheels of all packages in dist/, each installed alone in a clean environment and tried. Arguments name some."""
    dist = ROOT / "dist"
    shutil.rmtree(dist, ignore_errors=True)
    session.install("-c", CONSTRAINTS, *BUILD_TOOLS, "packaging", "virtualenv")
    paths = [str(package.path) for package in PACKAGES.values()]
    session.run("python", "-m", "pip", "wheel", "--no-build-isolation", "--no-deps", "--wheel-dir", str(dist), *paths)
    session.run("python", "tools/check_alone.py", str(dist), *session.posargs)


@nox.session
def benchmarks(session: nox.Session) -> None:
    """Speed and memory, also against other libraries, each in its own environment."""
    install(session, ["saltation[all]"])
    session.run("python", "benchmarks/run.py", *session.posargs)


def everything() -> list[str]:
    """All packages with what their tests need."""
    groups = [str(requirement) for package in PACKAGES.values() for requirement in package.test_group]
    return [*PACKAGES, "saltation[all]", *groups, *TEST_TOOLS]


def install(session: nox.Session, requirements: Iterable[str], *tools: str, constraints: str = CONSTRAINTS) -> None:
    """Installs requirements, local packages as editable checkouts.

    Local packages need each other and no index has them, so all go into one call of pip; without build
    isolation this takes seconds for any number of them.
    """
    # Python compiles what it imports; to compile all of what is installed takes longer than the rest of it.
    session.install("--no-compile", "-c", CONSTRAINTS, *BUILD_TOOLS)
    paths, elsewhere = resolve(Requirement(line) for line in [*requirements, *tools])
    editable = [argument for path in paths for argument in ("-e", path)]
    session.install("--no-compile", "-c", constraints, "--no-build-isolation", *editable, *sorted(set(elsewhere)))


def passes(session: nox.Session, command: list[str]) -> bool:
    """Runs a check and shows what it says when it is done; one that fails does not keep the others from running."""
    try:
        print(f"{' '.join(command)}\n{session.run(*command, silent=True)}", end="")
    except nox.command.CommandFailed:
        return False
    return True


def lint_commands() -> list[list[str]]:
    return [["ruff", "check", "."], ["ruff", "format", "--check", "."]]


def check_commands() -> list[list[str]]:
    names = ["metadata", "declared", "layers", "classes", "imports", "wheels"]
    return [["python", f"tools/check_{name}.py"] for name in names]
