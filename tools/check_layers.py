"""Checks with import-linter that arrows point down only: plugins know core, and never each other.

The contracts are written here and not in a settings file, so that they hold for every package that is added.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

from workspace import packages

# Core may know the words that everyone speaks, and none of the libraries that one plugin chose.
NOT_IN_CORE = ["diffrax", "optimistix", "lineax", "optax", "torch", "nir", "matplotlib", "scipy", "sklearn"]

# Discovery takes milliseconds because these are not imported.
HEAVY = ["jax", "jaxlib", "equinox", "diffrax", "numpy", "torch", "optax", "matplotlib"]


def main() -> int:
    names = [package.import_name for package in packages().values()]
    plugins = [name for name in names if name != "saltation"]
    light = [
        package.import_name + ".plugin" for package in packages().values() if (package.source / "plugin.py").exists()
    ]
    sections = [
        section("importlinter", root_packages=names, include_external_packages=["True"]),
        contract("core", "forbidden", "Core knows no plugin", ["saltation"], [*plugins, *NOT_IN_CORE]),
        section(
            "importlinter:contract:plugins",
            name=["Plugins are independent"],
            type=["independence"],
            modules=plugins,
        ),
        contract(
            "light",
            "forbidden",
            "Discovery imports nothing heavy",
            [*light, "saltation.plugins", "saltation._plugins", "saltation._errors"],
            HEAVY,
        ),
        contract(
            "torch",
            "forbidden",
            "Only the bridge to torch imports torch",
            [name for name in names if name != "saltation_torch"],
            ["torch"],
        ),
    ]
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "importlinter.ini"
        config.write_text("\n".join(sections))
        return subprocess.run(["lint-imports", "--no-cache", "--config", str(config)]).returncode


def contract(key: str, kind: str, name: str, sources: list[str], forbidden: list[str]) -> str:
    return section(
        f"importlinter:contract:{key}",
        name=[name],
        type=[kind],
        source_modules=sources,
        forbidden_modules=forbidden,
    )


def section(header: str, **fields: list[str]) -> str:
    """One section of an INI file, with a list as indented lines."""
    lines = [f"[{header}]"]
    for field, values in fields.items():
        lines.append(f"{field} = {values[0]}" if len(values) == 1 else "\n    ".join([f"{field} =", *values]))
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
