"""Checks that every public name and every registered target is there.

Packages attach their names lazily, so a name in an `__init__.pyi` that does not exist would only fail when it
is used.
"""

import importlib
import os
import sys

from workspace import packages

# Must be set before the first package is imported: lazy_loader then imports everything at once.
os.environ["EAGER_IMPORT"] = "1"


def main() -> int:
    problems = []
    for package in packages().values():
        try:
            importlib.import_module(package.import_name)
        except Exception as error:
            problems.append(f"{package.import_name}: {type(error).__name__}: {error}")
    if problems:
        print("\n".join(problems))
        return 1

    import saltation
    from saltation.plugins import list_plugins

    plugins = list_plugins()
    count = 0
    for plugin in plugins:
        if plugin.status != "ok":
            problems.append(f"{plugin.title}: {plugin.problem}")
        for kind, records in plugin.records.items():
            for record in records:
                count += 1
                try:
                    getattr(saltation, f"get_{kind}")(record.name)
                except saltation.SaltationError as error:
                    problems.append(str(error))
    expected = {package.distribution for package in packages().values() if (package.source / "plugin.py").exists()}
    for missing in sorted(expected - {plugin.distribution for plugin in plugins}):
        problems.append(f"{missing}: its plugin is not discovered; is its entry point installed?")
    print("\n".join(problems) or f"imports: {len(packages())} packages, {len(plugins)} plugins, {count} targets")
    return 1 if problems or not plugins else 0


if __name__ == "__main__":
    sys.exit(main())
