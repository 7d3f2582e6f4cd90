"""`compare`: several methods on one network and one data set."""

import dataclasses
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import saltation as st

from ._agreement import Agreement, Probe, agreement
from ._checkpoint import load_checkpoint
from ._child import train_apart
from ._config import fingerprint, read_config
from ._engine import initial_state, on_device
from ._files import write_atomically
from ._folder import Folder
from ._metrics import number, read_metrics
from ._prepare import Task, prepare, with_method
from ._recipe import Recipe
from ._summary import read_summary


@dataclass(frozen=True)
class Contestant:
    """What came of one method.

    - `reason`: why it has no result, in words; empty if it has one.
    - `summary`, `metrics`: of its run, as in `summary.json` and `metrics.jsonl`.
    - `step_memory_bytes`: what the gradient of one batch needs beside its arguments, as the compiler says.
    """

    method: str
    reason: str
    summary: dict[str, Any]
    metrics: list[dict[str, Any]]
    step_memory_bytes: int | None

    def timed(self) -> Iterator[tuple[float, dict[str, Any]]]:
        """Each epoch's metrics with the seconds that had gone by, those of compiling included."""
        seconds = float(self.summary.get("compile_seconds") or 0.0)
        for line in self.metrics:
            seconds += line["seconds"]
            yield seconds, line


@dataclass(frozen=True)
class Comparison:
    """Several methods on one network and one data set.

    - `folder`: where its files are, and in it a run for each method.
    - `contestants`: in the order in which they were named.
    - `agreements`: their gradients against each other, by where: at the "start", and after "training" with the first.
    """

    folder: Path
    recipe: Recipe
    seed: int
    contestants: tuple[Contestant, ...]
    agreements: Mapping[str, Agreement]


def compare(
    recipe: Recipe,
    methods: Sequence[str],
    *,
    out: str | Path,
    method_options: Mapping[str, Mapping[str, Any]] | None = None,
    seed: int = 0,
    resume: bool = False,
    data_dir: str | Path | None = None,
    download: bool = False,
    progress: bool = True,
) -> Comparison:
    """Trains one recipe with several methods, from the same weights on the same batches, and compares them.

    Every method trains in a process of its own, into `out/METHOD`, which is an ordinary run. Their gradients are
    compared on the same weights and the first batches of the first epoch: at the start, and at the weights that the
    first method ends with. `out` then holds `compare.json`, `compare.csv`, `curves.csv`, `compare.html` and `figures/`.

    **Arguments:**

    - `methods`: registered names; the recipe's own keeps the settings that it has there.
    - `method_options`: settings by method, such as `{"surrogate": {"step": 0.5}}`.
    - `resume`: keep the runs in `out` that have finished, and go on with the others.
    - the others as in `train`.

    **Returns:** the comparison. A method that cannot solve the network, or fails, is in it with the reason.

    **Raises:** `UnknownNameError` for a method that nothing registers, `ValueError` for fewer than two or one named
    twice, `CheckpointError` for a folder that holds a comparison already (without `resume`).

    ```python
    found = saltation_train.compare(saltation_train.Recipe("ode/yinyang"), ["ode", "surrogate"], out="runs/compare")
    found.agreements["start"].cosine
    ```
    """
    folder, options = Path(out), method_options or {}
    recipes = _recipes(recipe, methods, options)
    if (folder / "compare.json").exists() and not resume:
        raise st.CheckpointError(
            f"got {folder}, which holds a comparison already; expected a folder without one, since nothing is "
            "overwritten. Fix: resume it (--resume, resume=True), or choose another folder (--out, out=)."
        )
    task = prepare(recipe.build(), seed=seed, data_dir=data_dir, download=download)
    probes, reasons = _probes(task, recipes)
    found = {"start": agreement(probes, task.parameters)} if len(probes) > 1 else {}
    for name in probes:
        reasons[name] = _trained(recipes[name], folder / name, seed, resume, data_dir, download, progress)
    trained = next((name for name in probes if not reasons[name]), None)
    if trained is not None and len(probes) > 1:
        found["training"] = agreement(probes, _best_parameters(probes[trained].task, folder / trained))
    contestants = [
        Contestant(
            method=name,
            reason=reasons[name],
            summary=(read_summary(folder / name / "summary.json") or {}) if name in probes else {},
            metrics=read_metrics(folder / name / "metrics.jsonl") if name in probes else [],
            step_memory_bytes=probes[name].step_memory_bytes if name in probes else None,
        )
        for name in methods
    ]
    agreements = {where: value for where, value in found.items() if value is not None}
    comparison = Comparison(folder, recipe, seed, tuple(contestants), agreements)
    write_atomically(folder / "compare.json", (json.dumps(as_json(comparison), indent=2, default=str) + "\n").encode())
    return comparison


def _recipes(recipe: Recipe, methods: Sequence[str], options: Mapping[str, Mapping[str, Any]]) -> dict[str, Recipe]:
    if len(methods) < 2 or len(set(methods)) < len(methods):
        raise ValueError(f"got the methods {' '.join(methods)}; expected two or more, each once.")
    for name in options:
        if name not in methods:
            raise ValueError(f"got options of the method {name!r}; expected one of those compared: {list(methods)}.")
    for name in methods:
        st.get_method(name)
    return {
        name: dataclasses.replace(recipe, method=name, method_options=dict(options.get(name, {}))) for name in methods
    }


def _probes(task: Task, recipes: Mapping[str, Recipe]) -> tuple[dict[str, Probe], dict[str, str]]:
    """The gradient of each method that can solve the network, and why the others cannot."""
    probes, reasons = {}, {}
    for name, recipe in recipes.items():
        try:
            probes[name] = Probe(with_method(task, recipe.build().method))
            reasons[name] = ""
        except st.UnsupportedError as error:
            reasons[name] = " ".join(str(error).split())
    return probes, reasons


def _trained(recipe: Recipe, out: Path, seed: int, resume: bool, data_dir, download: bool, progress: bool) -> str:
    """Why a run failed, if it did; a run that has finished is left alone."""
    folder = Folder(out)
    if resume and read_summary(folder.summary) is not None:
        return ""
    going_on = resume and folder.is_run()
    return train_apart(
        recipe, seed=seed, out=out, resume=going_on, data_dir=data_dir, download=download, progress=progress
    )


def _best_parameters(task: Task, out: Path) -> Any:
    folder, (like, _, _) = Folder(out), initial_state(task)
    name = "best" if folder.checkpoint("best").exists() else "last"
    state, _ = load_checkpoint(folder.checkpoint(name), like, fingerprint(read_config(folder.config)))
    return on_device(state.parameters)


def as_json(comparison: Comparison) -> dict[str, Any]:
    """The comparison as plain data, for `compare.json`."""
    return {
        "recipe": comparison.recipe.name,
        "arguments": comparison.recipe.resolved(),
        "seed": comparison.seed,
        "contestants": [dataclasses.asdict(contestant) for contestant in comparison.contestants],
        "agreements": {
            where: {
                "methods": found.methods,
                "arrays": found.arrays,
                "samples": found.samples,
                "cosine": _numbers(found.cosine),
                "cosine_of": {name: _numbers(m) for name, m in zip(found.arrays, found.cosine_of, strict=True)},
                "norm": _numbers(found.norm),
                "norm_of": {name: _numbers(row) for name, row in zip(found.arrays, found.norm_of, strict=True)},
            }
            for where, found in comparison.agreements.items()
        },
    }


def _numbers(array: np.ndarray) -> Any:
    """Nested lists of numbers, `None` for NaN."""
    return [_numbers(row) for row in array] if array.ndim > 1 else [number(value) for value in array]
