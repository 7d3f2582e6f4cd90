"""A training in a process of its own, so that its memory, its compilation and its errors are its own."""

import dataclasses
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from ._recipe import Recipe

_CODE = "from saltation_train._child import main; main()"


def train_apart(
    recipe: Recipe,
    *,
    seed: int,
    out: Path,
    resume: bool,
    data_dir: str | Path | None,
    download: bool,
    progress: bool,
) -> str:
    """Trains a recipe in another process; what it says goes to this one's standard error.

    **Returns:** why it failed, in its own words; nothing if it did not.

    **Raises:** `KeyboardInterrupt` after Ctrl-C, when that process has saved what it has.
    """
    job = {
        "recipe": dataclasses.asdict(recipe),
        "seed": seed,
        "out": str(out),
        "resume": resume,
        "data_dir": None if data_dir is None else str(data_dir),
        "download": download,
        "progress": progress,
    }
    command = [sys.executable, "-c", _CODE, json.dumps(job)]
    last = ""
    # It finds the plugins that this process finds, also those that only `sys.path` knows.
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment) as child:
        assert child.stderr is not None
        try:
            for line in child.stderr:
                print(line, end="", file=sys.stderr, flush=True)
                last = line.strip() or last
            status = child.wait()
        except KeyboardInterrupt:
            child.wait()
            raise
    if status == 130:
        raise KeyboardInterrupt(last.removeprefix("saltation: "))
    return last.removeprefix("saltation: error: ") or f"its process ended with status {status}" if status else ""


def main() -> None:
    """The other process: reads its job from the command line."""
    from saltation import SaltationError

    try:
        _train(json.loads(sys.argv[1]))
    except KeyboardInterrupt as interrupt:
        print(f"saltation: {interrupt or 'interrupted'}", file=sys.stderr)
        sys.exit(130)
    except (SaltationError, ValueError) as error:
        print(f"saltation: error: {' '.join(str(error).split())}", file=sys.stderr)
        sys.exit(2)


def _train(job: dict[str, Any]) -> None:
    from ._loop import train
    from ._train_command import use_precision

    given = job.pop("recipe")
    # What recipes take as tuples is a list in JSON.
    given["arguments"] = {name: tuple(v) if isinstance(v, list) else v for name, v in given["arguments"].items()}
    recipe = Recipe(**given)
    use_precision(recipe.build().dtype)
    train(recipe, report=False, **job)
