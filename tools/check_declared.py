"""Checks that each package declares what it imports, and its test group what its tests import.

An undeclared import works in the shared environment of this repository and fails for a user who installs the
one package alone.
"""

import ast
import sys
from collections.abc import Iterable, Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from workspace import ROOT, Package, packages

# What every session that runs tests installs (TEST_TOOLS in noxfile.py).
ALWAYS_IN_TESTS = {"pytest"}


def main() -> int:
    local = {package.import_name: package.distribution for package in packages().values()}
    installed = packages_distributions()
    problems, files = [], 0

    def undeclared(paths: Iterable[Path], declared: set[str], own: set[str]) -> Iterator[str]:
        nonlocal files
        for path in paths:
            files += 1
            for line, module in imports(path):
                if module in sys.stdlib_module_names or module in own:
                    continue
                names = [local[module]] if module in local else installed.get(module, [module])
                if not declared & {canonicalize_name(name) for name in names}:
                    yield f"{path.relative_to(ROOT)}:{line}: imports {module}, which is not declared"

    for package in packages().values():
        extras = [requirement for extra in package.extras.values() for requirement in extra]
        declared = names_of([*package.dependencies, *extras])
        problems += undeclared(python_files(package.source), declared, {package.import_name})
        declared |= names_of(package.test_group) | ALWAYS_IN_TESTS
        helpers = {path.stem for path in package.tests.glob("*.py")}
        problems += undeclared(python_files(package.tests), declared, {package.import_name, *helpers})
        if not names_of(package.dependencies) >= required(package):
            problems.append(f"{package.path.relative_to(ROOT)}: a plugin depends on saltation")
    print("\n".join(problems) or f"declared imports: {files} files, none undeclared")
    return 1 if problems or not files else 0


def required(package: Package) -> set[str]:
    return set() if package.distribution == "saltation" else {"saltation"}


def names_of(requirements: Iterable[Requirement]) -> set[str]:
    return {canonicalize_name(requirement.name) for requirement in requirements}


def python_files(folder: Path) -> list[Path]:
    return sorted([*folder.rglob("*.py"), *folder.rglob("*.pyi")])


def imports(path: Path) -> Iterator[tuple[int, str]]:
    """The top-level names of all absolute imports in a file, wherever they stand."""
    for node in ast.walk(ast.parse(path.read_text(), str(path))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name.partition(".")[0]
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.lineno, node.module.partition(".")[0]


if __name__ == "__main__":
    sys.exit(main())
