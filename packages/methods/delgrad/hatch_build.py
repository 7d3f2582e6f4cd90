"""Builds the native kernel into the wheel, or into the checkout of an editable installation, where a compiler is found.

Without one, or without JAX's headers, a warning says so, and the package works with plain JAX.
"""

import hashlib
import os
import platform
import shlex
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

LIBRARY = "src/saltation_delgrad/_kernel.so"
# No exceptions of floating-point numbers are looked at; everything else is as the standard says.
FLAGS = ["-std=c++17", "-O2", "-fPIC", "-fno-math-errno", "-fno-trapping-math"]
X86 = platform.machine().lower() in ("x86_64", "amd64")
# Families of processors that the kernel is compiled for; the fastest one that runs here is chosen when it is loaded.
FAMILIES = {"baseline": []} | ({"x86_64_v3": ["-march=x86-64-v3"]} if X86 else {})


class NotBuilt(Exception):
    """Why there is no native kernel."""


class NativeKernel(BuildHookInterface):
    """Compiles `native/*.cc` into one library."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        root = Path(self.root)
        library = root / LIBRARY
        try:
            build(root, library)
        except NotBuilt as problem:
            # One of an earlier build would be another kernel than that of these sources.
            library.unlink(missing_ok=True)
            self.app.display_warning(
                f"saltation-delgrad is installed without its native kernel, and works, but slower: {problem}"
            )
            return
        build_data["artifacts"].append(LIBRARY)
        build_data["pure_python"] = False
        build_data["infer_tag"] = True


def build(root: Path, library: Path) -> None:
    compiler = find_compiler()
    headers = jax_headers()
    sources = sorted((root / "native").iterdir())
    digest = hashlib.sha256(repr([compiler, FLAGS, FAMILIES, headers]).encode())
    for path in [*sources, *sorted(headers.rglob("*.h")), Path(__file__)]:
        digest.update(path.read_bytes())
    # What was compiled from the same sources before is taken again.
    folder = root / "build" / digest.hexdigest()[:16]
    built = folder / library.name
    if not built.exists():
        folder.mkdir(parents=True, exist_ok=True)
        compile_all(compiler, headers, root / "native", folder, built)
    # A new file: the old one may be loaded by a process that runs.
    library.unlink(missing_ok=True)
    shutil.copyfile(built, library)


def compile_all(compiler: list[str], headers: Path, native: Path, folder: Path, library: Path) -> None:
    commands, objects = [], []

    def add(source: str, name: str, *options: str) -> None:
        objects.append(str(folder / f"{name}.o"))
        commands.append([*compiler, *FLAGS, *options, "-c", str(native / source), "-o", objects[-1]])

    for family, options in FAMILIES.items():
        for number in ("float", "double"):
            names = [f"-DSALTATION_ARCH={family}", f"-DSALTATION_NUMBER={number}"]
            add("kernel.cc", f"{family}_{number}", *options, *names, f"-DSALTATION_FUNCTIONS={number}_functions")
    add("ffi.cc", "ffi", f"-I{headers}", f"-DSALTATION_X86={int(X86)}")
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        list(pool.map(run, commands))
    linked = folder / "linked.so"
    run([*compiler, "-shared", *objects, "-o", str(linked)])
    linked.replace(library)


def find_compiler() -> list[str]:
    if sys.platform == "win32":
        raise NotBuilt("it is written for GCC and Clang, on Linux and macOS.")
    if os.environ.get("CXX"):
        return shlex.split(os.environ["CXX"])
    for name in ("c++", "g++", "clang++"):
        if found := shutil.which(name):
            return [found]
    raise NotBuilt("no C++ compiler was found. Install one (g++ or clang++), or name it: CXX=...")


def jax_headers() -> Path:
    try:
        import jax
    except ImportError:
        raise NotBuilt("JAX, whose headers it needs, is not installed where it is built. Install jax first.") from None
    return Path(jax.ffi.include_dir())


def run(command: list[str]) -> None:
    try:
        subprocess.run(command, check=True, capture_output=True, text=True)
    except OSError as error:
        raise NotBuilt(f"the compiler cannot be run: {error}.") from None
    except subprocess.CalledProcessError as error:
        raise NotBuilt(f"the compiler failed: {shlex.join(command)}\n{error.stderr}") from None
