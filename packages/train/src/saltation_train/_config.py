"""`config.json`: what a run is made from, and whether a run that is to go on is made from the same."""

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any

import saltation as st
from saltation import CheckpointError

from ._files import write_atomically
from ._recipe import Recipe

FORMAT = 1

# More epochs make a longer run of the same kind, other versions the same run elsewhere.
_NOT_COMPARED = ("epochs", "versions", "data_dir")


def describe(experiment: st.Experiment, recipe: Recipe | None, *, seed: int, data_dir: Any, versions: dict) -> dict:
    """The content of `config.json`; a run of a plain `Experiment` has no recipe in it."""
    arguments = {} if recipe is None else recipe.resolved()
    arguments.pop("epochs", None)
    optimiser = dataclasses.asdict(experiment.optimiser)
    described = {
        "format": FORMAT,
        "recipe": None if recipe is None else recipe.name,
        "arguments": arguments,
        "method": None if recipe is None else recipe.method,
        "backend": None if recipe is None else recipe.backend,
        "backend_options": {} if recipe is None else dict(recipe.backend_options),
        **({"method_options": dict(recipe.method_options)} if recipe is not None and recipe.method_options else {}),
        "seed": seed,
        "epochs": experiment.epochs,
        "data_dir": None if data_dir is None else str(data_dir),
        "experiment": {
            "name": experiment.name,
            "dataset": experiment.dataset,
            "dataset_options": dict(experiment.dataset_options),
            "method": type(experiment.method).__name__,
            "loss": experiment.loss.name or getattr(experiment.loss.function, "__name__", "loss"),
            "t1": experiment.t1,
            "time_unit": experiment.time_unit,
            "optimiser": optimiser,
            "batch_size": experiment.batch_size,
            "trainable": experiment.trainable,
            "dtype": experiment.dtype,
            "max_failed_share": experiment.max_failed_share,
        },
        "versions": versions,
    }
    # Through JSON once, so that it equals what is read back: tuples are lists there.
    return json.loads(json.dumps(described, default=str))


def fingerprint(config: dict) -> str:
    """A hash of what must not change when a run goes on."""
    kept = {key: value for key, value in config.items() if key not in _NOT_COMPARED}
    return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()[:16]


def write_config(path: Path, config: dict) -> None:
    """Writes `config.json`."""
    write_atomically(path, (json.dumps(config, indent=2) + "\n").encode())


def read_config(path: Path) -> dict:
    """Reads `config.json`.

    **Raises:** `CheckpointError` for a folder that holds no run, or a file that is damaged.
    """
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        if config["format"] != FORMAT:
            raise CheckpointError(
                f"{path} got format {config['format']!r}; expected {FORMAT}, that of this version of "
                "saltation-train. "
                "Fix: use the version that wrote it (its `versions` name it)."
            )
        optional = [key for key in ("method_options",) if key in config]
        return {key: config[key] for key in (*_KEYS, *_NOT_COMPARED, *optional)}
    except FileNotFoundError:
        raise CheckpointError(
            f"got {path.parent}, which holds no run (no {path.name}); expected the folder of a run. "
            "Fix: give the folder that `saltation train` wrote, such as runs/ode-yinyang-seed0."
        ) from None
    except (OSError, ValueError, KeyError, TypeError) as error:
        if isinstance(error, CheckpointError):
            raise
        raise CheckpointError(
            f"{path} is damaged ({type(error).__name__}: {error}); expected the JSON that `saltation train` "
            "wrote. "
            "Fix: restore it, or train anew into another folder."
        ) from error


_KEYS = ("format", "recipe", "arguments", "method", "backend", "backend_options", "seed", "experiment")


def recipe_of(config: dict) -> Recipe | None:
    """The recipe of a run, `None` for a run of a plain `Experiment`."""
    if config["recipe"] is None:
        return None
    arguments = {name: tuple(v) if isinstance(v, list) else v for name, v in config["arguments"].items()}
    return Recipe(
        config["recipe"],
        arguments,
        config["method"],
        config["backend"],
        config["epochs"],
        config["backend_options"],
        config.get("method_options", {}),
    )


def check_same(given: dict, stored: dict, folder: Path) -> None:
    """Raises `CheckpointError` if a run that is to go on was made from something else.

    **Arguments:** `given` is the configuration asked for, `stored` the one in `folder`.
    """
    differences = list(_differences(given, stored, ""))
    if differences:
        raise CheckpointError(
            f"got another configuration than that of the run in {folder}: {'; '.join(differences)}. "
            "Expected the same, "
            "but for the number of epochs. Fix: leave these options out to resume it, or train into another "
            "folder."
        )


def _differences(given: Any, stored: Any, path: str):
    if isinstance(given, dict) and isinstance(stored, dict):
        for key in dict.fromkeys([*given, *stored]):
            if path or key not in _NOT_COMPARED:
                yield from _differences(given.get(key), stored.get(key), f"{path}.{key}" if path and key else key)
    elif given != stored:
        yield f"{path.removeprefix('arguments.')}={given!r} (the run has {stored!r})"
