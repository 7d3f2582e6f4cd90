"""The packages of this repository, as their `pyproject.toml` files describe them.

Whatever needs a list of packages derives it from here, so that a new package joins by itself.
"""

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Package:
    """One package: where it is, what it is called, and what it needs."""

    path: Path
    manifest: dict[str, Any]

    @property
    def distribution(self) -> str:
        return self.manifest["project"]["name"]

    @property
    def import_name(self) -> str:
        return self.distribution.replace("-", "_")

    @property
    def source(self) -> Path:
        return self.path / "src" / self.import_name

    @property
    def tests(self) -> Path:
        return self.path / "tests"

    @property
    def dependencies(self) -> list[Requirement]:
        return [Requirement(line) for line in self.manifest["project"].get("dependencies", [])]

    @property
    def extras(self) -> dict[str, list[Requirement]]:
        extras = self.manifest["project"].get("optional-dependencies", {})
        return {name: [Requirement(line) for line in lines] for name, lines in extras.items()}

    @property
    def test_group(self) -> list[Requirement]:
        return [Requirement(line) for line in self.manifest.get("dependency-groups", {}).get("test", [])]


def packages() -> dict[str, Package]:
    """Returns all packages by the name of their distribution, core first."""
    manifests = [*ROOT.glob("packages/*/pyproject.toml"), *ROOT.glob("packages/*/*/pyproject.toml")]
    found = [Package(path.parent, tomllib.loads(path.read_text())) for path in manifests]
    if not found:
        raise FileNotFoundError(f"no packages/**/pyproject.toml in {ROOT}")
    found.sort(key=lambda package: (package.distribution != "saltation", package.distribution))
    return {package.distribution: package for package in found}


def resolve(requirements: Iterable[Requirement]) -> tuple[list[str], list[str]]:
    """Splits requirements into what this repository holds, with all that it needs in turn, and the rest.

    **Returns**

    Local packages as pip paths, such as `packages/core[all]`, and other requirements as text. pip works out
    what the local packages need from elsewhere; only local ones must be spelt out, since no index has them.
    """
    requirements = list(requirements)
    local = packages()
    extras: dict[str, set[str]] = {}
    queue = list(requirements)
    while queue:
        requirement = queue.pop()
        package = local.get(canonicalize_name(requirement.name))
        if package is None:
            continue
        if package.distribution not in extras:
            extras[package.distribution] = set()
            queue += package.dependencies
        for extra in requirement.extras - extras[package.distribution]:
            extras[package.distribution].add(extra)
            queue += package.extras[extra]
    paths = []
    for name, chosen in sorted(extras.items()):
        path = local[name].path.relative_to(ROOT).as_posix()
        paths.append(f"{path}[{','.join(sorted(chosen))}]" if chosen else path)
    elsewhere = [str(requirement) for requirement in requirements if canonicalize_name(requirement.name) not in local]
    return paths, elsewhere
