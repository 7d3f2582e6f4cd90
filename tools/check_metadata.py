"""Checks what packages have in common: one version, a pin on core, a licence, types, an entry point."""

import sys

from packaging.utils import canonicalize_name
from workspace import ROOT, Package, packages

# Not part of `saltation[all]`: core itself, what only plugin authors need, and PyTorch, which is larger than all the
# rest.
NOT_IN_ALL = {"saltation", "saltation-testing", "saltation-torch"}


def main() -> int:
    found = packages()
    core = found["saltation"]
    version = core.manifest["project"]["version"]
    major, minor, _ = version.split(".")
    pin = f"~={major}.{minor}.0"
    problems = [
        f"{package.path.relative_to(ROOT)}: {problem}"
        for package in found.values()
        for problem in check(package, version, pin)
    ]
    if f"\nversion: {version}\n" not in (ROOT / "CITATION.cff").read_text():
        problems.append(f"CITATION.cff: expected version: {version}")
    everything = {canonicalize_name(requirement.name) for requirement in core.extras["all"]}
    for missing in sorted(set(found) - NOT_IN_ALL - everything):
        problems.append(f"packages/core: the extra `all` lacks {missing}")
    for unknown in sorted(everything - set(found)):
        problems.append(f"packages/core: the extra `all` names {unknown}, which is not in packages/")
    print("\n".join(problems) or f"metadata: {len(found)} packages agree on {version}")
    return 1 if problems else 0


def check(package: Package, version: str, pin: str) -> list[str]:
    project = package.manifest["project"]
    problems = []
    if project["version"] != version:
        problems.append(f"has version {project['version']}, core has {version}")
    if not project.get("license", "").startswith("Apache-2.0"):
        problems.append(f"has license {project.get('license')!r}, expected 'Apache-2.0'")
    if project.get("requires-python") != ">=3.11":
        problems.append(f"has requires-python {project.get('requires-python')!r}, expected '>=3.11'")
    for requirement in [*package.dependencies, *package.test_group]:
        if canonicalize_name(requirement.name) in packages() and str(requirement.specifier) != pin:
            problems.append(f"requires {requirement}, expected {requirement.name}{pin}")
    for name in ("__init__.py", "__init__.pyi", "py.typed"):
        if not (package.source / name).exists():
            problems.append(f"lacks src/{package.import_name}/{name}")
    if not (package.path / "README.md").exists():
        problems.append("lacks README.md")
    points = project.get("entry-points", {}).get("saltation", {})
    has_plugin = (package.source / "plugin.py").exists()
    if has_plugin and list(points.values()) != [f"{package.import_name}.plugin"]:
        problems.append(f"expected one entry point of the group saltation, {package.import_name}.plugin")
    if points and not has_plugin:
        problems.append("has an entry point of the group saltation, but no plugin.py")
    return problems


if __name__ == "__main__":
    sys.exit(main())
