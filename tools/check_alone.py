"""Installs each wheel of a folder alone, with only what it declares, and checks that it works there.

`python tools/check_alone.py dist [NAME ...]`: all packages, or those named. In the shared environment of this
repository a package finds what another one has installed.
"""

import os
import subprocess
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path

from workspace import ROOT, Package, packages

CONSTRAINTS = ROOT / "constraints" / "constraints.txt"

SMOKE = """
import importlib, importlib.metadata, sys
name, package, version = sys.argv[1:4]
importlib.import_module(package)
assert importlib.metadata.version(name) == version
import saltation
from saltation.plugins import list_plugins
for plugin in list_plugins():
    assert plugin.status == "ok", f"{plugin.title}: {plugin.problem}"
    if plugin.distribution == name:
        for kind, records in plugin.records.items():
            for record in records:
                getattr(saltation, f"get_{kind}")(record.name)
installed = {d.name for d in importlib.metadata.distributions() if (d.name or "").startswith("saltation")}
print(*sorted(installed))
"""


def main() -> int:
    dist, chosen = Path(sys.argv[1]).resolve(), sys.argv[2:]
    found = packages()
    unknown = sorted(set(chosen) - set(found))
    if unknown:
        print(f"there is no package {', '.join(unknown)}; expected some of {', '.join(found)}")
        return 2
    problems = [problem for name in chosen or found for problem in alone(found[name], dist)]
    print("\n".join(problems) or f"alone: {len(chosen or found)} packages installed and imported")
    return 1 if problems else 0


def alone(package: Package, dist: Path) -> list[str]:
    """What is wrong with a package in an environment of its own."""
    # Debian's Python may lack what venv needs; nox brings virtualenv.
    maker = "virtualenv" if find_spec("virtualenv") else "venv"
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-m", maker, f"{folder}/venv"], check=True, stdout=subprocess.DEVNULL)
        python = f"{folder}/venv/bin/python"
        name, version = package.distribution, package.manifest["project"]["version"]
        install = [python, "-m", "pip", "install", "--quiet", "-c", str(CONSTRAINTS), "--find-links", str(dist)]
        done = subprocess.run([*install, f"{name}=={version}"], capture_output=True, text=True)
        if done.returncode:
            return [f"{name}: cannot be installed: {done.stderr.strip()}"]
        smoke = [python, "-c", SMOKE, name, package.import_name, version]
        environment = {**os.environ, "EAGER_IMPORT": "1"}
        done = subprocess.run(smoke, cwd=folder, env=environment, capture_output=True, text=True)
        if done.returncode:
            return [f"{name}: does not work alone: {done.stderr.strip()}"]
        surplus = set(done.stdout.split()) - declared(package)
        return [f"{name}: brings {', '.join(sorted(surplus))} along, which it does not declare"] if surplus else []


def declared(package: Package) -> set[str]:
    """The packages of this repository that it declares, and all that they declare in turn."""
    found, queue = {package.distribution}, [package]
    while queue:
        for requirement in queue.pop().dependencies:
            if requirement.name in packages() and requirement.name not in found:
                found.add(requirement.name)
                queue.append(packages()[requirement.name])
    return found


if __name__ == "__main__":
    sys.exit(main())
