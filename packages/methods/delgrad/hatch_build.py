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
    headers, jaxlib = jax_headers()
    native, folder = root / "native", root / "build"
    folder.mkdir(exist_ok=True)
    objects = []
    for family, options in FAMILIES.items():
        for number in ("float", "double"):
            names = [f"-DSALTATION_ARCH={family}", f"-DSALTATION_NUMBER={number}"]
            names += [f"-DSALTATION_FUNCTIONS={number}_functions"]
            objects.append((native / "kernel.cc", [*options, *names], None))
    families = [f"-DSALTATION_X86={int(X86)}"]
    objects.append((native / "host.cc", families, None))
    names = [*families, f'-DSALTATION_JAXLIB="{jaxlib}"']
    objects.append((native / "ffi.cc", [f"-I{headers}", *names], headers))
    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        compiled = list(pool.map(lambda one: compile_once(compiler, one[0], one[1], one[2], folder), objects))
    linked = folder / library.name
    run([*compiler, "-shared", *map(str, compiled), "-o", str(linked)])
    # A new file, there at once: the old one may be loaded by a process that runs.
    fresh = linked.with_suffix(".new")
    shutil.copyfile(linked, fresh)
    fresh.replace(library)


def compile_once(compiler: list[str], source: Path, options: list[str], headers: Path | None, folder: Path) -> Path:
    """The object file; the same as before if nothing that it depends on has changed."""
    command = [*compiler, *FLAGS, *options, "-c", str(source)]
    digest = hashlib.sha256(shlex.join(command).encode())
    included = [] if headers is None else sorted(headers.rglob("*.h"))
    for path in [source, *sorted(source.parent.glob("*.h")), *included]:
        digest.update(path.read_bytes())
    target = folder / f"{source.stem}-{digest.hexdigest()[:16]}.o"
    if not target.exists():
        half = target.with_suffix(f".{os.getpid()}")
        run([*command, "-o", str(half)])
        half.replace(target)
    return target


def find_compiler() -> list[str]:
    if sys.platform == "win32":
        raise NotBuilt("it is written for GCC and Clang, on Linux and macOS.")
    if os.environ.get("CXX"):
        return shlex.split(os.environ["CXX"])
    for name in ("c++", "g++", "clang++"):
        if found := shutil.which(name):
            return [found]
    raise NotBuilt("no C++ compiler was found. Install one (g++ or clang++), or name it: CXX=...")


def jax_headers() -> tuple[Path, str]:
    """Where they are, and of which version of jaxlib."""
    try:
        import jax
        import jaxlib
    except ImportError:
        raise NotBuilt("JAX, whose headers it needs, is not installed where it is built. Install jax first.") from None
    return Path(jax.ffi.include_dir()), jaxlib.__version__  # pyright: ignore


def run(command: list[str]) -> None:
    try:
        subprocess.run(command, check=True, capture_output=True, text=True)
    except OSError as error:
        raise NotBuilt(f"the compiler cannot be run: {error}.") from None
    except subprocess.CalledProcessError as error:
        raise NotBuilt(f"the compiler failed: {shlex.join(command)}\n{error.stderr}") from None
