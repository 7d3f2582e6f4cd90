"""Builds a wheel of every package and checks that what is in it works: imports, types, plugins, data files.

An editable installation finds files that a wheel may lack.
"""

import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from workspace import packages

# Runs with the wheels' contents in front of the editable installations.
SMOKE = """
import importlib, pathlib, sys
site = pathlib.Path(sys.argv[1])
for name in sys.argv[2:]:
    found = pathlib.Path(importlib.import_module(name).__file__)
    assert found.is_relative_to(site), f"{name} was imported from {found}"
import saltation, saltation.plugins
for plugin in saltation.plugins.list_plugins():
    assert plugin.status == "ok", f"{plugin.title}: {plugin.problem}"
    for kind, records in plugin.records.items():
        for record in records:
            getattr(saltation, f"get_{kind}")(record.name)
"""


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        wheels, site = Path(folder) / "wheels", Path(folder) / "site"
        paths = [str(package.path) for package in packages().values()]
        pip("wheel", "--no-build-isolation", "--no-deps", "--wheel-dir", str(wheels), *paths)
        problems = [problem for wheel in sorted(wheels.glob("*.whl")) for problem in check(wheel)]
        pip("install", "--no-deps", "--target", str(site), *map(str, wheels.glob("*.whl")))
        names = [package.import_name for package in packages().values()]
        environment = {**os.environ, "PYTHONPATH": str(site), "EAGER_IMPORT": "1"}
        smoke = subprocess.run([sys.executable, "-c", SMOKE, str(site), *names], env=environment, cwd=folder)
        if smoke.returncode:
            problems.append("the installed wheels do not work, see above")
    print("\n".join(problems) or f"wheels: {len(names)} built, installed and imported")
    return 1 if problems else 0


def pip(*arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "pip", "--quiet", *arguments], check=True)


def check(wheel: Path) -> list[str]:
    import_name = wheel.name.partition("-")[0]
    files = zipfile.ZipFile(wheel).namelist()
    wanted = [f"{import_name}/__init__.py", f"{import_name}/__init__.pyi", f"{import_name}/py.typed"]
    problems = [f"{wheel.name}: lacks {name}" for name in wanted if name not in files]
    strays = [name for name in files if not name.startswith((f"{import_name}/", f"{import_name}-"))]
    return problems + [f"{wheel.name}: holds {name}, which is not in the package" for name in strays]


if __name__ == "__main__":
    sys.exit(main())
