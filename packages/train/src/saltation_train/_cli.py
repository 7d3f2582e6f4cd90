"""The command `saltation`: words on the command line into calls of the library, errors into one message each.

Nothing heavy is imported before a command needs it, so that `saltation plugins` and `--help` answer at once.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from typing import Any

from ._compare_command import compare_command
from ._explain import explain
from ._listing import dump, plugins_json, plugins_text, recipes_json, recipes_text
from ._sweep_command import sweep_command
from ._train_command import train_command

# Their options depend on the recipe, so they read their own arguments.
_OF_A_RECIPE = {"train": train_command, "compare": compare_command, "sweep": sweep_command}

_EXAMPLES = """examples:
  saltation recipes                                  what can be trained
  saltation train ode/yinyang                        train it, into runs/ode-yinyang-seed0
  saltation train ode/yinyang --help                 the options of one recipe
  saltation train ode/yinyang --seed 1 --hidden 50   with another seed and another width
  saltation train ode/yinyang --resume               go on after Ctrl-C
  saltation train ode/yinyang --processes 2          with two processes that share each batch
  saltation evaluate runs/ode-yinyang-seed0          its test accuracy
  saltation report runs/ode-yinyang-seed0            its pictures, drawn again
  saltation compare ode/yinyang --methods ode delgrad surrogate
  saltation sweep ode/yinyang --search learning_rate=0.001:0.1:log --trials 20
  saltation cite delgrad/yinyang-axonal              what a paper that uses it should cite
  saltation new-plugin resonator --kind neuron       a plugin of your own that passes its tests
  saltation plugins --check resonator

SALTATION_DEBUG=1 shows where an error comes from."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command.

    **Returns:** the exit status: 0, 1 for a check that failed, 2 for an error that the message explains, 3 for a
    process that was lost, 130 after Ctrl-C.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    try:
        return _run(arguments)
    except BrokenPipeError:
        # The reader, such as `head`, has seen enough; nothing may be written any more, not even at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (Exception, KeyboardInterrupt) as error:
        status = explain(error)
        if status is None:
            raise
        return status


def _run(arguments: list[str]) -> int:
    if arguments and arguments[0] in _OF_A_RECIPE:
        return _OF_A_RECIPE[arguments[0]](arguments[1:])
    given = _parser().parse_args(arguments)
    return given.run(given)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="saltation",
        description="Event-based spiking neural networks, trained with exact gradients.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    plugins = commands.add_parser("plugins", help="what is installed, from which package, what is broken and why")
    plugins.add_argument("--json", action="store_true", help="as JSON")
    plugins.add_argument("--check", metavar="NAME", help="run the checks on one plugin, its conformance included")
    plugins.set_defaults(run=_plugins)
    new = commands.add_parser("new-plugin", help="start a plugin of your own, with its tests")
    new.add_argument("name", metavar="NAME", help="under which it is registered, such as resonator or my-chip")
    new.add_argument("--kind", required=True, metavar="{neuron,method,backend}", help="what it brings")
    new.add_argument("--out", metavar="DIR", default=".", help="where its folder is made (default: here)")
    new.set_defaults(run=_new_plugin)
    recipes = commands.add_parser("recipes", help="the experiments that installed plugins bring")
    recipes.add_argument("--json", action="store_true", help="as JSON")
    recipes.set_defaults(run=lambda given: _print(dump(recipes_json()) if given.json else recipes_text()))
    cited = commands.add_parser("cite", help="what a paper that uses a recipe should cite, as BibTeX")
    cited.add_argument("recipe", metavar="RECIPE", help="a registered recipe, such as delgrad/yinyang-axonal")
    cited.add_argument("--method", metavar="NAME", help="a registered method, instead of the recipe's")
    cited.set_defaults(run=_cite)
    # Listed here for --help alone.
    commands.add_parser("train", help="train a recipe: saltation train RECIPE [options]", add_help=False)
    commands.add_parser("compare", help="several methods on one recipe, next to each other", add_help=False)
    commands.add_parser("sweep", help="search over the arguments of one recipe", add_help=False)
    evaluate = commands.add_parser("evaluate", help="score a finished or interrupted run")
    _add_run(evaluate)
    evaluate.add_argument("--split", choices=("test", "validation", "train"), default="test", help="default: test")
    evaluate.add_argument("--json", action="store_true", help="as JSON")
    evaluate.set_defaults(run=_evaluate)
    report = commands.add_parser("report", help="draw the report of a finished or interrupted run again")
    _add_run(report)
    report.set_defaults(run=_report)
    return parser


def _add_run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("dir", metavar="DIR", help="the folder of the run, such as runs/ode-yinyang-seed0")
    parser.add_argument("--checkpoint", choices=("best", "last"), default=None, help="default: best, if there is one")
    parser.add_argument("--data-dir", metavar="DIR", help="where the data are, if not where they were")
    parser.add_argument("--download", action="store_true", help="fetch missing data")


def _print(text: str) -> int:
    print(text)
    sys.stdout.flush()
    return 0


def _plugins(given: argparse.Namespace) -> int:
    if given.check is None:
        return _print(dump(plugins_json()) if given.json else plugins_text())
    from ._check_plugin import check_plugin

    failed = 0
    for check in check_plugin(given.check):
        _print(str(check))
        failed += bool(check.problem)
    return 1 if failed else 0


def _new_plugin(given: argparse.Namespace) -> int:
    from ._new_plugin import new_plugin

    folder = new_plugin(given.name, kind=given.kind, out=given.out)
    return _print(
        f"{folder}\n\nnext:\n  pip install -e {folder}\n  saltation plugins --check {given.name}\n  pytest {folder}"
    )


def _cite(given: argparse.Namespace) -> int:
    from ._cite import cite
    from ._recipe import Recipe

    return _print(cite(Recipe(given.recipe, method=given.method)))


def _evaluate(given: argparse.Namespace) -> int:
    _use_precision_of(given.dir)
    from ._evaluate import evaluate

    found = evaluate(given.dir, split=given.split, **_run_arguments(given))
    if given.json:
        return _print(dump(found))
    accuracy = "" if found["accuracy"] is None else f"accuracy {found['accuracy']:.2%}, "
    loss = "unknown" if found["loss"] is None else f"{found['loss']:.4g}"
    failed = "".join(f", {count} {name}" for name, count in found["failed"].items())
    return _print(
        f"{found['split']}: {accuracy}loss {loss} on {found['samples']} samples{failed} "
        f"({found['checkpoint']} checkpoint, epoch {found['epoch']})"
    )


def _report(given: argparse.Namespace) -> int:
    _use_precision_of(given.dir)
    from ._report import report

    path, problems = report(given.dir, **_run_arguments(given))
    for problem in problems:
        print(f"saltation: report: {problem}", file=sys.stderr)
    return _print(str(path))


def _run_arguments(given: argparse.Namespace) -> dict[str, Any]:
    return {"checkpoint": given.checkpoint, "data_dir": given.data_dir, "download": given.download}


def _use_precision_of(folder: str) -> None:
    """Sets JAX to the run's precision: the command line is an edge, so it may."""
    from pathlib import Path

    from ._config import read_config
    from ._folder import Folder
    from ._train_command import use_precision

    use_precision(read_config(Folder(Path(folder)).config)["experiment"]["dtype"])
