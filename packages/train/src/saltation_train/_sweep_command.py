"""`saltation sweep RECIPE --search NAME=LOW:HIGH`: a search over a recipe's arguments."""

import argparse
import sys
from pathlib import Path
from typing import Any

from ._options import read_command, value_of

_USAGE = "saltation sweep RECIPE --search NAME=LOW:HIGH[:log] NAME=A,B ... --trials N [options of the recipe]"


def sweep_command(arguments: list[str]) -> int:
    """Searches, and prints the best that was found."""
    read = read_command("sweep", _USAGE, _parser, arguments)
    return 0 if read is None else _sweep(*read)


def _parser(name: str, doc: str | None) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"saltation sweep {name}",
        description=(doc or "").strip().split("\n\n")[0] or "Searches over the arguments of one recipe.",
        epilog=(
            f"examples:\n  saltation sweep {name} --search learning_rate=0.001:0.1:log --trials 20\n"
            f"  saltation sweep {name} --search learning_rate=0.001:0.1:log --trials 40 --resume\n"
            "the last one as often at the same time as there are cores: workers share the database"
        ),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add(
        "--search",
        nargs="+",
        required=True,
        metavar="NAME=SPACE",
        help="an argument with its range, 10:100 or 0.001:0.1:log, or its choices, a,b,c",
    )
    add("--trials", type=int, default=20, metavar="N", help="how many shall have finished in the end (default: 20)")
    add("--out", metavar="DIR", help="the folder of the sweep (default: runs/sweep-<recipe>)")
    add("--storage", metavar="URL", help="a database that Optuna takes (default: sqlite:///DIR/sweep.db)")
    add("--study", metavar="NAME", help="its name in the database (default: the recipe's)")
    add("--resume", action="store_true", help="go on with a study that exists, also as one more worker")
    add("--seed", type=int, default=0, metavar="N", help="of every run, and of the search (default: 0)")
    add("--method", metavar="NAME", help="a registered method, instead of the recipe's")
    add("--epochs", type=int, metavar="N", help="instead of the recipe's")
    add("--data-dir", metavar="DIR", help="where the data are")
    add("--download", action="store_true", help="fetch missing data; nothing is fetched without it")
    add("--quiet", action="store_true", help="no progress")
    return parser


def _sweep(name: str, given: argparse.Namespace, chosen: dict[str, Any]) -> int:
    from ._recipe import Recipe
    from ._sweep import sweep
    from ._train_command import use_precision

    recipe = Recipe(name, chosen, given.method, epochs=given.epochs)
    use_precision(recipe.build().dtype)
    found = sweep(
        recipe,
        search_space(given.search),
        trials=given.trials,
        out=Path(given.out or f"runs/sweep-{name.replace('/', '-')}"),
        storage=given.storage,
        study=given.study,
        seed=given.seed,
        resume=given.resume,
        data_dir=given.data_dir,
        download=given.download,
        progress=not given.quiet,
    )
    best = " ".join(
        f"{key}={value:.6g}" if isinstance(value, float) else f"{key}={value}"
        for key, value in (found.best or {}).items()
    )
    score = f"best {found.metric.replace('_', ' ')} {found.score:.4g} with {best}"
    print(f"{found.trials} trials, {found.failed} failed; {score}")
    print(found.folder)
    sys.stdout.flush()
    return 0


def search_space(given: list[str]) -> dict[str, Any]:
    """`{"learning_rate": Range(0.001, 0.1, log=True), "shape": ("a", "b")}` from the words of the command line.

    **Raises:** `ValueError` for one that is no range and no choice.
    """
    from ._sweep import Range

    search: dict[str, Any] = {}
    for text in given:
        name, equals, space = text.partition("=")
        name = name.replace("-", "_")
        parts = space.split(":")
        if not equals or not name.isidentifier() or not space:
            raise ValueError(f"--search got {text!r}; expected NAME=LOW:HIGH, NAME=LOW:HIGH:log or NAME=A,B.")
        if len(parts) == 1:
            search[name] = tuple(value_of(choice) for choice in space.split(","))
            continue
        numbers = [value_of(part) for part in parts[:2]]
        if len(parts) > 3 or parts[2:] not in ([], ["log"]) or not all(isinstance(n, int | float) for n in numbers):
            raise ValueError(f"--search got {text!r}; expected two numbers, such as {name}=0.001:0.1:log.")
        search[name] = Range(numbers[0], numbers[1], log=len(parts) == 3)
    return search
