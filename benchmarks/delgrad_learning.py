"""Accuracy against parameters of DelGrad's four Yin-Yang recipes (`python benchmarks/delgrad_learning.py`).

Trains every kind of delay at every hidden size with several seeds, at the recipes' own settings, and keeps the test
accuracy of each run (of the parameters with the best validation score) in benchmarks/results/delgrad_learning.json.
Runs that are in there are not trained again, so a run that was interrupted goes on. Then draws docs/img/delgrad.png:
the mean over seeds, and the range.
"""

import argparse
import json
import tempfile
from collections import defaultdict
from pathlib import Path

import jax
import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
from matplotlib.ticker import NullLocator

from saltation_train import Recipe, train

KINDS = {"w": "#9a9a9a", "axonal": "#0072B2", "dendritic": "#009E73", "synaptic": "#D55E00"}
RESULTS = Path(__file__).parent / "results" / "delgrad_learning.json"
PICTURE = Path(__file__).parents[1] / "docs" / "img" / "delgrad.png"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hidden", nargs="+", type=int, default=[5, 10, 20, 30], help="hidden sizes (%(default)s)")
    parser.add_argument("--seeds", nargs="+", type=int, default=list(range(30)), help="(%(default)s)")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS), help="(%(default)s)")
    parser.add_argument("--draw", action="store_true", help="draw what is there, train nothing")
    args = parser.parse_args()
    runs = json.loads(RESULTS.read_text()) if RESULTS.exists() else []
    done = {(run["kind"], run["hidden"], run["seed"]) for run in runs}
    wanted = [(kind, hidden, seed) for hidden in args.hidden for kind in args.kinds for seed in args.seeds]
    with tempfile.TemporaryDirectory() as folder:
        # The seeds of a network are one program.
        jax.config.update("jax_compilation_cache_dir", folder)
        for kind, hidden, seed in [] if args.draw else [one for one in wanted if one not in done]:
            runs.append(trained(kind, hidden, seed))
            RESULTS.parent.mkdir(parents=True, exist_ok=True)
            RESULTS.write_text(json.dumps(runs, indent=1) + "\n")
            print(runs[-1], flush=True)
    draw(runs)


def trained(kind: str, hidden: int, seed: int) -> dict:
    recipe = Recipe(f"delgrad/yinyang-{kind}", {"hidden": hidden})
    with tempfile.TemporaryDirectory() as folder:
        summary = train(recipe, seed=seed, out=Path(folder) / "run", progress=False, report=False).summary
    return {
        "kind": kind,
        "hidden": hidden,
        "seed": seed,
        "parameters": summary["parameters"],
        "test_accuracy": round(summary["test_accuracy"], 4),
    }


def draw(runs: list[dict]) -> None:
    found = defaultdict(list)
    for run in runs:
        found[run["kind"], run["parameters"]].append(100 * run["test_accuracy"])
    figure, axis = plt.subplots(figsize=(5.2, 3.4), constrained_layout=True)
    for kind, colour in KINDS.items():
        sizes = sorted(parameters for name, parameters in found if name == kind)
        if not sizes:
            continue
        values = [found[kind, size] for size in sizes]
        label = "weights alone" if kind == "w" else f"{kind} delays"
        axis.plot(sizes, [np.mean(v) for v in values], "o-", color=colour, ms=4, label=label)
        axis.fill_between(sizes, [min(v) for v in values], [max(v) for v in values], color=colour, alpha=0.15, lw=0)
    axis.set(
        xlabel="trained parameters", ylabel="test accuracy [%]", xscale="log", title="Yin-Yang, mean and range of seeds"
    )
    axis.set_xticks([50, 100, 200, 500], ["50", "100", "200", "500"])
    axis.xaxis.set_minor_locator(NullLocator())
    axis.grid(True, which="both", alpha=0.2)
    axis.legend(frameon=False, fontsize=8)
    PICTURE.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(PICTURE, dpi=130)
    print(PICTURE)


if __name__ == "__main__":
    main()
