"""Trains from a start at which every hidden neuron is silent in every sample (`python benchmarks/silent_start.py`).

The recipes' own hidden weights are made a tenth as large. Then the recipes train as they are, with what they have
against silent neurons, `st.keep_firing`, and once more for twice their epochs. A run counts as a success if its test
accuracy is within one point of the mean of runs from the recipes' own start. Runs are kept in
benchmarks/results/silent_start.json, so one that was interrupted goes on; benchmarks/results/silent_start.md has the
table.
"""

import argparse
import dataclasses
import json
import tempfile
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

import saltation as st
from saltation_train import Recipe, train
from saltation_train._prepare import Task, prepare

RECIPES = ("delgrad/yinyang-w", "delgrad/digits")
FACTOR = 0.1
OWN = "its own"
SILENT = "silent"
LONGER = "silent, twice the epochs"
STARTS = OWN, SILENT, LONGER
POINT = 0.01
RESULTS = Path(__file__).parent / "results" / "silent_start.json"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipes", nargs="+", default=list(RECIPES), help="(%(default)s)")
    parser.add_argument("--seeds", type=int, default=20, help="from silence (%(default)s)")
    parser.add_argument("--own", type=int, default=20, help="seeds from the recipes' own start (%(default)s)")
    arguments = parser.parse_args()
    runs = json.loads(RESULTS.read_text()) if RESULTS.exists() else []
    done = {(run["recipe"], run["start"], run["seed"]) for run in runs}
    number = {start: arguments.own if start == OWN else arguments.seeds for start in STARTS}
    wanted = [(recipe, start, s) for recipe in arguments.recipes for start in STARTS for s in range(number[start])]
    with tempfile.TemporaryDirectory() as folder:
        # All runs of a recipe are one program.
        jax.config.update("jax_compilation_cache_dir", folder)
        for recipe, start, seed in [one for one in wanted if one not in done]:
            runs.append({"recipe": recipe, "start": start, "seed": seed, **trained(recipe, start, seed)})
            RESULTS.write_text(json.dumps(runs, indent=1) + "\n")
            print(runs[-1], flush=True)
    table = tabulate(runs)
    RESULTS.with_suffix(".md").write_text(table)
    print(table)


def trained(recipe: str, start: str, seed: int) -> dict[str, float]:
    """A run's test accuracy, and the share of hidden (sample, neuron) pairs that were silent before it."""
    experiment = Recipe(recipe).build()
    if start == LONGER:
        experiment = dataclasses.replace(experiment, epochs=2 * experiment.epochs)
    if start != OWN:
        experiment = dataclasses.replace(experiment, model=weakened(experiment, FACTOR))
    with tempfile.TemporaryDirectory() as folder:
        share = silent_share(prepare(experiment, seed=seed))
        if start != OWN and share < 1:
            raise SystemExit(f"{recipe}, seed {seed}: some hidden neurons spike at the start; expected none.")
        summary = train(experiment, seed=seed, out=Path(folder) / "run", progress=False, report=False).summary
    return {"silent_share": round(share, 4), "test_accuracy": round(summary["test_accuracy"], 4)}


def weakened(experiment: st.Experiment, factor: float):
    """The experiment's model with `factor` times the weights into its first layer."""

    def model(key):
        first = lambda model: model.network.connections[0].synapse.weight  # noqa: E731
        found = experiment.model(key)
        return eqx.tree_at(first, found, factor * first(found))

    return model


def silent_share(task: Task) -> float:
    """At the start, the share of pairs of a training sample and a hidden neuron that does not spike in it."""
    experiment, model, inputs = task.experiment, task.model(task.parameters), task.dataset.train.inputs

    def hidden(x, key):
        stimulus = experiment.encoder(x, key)
        solution = experiment.method.solve(model.network, stimulus, t1=experiment.t1, throw=False)
        return [solution.spikes[name].count() for name in model.network.neurons if name not in model.network.outputs]

    counts = jax.jit(jax.vmap(hidden))(jnp.asarray(inputs), jax.random.split(jax.random.key(0), len(inputs)))
    return float(np.mean([np.mean(np.asarray(count) == 0) for count in counts]))


def tabulate(runs: list[dict]) -> str:
    lines = ["| recipe | start | seeds | mean | least | within 1 point |", "|---|---|---|---|---|---|"]
    for recipe in dict.fromkeys(run["recipe"] for run in runs):
        found = {
            start: [run["test_accuracy"] for run in runs if (run["recipe"], run["start"]) == (recipe, start)]
            for start in STARTS
        }
        for start in [start for start in STARTS if found[start]]:
            near = sum(accuracy >= np.mean(found[OWN]) - POINT for accuracy in found[start])
            mean, least = 100 * np.mean(found[start]), 100 * min(found[start])
            lines.append(f"| `{recipe}` | {start} | {len(found[start])} | {mean:.1f} % | {least:.1f} % | {near} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
