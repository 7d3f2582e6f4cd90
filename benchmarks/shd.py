"""A task of the size of SHD: 700 units, 8,000 events in 1 s, 256 recurrent LIF neurons with trainable delays.

    python benchmarks/shd.py                  a training step in slices, event by event and on a grid of 1 ms
    python benchmarks/shd.py --train          and what the recipe `ode/shd-like` learns, beside counts of spikes alone

It writes benchmarks/results/shd.md and .json.
"""

import argparse
import json
import statistics
import sys
import tempfile
from pathlib import Path

import numpy as np
from _counts import count_accuracy
from _worker import HERE, Worker
from run import machine

from saltation_datasets import load_shd_like

BATCH = 32
SIDES = {
    "slices": "ode, slices of 1 ms",
    "events": "ode, the joint search",
    "surrogate": "surrogate, steps of 1 ms",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, help="how many turns each side takes (%(default)s)")
    parser.add_argument("--sides", nargs="+", choices=list(SIDES), default=list(SIDES), help="these alone")
    parser.add_argument("--train", action="store_true", help="train the recipe, too")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--train-size", type=int, default=2000)
    parser.add_argument("--test-size", type=int, default=500)
    parser.add_argument("--out", type=Path, default=HERE.parent / "runs" / "shd-like", help="where the run goes")
    parser.add_argument("--results", type=Path, default=HERE / "results", help="where the table goes")
    args = parser.parse_args()
    path = args.results / "shd.json"
    results = json.loads(path.read_text()) if path.exists() else {}
    if args.train:
        results["learning"] = learning(args)
    else:
        results |= {"machine": machine(), "rounds": args.rounds, "step": steps(args)}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(results, indent=1) + "\n")
    (args.results / "shd.md").write_text(page(results))
    print(page(results))


def steps(args) -> dict[str, dict]:
    """All sides in turns, on the same batch."""
    data = load_shd_like(train_size=BATCH, validation_size=1, test_size=1).train
    rows, workers = {}, {}
    with tempfile.TemporaryDirectory() as folder:
        problem = Path(folder) / "problem.npz"
        np.savez(problem, inputs=data.inputs, targets=data.targets)
        for side in args.sides:
            workers[side] = Worker(Path(sys.executable), "ours_shd", side, problem, Path(folder) / "out.npz")
            rows[side] = workers[side].about | {"seconds": []}
            print(f"{side}: compiled in {rows[side]['compile_seconds']:.0f} s", flush=True)
        for _ in range(args.rounds):
            for side, worker in workers.items():
                rows[side]["seconds"].append(worker.measure(0.0)["best"])
        for side, worker in workers.items():
            rows[side] |= worker.close()
    return rows


def learning(args) -> dict:
    """The recipe's test accuracy, and that of a linear classifier of the counts of all units."""
    from saltation_train import Recipe, train

    sizes = {"train_size": args.train_size, "test_size": args.test_size, "validation_size": 100}
    run = train(Recipe("ode/shd-like", sizes | {"epochs": args.epochs}), seed=0, out=args.out, report=False)
    return sizes | {
        "epochs": args.epochs,
        "accuracy": (run.summary or {})["test_accuracy"],
        "counts": count_accuracy(load_shd_like(**sizes)),
        "seconds": sum(line["seconds"] for line in run.metrics if "seconds" in line),
    }


def page(results: dict) -> str:
    lines = []
    if "step" in results:
        where = results["machine"]
        lines += [
            "A training step (loss and gradient by weights and delays) of the recipe `ode/shd-like`: 256 recurrent LIF "
            f"neurons, 700 units, 8,000 events in 1,000 ms, batch {BATCH}, float32, one thread. CPU seconds of the "
            f"process, the median of {results['rounds']} turns; {where['processor']}, load {where['load']:.1f}.",
            "",
            "| method | step | compiled in | peak memory | temporary memory | spikes a neuron | failed samples |",
            "|---|---|---|---|---|---|---|",
        ]
        for side, row in results["step"].items():
            lines.append(
                f"| {SIDES[side]} | {statistics.median(row['seconds']):.2f} s | {row['compile_seconds']:.0f} s | "
                f"{row['peak_memory_bytes'] / 1e6:,.0f} MB | {row['temporary_bytes'] / 1e6:,.0f} MB | "
                f"{row['spikes'] / 256:.1f} | {row['failed']} |"
            )
        lines.append("")
    if "learning" in results:
        found = results["learning"]
        accuracy, counts = (f"{100 * found[name]:.1f} %" for name in ("accuracy", "counts"))
        lines += [
            f"After {found['epochs']} epoch(s) of {found['train_size']:,} samples the network tells {accuracy} of "
            f"{found['test_size']} test samples right, a logistic regression on the counts of all units {counts}; "
            "chance is 5 %.",
            "",
        ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
