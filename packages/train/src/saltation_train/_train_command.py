"""`saltation train RECIPE`: its options are general ones and the arguments of the recipe."""

import argparse
import sys
from pathlib import Path
from typing import Any

from ._listing import recipes_text
from ._options import named_values, read_command

_USAGE = "saltation train RECIPE [--seed N] [--out DIR] [--resume] [options of the recipe]"


def train_command(arguments: list[str]) -> int:
    """Trains, and prints what came of it."""
    read = read_command("train", _USAGE, _parser, arguments)
    if read is None:
        print(f"recipes:\n{recipes_text()}")
        return 0
    return _as_process(*read, arguments)


def _parser(name: str, doc: str | None) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"saltation train {name}",
        description=(doc or "").strip().split("\n\n")[0] or "Trains one recipe.",
        epilog=(
            f"examples:\n  saltation train {name} --seed 1 --out runs/mine\n"
            f"  saltation train {name} --epochs 10\n  saltation train {name} --resume"
        ),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add(
        "--seed",
        type=int,
        metavar="N",
        help="of the model, the data's order and everything random (default: 0)",
    )
    add("--out", metavar="DIR", help="the run's folder (default: runs/<recipe>-seed<N>)")
    add(
        "--resume",
        action="store_true",
        help="go on with the run in DIR, bit for bit; other options may be left out",
    )
    add("--method", metavar="NAME", help="a registered method, instead of the recipe's")
    add(
        "--method-option",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a setting of the method, such as max_spikes=4; may be given several times",
    )
    add("--backend", metavar="NAME", help="a registered backend, such as a chip, in the loop of the method")
    add(
        "--backend-option",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="an option of the backend, such as chip=3; may be given several times",
    )
    add("--epochs", type=int, metavar="N", help="instead of the recipe's")
    add("--data-dir", metavar="DIR", help="where the data are")
    add("--download", action="store_true", help="fetch missing data; nothing is fetched without it")
    add(
        "--processes",
        type=int,
        metavar="N",
        help="so many processes share each batch, all on the cores of this machine unless --process is given",
    )
    add("--distributed", action="store_true", help="this is one of the processes that a scheduler started")
    add("--coordinator", metavar="HOST:PORT", help="where the first process listens (default: a free port, here)")
    add("--process", type=int, metavar="I", help="this is number I of --processes N, from 0, of any machines")
    add("--launched", action="store_true", help=argparse.SUPPRESS)
    add("--tensorboard", action="store_true", help="write the metrics for TensorBoard as well")
    add("--quiet", action="store_true", help="no progress")
    add("--no-report", action="store_true", help="no report.html at the end")
    return parser


def _as_process(name: str, given: argparse.Namespace, chosen: dict[str, Any], arguments: list[str]) -> int:
    """Trains in this process alone, in several that it starts, or as one of several."""
    from ._launch import launch
    from ._processes import joined

    _check_process_options(given)
    if given.distributed or given.process is not None:
        with joined(given.coordinator, given.processes, given.process, given.launched):
            return _train(*_run_of(name, given, chosen), given)
    recipe, seed, out = _run_of(name, given, chosen)
    if given.processes is None:
        return _train(recipe, seed, out, given)
    import jax

    from ._devices import check_processes
    from ._folder import Folder

    # This process only looks at the recipe; accelerators are for others.
    jax.config.update("jax_platforms", "cpu")
    use_precision(recipe.build().dtype)
    check_processes(recipe.build(), given.processes)
    return launch(arguments, given.processes, coordinator=given.coordinator, checkpoint=Folder(out).checkpoint("last"))


def _check_process_options(given: argparse.Namespace) -> None:
    if given.distributed and (given.processes, given.process, given.coordinator) != (None, None, None):
        raise ValueError(
            "got --distributed with --processes, --process or --coordinator; expected one way to start processes. "
            "Fix: leave the others out, since the scheduler says how many there are."
        )
    if given.process is not None and (given.processes is None or given.coordinator is None):
        raise ValueError(
            f"got --process {given.process} alone; expected --coordinator HOST:PORT and --processes N with it."
        )
    if given.coordinator is not None and given.processes is None:
        raise ValueError(f"got --coordinator {given.coordinator} alone; expected --processes N with it.")


def _run_of(name: str, given: argparse.Namespace, chosen: dict[str, Any]) -> tuple[Any, int, Path]:
    """The recipe, the seed and the folder of the run."""
    from ._recipe import Recipe

    seed = 0 if given.seed is None else given.seed
    out = Path(given.out or f"runs/{name.replace('/', '-')}-seed{seed}")
    recipe = Recipe(
        name,
        chosen,
        given.method,
        given.backend,
        given.epochs,
        named_values("--backend-option", given.backend_option),
        named_values("--method-option", given.method_option),
    )
    if given.resume:
        recipe, seed, data_dir = _resumed(recipe, given.seed, out)
        given.data_dir = given.data_dir or data_dir
    return recipe, seed, out


def _train(recipe: Any, seed: int, out: Path, given: argparse.Namespace) -> int:
    from ._loop import train

    use_precision(recipe.build().dtype)
    try:
        run = train(
            recipe,
            seed=seed,
            out=out,
            resume=given.resume,
            data_dir=given.data_dir,
            download=given.download,
            progress=not given.quiet,
            report=not given.no_report,
            tensorboard=given.tensorboard,
        )
    except KeyboardInterrupt as interrupt:
        if not str(interrupt):
            raise
        again = f"saltation train {recipe.name} --out {out} --resume"
        raise KeyboardInterrupt(f"{interrupt}\nGo on with: {again}") from None
    if not given.process:
        print(_result(run.summary or {}, out))
        sys.stdout.flush()
    return 0


def _resumed(given: Any, seed: int | None, out: Path) -> tuple[Any, int, str | None]:
    """What the run in `out` was started with; what is given again must be the same, or more epochs."""
    import dataclasses

    from ._config import read_config, recipe_of
    from ._folder import Folder

    config = read_config(Folder(out).config)
    stored = recipe_of(config)
    if stored is None or stored.name != given.name:
        raise ValueError(
            f"got the recipe {given.name!r} for the run in {out}, which is of "
            f"{config['recipe'] or 'an Experiment'!r}; "
            "expected the same. Fix: give its recipe, or another --out."
        )
    recipe = dataclasses.replace(
        stored,
        arguments={**stored.arguments, **given.arguments},
        method=given.method or stored.method,
        backend=given.backend or stored.backend,
        epochs=given.epochs or stored.epochs,
        backend_options={**stored.backend_options, **given.backend_options},
        method_options={**stored.method_options, **given.method_options},
    )
    return recipe, config["seed"] if seed is None else seed, config["data_dir"]


def use_precision(dtype: str) -> None:
    """Sets JAX to 64 bit for an experiment that asks for it: the command line is an edge, so it may."""
    if dtype == "float64":
        import jax

        jax.config.update("jax_enable_x64", True)


def _result(summary: dict[str, Any], out: Path) -> str:
    accuracy, loss = summary["test_accuracy"], summary["test_loss"]
    parts = [
        "no test score" if accuracy is None and loss is None else "",
        "" if accuracy is None else f"test accuracy {accuracy:.2%}",
        "" if loss is None else f"test loss {loss:.4g}",
        f"{summary['train_samples_per_second']:.0f} samples/s" if summary["train_samples_per_second"] else "",
        f"{summary['compile_seconds']:.1f} s compiling",
    ]
    return f"{', '.join(filter(None, parts))}\n{out}"
