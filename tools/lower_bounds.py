"""Prints pip constraints that pin every outside dependency to the oldest version that some package allows.

Where two packages state different lower bounds, the higher one is the oldest that works for both.
"""

import sys

from packaging.utils import canonicalize_name
from packaging.version import Version
from workspace import packages


def main() -> int:
    local = packages()
    bounds: dict[str, Version] = {}
    unbounded = []
    for package in local.values():
        extras = [requirement for extra in package.extras.values() for requirement in extra]
        for requirement in [*package.dependencies, *extras, *package.test_group]:
            name = canonicalize_name(requirement.name)
            if name in local:
                continue
            lower = [Version(part.version) for part in requirement.specifier if part.operator in (">=", "~=", "==")]
            if not lower:
                unbounded.append(f"{package.distribution}: {requirement} has no lower bound")
                continue
            bounds[name] = max(bounds.get(name, lower[0]), *lower)
    if unbounded:
        print("\n".join(unbounded), file=sys.stderr)
        return 1
    print("\n".join(f"{name}=={bound}" for name, bound in sorted(bounds.items())))
    return 0


if __name__ == "__main__":
    sys.exit(main())
