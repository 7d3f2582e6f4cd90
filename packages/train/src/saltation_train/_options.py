"""Command-line options of a recipe, from the signature of its function."""

import argparse
import difflib
import inspect
import types
import typing
from collections.abc import Callable
from typing import Any

# What the commands of a recipe themselves understand; a recipe's argument of such a name is set through it.
GENERAL = (
    *("seed", "out", "resume", "method", "method_option", "methods", "backend", "backend_option", "epochs"),
    *("data_dir", "download", "quiet", "report", "tensorboard", "search", "storage", "study", "trials"),
    *("processes", "process", "coordinator", "distributed", "launched"),
)


def read_command(
    command: str, usage: str, make_parser: Callable[[str, str | None], argparse.ArgumentParser], arguments: list[str]
) -> tuple[str, argparse.Namespace, dict[str, Any]] | None:
    """What a command got whose first word is a recipe: its name, the command's options, the recipe's arguments.

    **Arguments:** `make_parser`: of a recipe's name and docstring.

    **Returns:** `None` where help was asked for, and given.

    **Raises:** `ValueError` for a first word that is no recipe, or an option that neither has.
    """
    if not arguments or arguments[0] in ("-h", "--help"):
        parser = make_parser("RECIPE", None)
        parser.usage = usage
        parser.print_help()
        return None
    name = arguments[0]
    if name.startswith("-"):
        raise ValueError(f"{command} got {name!r} first; expected the recipe first: {usage}")
    from saltation import get_recipe

    function = get_recipe(name)
    return name, *parse_with_recipe(make_parser(name, function.__doc__), name, function, arguments[1:])


def parse_with_recipe(
    parser: argparse.ArgumentParser, name: str, function: Callable[..., Any], rest: list[str]
) -> tuple[argparse.Namespace, dict[str, Any]]:
    """What a command with options of its own got, and the arguments of the recipe that were given.

    **Raises:** `ValueError` for an option that neither has, with the nearest one.
    """
    names = add_recipe_options(parser, function)
    given, unknown = parser.parse_known_args(rest)
    if unknown:
        flags = [flag for action in parser._actions for flag in action.option_strings]
        near = difflib.get_close_matches(unknown[0].partition("=")[0], flags, n=1)
        hint = f" Did you mean {near[0]}?" if near else ""
        raise ValueError(
            f"the recipe {name!r} got {unknown[0]!r}; expected one of its options.{hint} "
            f"`{parser.prog} --help` lists them."
        )
    return given, {key: getattr(given, key) for key in names if hasattr(given, key)}


def named_values(flag: str, given: list[str]) -> dict[str, Any]:
    """Options such as `chip=3` by name: numbers and truth values as such, all else as text.

    **Raises:** `ValueError` for one that is not of the form NAME=VALUE.
    """
    options = {}
    for option in given:
        name, equals, text = option.partition("=")
        if not equals or not name.isidentifier():
            raise ValueError(f"{flag} got {option!r}; expected NAME=VALUE, such as chip=3.")
        options[name] = value_of(text)
    return options


def value_of(text: str) -> Any:
    """A number or a truth value if the text is one, else the text."""
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    return {"true": True, "false": False}.get(text.lower(), text)


def add_recipe_options(parser: argparse.ArgumentParser, function: Callable[..., Any]) -> list[str]:
    """Adds an option for each argument of a recipe, and returns the arguments' names.

    An argument `learning_rate: float = 0.01` becomes `--learning-rate 0.01`, a bool `--flag` and `--no-flag`,
    a tuple `--sizes 784 350`; an argument of another kind, such as a function, has no option.
    """
    group = parser.add_argument_group("options of this recipe")
    hints = _hints(function)
    names = []
    for name, parameter in inspect.signature(function).parameters.items():
        if name in GENERAL or parameter.kind not in (parameter.KEYWORD_ONLY, parameter.POSITIONAL_OR_KEYWORD):
            continue
        kind = _kind(hints.get(name), parameter.default)
        if kind is None:
            continue
        required = parameter.default is parameter.empty
        shown = "" if required else f"default: {_shown(parameter.default)}"
        flag = "--" + name.replace("_", "-")
        group.add_argument(flag, dest=name, required=required, default=argparse.SUPPRESS, help=shown, **kind)
        names.append(name)
    return names


def _hints(function: Callable[..., Any]) -> dict[str, Any]:
    try:
        return typing.get_type_hints(function)
    except (NameError, TypeError):
        # Annotations that cannot be resolved here, such as names imported for type checkers only.
        return {}


def _kind(hint: Any, default: Any) -> dict[str, Any] | None:
    """The keyword arguments for `add_argument`, `None` for what the command line cannot express."""
    hint, optional = _without_none(hint)
    if hint is None and default is not inspect.Parameter.empty and default is not None:
        hint = type(default)
    origin = typing.get_origin(hint)
    if origin is typing.Literal:
        choices = typing.get_args(hint)
        return {
            "choices": choices,
            "type": type(choices[0]),
            "metavar": "{" + ",".join(map(str, choices)) + "}",
        }
    if hint is bool:
        return {"action": argparse.BooleanOptionalAction}
    if hint is tuple or origin in (tuple, list) or hint is list:
        values: Any = default
        element = next(iter(typing.get_args(hint)), None) or (type(values[0]) if values else str)
        return {"nargs": "+", "type": _reader(element, False), "action": _Tuple, "metavar": _metavar(element)}
    if hint in (int, float, str):
        return {"type": _reader(hint, optional), "metavar": _metavar(hint)}
    return None


class _Tuple(argparse.Action):
    """Several values as a tuple, which is what recipes take."""

    def __call__(self, parser, namespace, values, option_string=None):
        setattr(namespace, self.dest, tuple(values or ()))


def _without_none(hint: Any) -> tuple[Any, bool]:
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        rest = [part for part in typing.get_args(hint) if part is not type(None)]
        # Of `int | float` the wider one reads both.
        widest = float if set(rest) == {int, float} else rest[0]
        return widest, len(rest) < len(typing.get_args(hint))
    return hint, False


def _reader(kind: type, optional: bool) -> Callable[[str], Any]:
    words = {int: "a whole number", float: "a number", str: "text"}.get(kind, kind.__name__)

    def read(text: str) -> Any:
        if optional and text.lower() == "none":
            return None
        try:
            return kind(text)
        except ValueError:
            raise argparse.ArgumentTypeError(
                f"got {text!r}; expected {words}{' or none' if optional else ''}"
            ) from None

    return read


def _metavar(kind: type) -> str:
    return {int: "N", float: "X"}.get(kind, "TEXT")


def _shown(default: Any) -> str:
    if isinstance(default, bool):
        return "on" if default else "off"
    return " ".join(map(str, default)) if isinstance(default, tuple | list) else str(default)
