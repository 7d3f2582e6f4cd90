"""`saltation compare RECIPE --methods A B`: several methods on one network and one data set."""

import argparse
import sys
from pathlib import Path
from typing import Any

from ._options import named_values, read_command

_USAGE = "saltation compare RECIPE --methods A B ... [--seed N] [--out DIR] [options of the recipe]"


def compare_command(arguments: list[str]) -> int:
    """Compares, and prints what came of it."""
    read = read_command("compare", _USAGE, _parser, arguments)
    return 0 if read is None else _compare(*read)


def _parser(name: str, doc: str | None) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"saltation compare {name}",
        description=(doc or "").strip().split("\n\n")[0] or "Trains one recipe with several methods.",
        epilog=(
            f"examples:\n  saltation compare {name} --methods ode delgrad surrogate\n"
            f"  saltation compare {name} --methods ode surrogate --epochs 10 --method-option surrogate.step=0.5"
        ),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add(
        "--methods",
        nargs="+",
        required=True,
        metavar="NAME",
        help="registered methods; gradients are compared to the first one's, the recipe's own keeps its settings",
    )
    add(
        "--method-option",
        action="append",
        default=[],
        metavar="METHOD.NAME=VALUE",
        help="a setting of a method, such as surrogate.step=0.5; may be given several times",
    )
    add("--seed", type=int, default=0, metavar="N", help="of the model, the data's order and everything random")
    add("--out", metavar="DIR", help="the folder of the comparison (default: runs/compare-<recipe>-seed<N>)")
    add("--resume", action="store_true", help="keep the runs in DIR that have finished, go on with the others")
    add("--epochs", type=int, metavar="N", help="instead of the recipe's")
    add("--data-dir", metavar="DIR", help="where the data are")
    add("--download", action="store_true", help="fetch missing data; nothing is fetched without it")
    add("--quiet", action="store_true", help="no progress")
    return parser


def _compare(name: str, given: argparse.Namespace, chosen: dict[str, Any]) -> int:
    from ._compare import compare
    from ._compare_page import table, write_pages
    from ._recipe import Recipe
    from ._train_command import use_precision

    recipe = Recipe(name, chosen, epochs=given.epochs)
    out = Path(given.out or f"runs/compare-{name.replace('/', '-')}-seed{given.seed}")
    use_precision(recipe.build().dtype)
    found = compare(
        recipe,
        given.methods,
        out=out,
        method_options=_options(given.method_option),
        seed=given.seed,
        resume=given.resume,
        data_dir=given.data_dir,
        download=given.download,
        progress=not given.quiet,
    )
    write_pages(found)
    print(f"{table(found)}\n{out / 'compare.html'}")
    sys.stdout.flush()
    return 0


def _options(given: list[str]) -> dict[str, dict[str, Any]]:
    """`{"surrogate": {"step": 0.5}}` from `surrogate.step=0.5`."""
    options: dict[str, dict[str, Any]] = {}
    for option in given:
        # A value may hold points as well: 0.5.
        name, _, text = option.partition("=")
        method, point, setting = name.rpartition(".")
        if not point:
            raise ValueError(f"--method-option got {option!r}; expected METHOD.NAME=VALUE, such as surrogate.step=0.5.")
        options.setdefault(method, {}).update(named_values("--method-option", [f"{setting}={text}"]))
    return options
