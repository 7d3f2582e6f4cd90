"""Checks that every class is abstract or final.

Nothing inherits from a concrete class, overrides a concrete method, or calls `super()`: so a method that a
reader finds is the method that runs. Exceptions are exempt, since a family of errors is caught by its base.
"""

import ast
import importlib
import inspect
import pkgutil
import sys
from collections.abc import Iterator
from pathlib import Path

import equinox as eqx
from workspace import ROOT, packages

# Python and Equinox call these for each class of the hierarchy in turn, or every class has its own.
COOPERATIVE = {
    "__check_init__",
    "__init_subclass__",
    "__class_getitem__",
    "__module__",
    "__doc__",
    "__qualname__",
}


def main() -> int:
    names = [package.import_name for package in packages().values()]
    found = sorted({cls for name in names for cls in classes(name)}, key=lambda cls: (cls.__module__, cls.__qualname__))
    modules = [cls for cls in found if issubclass(cls, eqx.Module)]
    problems = [problem for cls in found for problem in check(cls, set(found))]
    problems += [problem for package in packages().values() for problem in supers(package.source)]
    print(
        "\n".join(problems) or f"classes: {len(found)}, of them {len(modules)} Equinox modules, all abstract or final"
    )
    return 1 if problems or not modules else 0


def classes(package: str) -> Iterator[type]:
    """All classes that a package defines."""
    root = importlib.import_module(package)
    for info in pkgutil.walk_packages(root.__path__, package + "."):
        if info.name.rpartition(".")[2] == "__main__" or is_library(info):
            continue
        module = importlib.import_module(info.name)
        for cls in vars(module).values():
            if inspect.isclass(cls) and cls.__module__ == module.__name__:
                yield cls


def is_library(info: pkgutil.ModuleInfo) -> bool:
    """Whether this is compiled code, which may be no Python module at all."""
    spec = info.module_finder.find_spec(info.name, None)  # pyright: ignore
    return spec is not None and not str(spec.origin).endswith(".py")


def check(cls: type, ours: set[type]) -> Iterator[str]:
    name = f"{cls.__module__}.{cls.__qualname__}"
    abstract = is_abstract_name(cls)
    if issubclass(cls, BaseException):
        return
    if inspect.isabstract(cls) and not abstract:
        missing = ", ".join(sorted(cls.__abstractmethods__))
        yield f"{name}: lacks {missing}; implement it, or call the class Abstract{cls.__name__.lstrip('_')}"
    for base in cls.__mro__[1:]:
        if base not in ours:
            continue
        if not is_abstract_name(base):
            yield f"{name}: inherits from {base.__qualname__}, which is concrete; hold one as a field instead"
        for attribute in sorted(vars(cls).keys() & vars(base).keys() - COOPERATIVE):
            if is_method(vars(base)[attribute]) and not is_abstract_method(vars(base)[attribute]):
                if not is_generated(cls, attribute) and not is_generated(base, attribute):
                    yield f"{name}: overrides {base.__qualname__}.{attribute}, which is concrete"


def is_abstract_name(cls: type) -> bool:
    return cls.__name__.lstrip("_").startswith("Abstract")


def is_method(value: object) -> bool:
    return callable(value) or isinstance(value, (property, staticmethod, classmethod))


def is_abstract_method(value: object) -> bool:
    return bool(getattr(value, "__isabstractmethod__", False))


def is_generated(cls: type, attribute: str) -> bool:
    """Whether a dunder was made by `dataclass`, `ABCMeta` or Equinox and not written in the class."""
    if not attribute.startswith("__"):
        return False
    tree = ast.parse(inspect.cleandoc("\n" + inspect.getsource(cls)))
    body = next(node.body for node in tree.body if isinstance(node, ast.ClassDef))
    return attribute not in {getattr(node, "name", None) for node in body}


def supers(source: Path) -> Iterator[str]:
    for path in sorted(source.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "super":
                yield f"{path.relative_to(ROOT)}:{node.lineno}: calls super(); compose instead"


if __name__ == "__main__":
    sys.exit(main())
