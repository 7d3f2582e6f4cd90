"""Recurrent networks of 50 neurons, a training step against eventax, in turns on one core.

    python benchmarks/recurrent.py                     writes benchmarks/results/recurrent.md and .json
    python benchmarks/recurrent.py --cases lif --rounds 3 --seconds 1

eventax gets the environment under `--envs` that `run.py` makes too, on the first run from PyPI.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from _harness import ONE_THREAD
from _recurrent_problem import BATCH, CASES, NEURONS, problem
from _worker import HERE, Worker, WorkerError
from run import SIDES, Side, machine, named, prepare, settings, skip

GOAL = 5.0
TITLES = {"lif": "LIF", "qif": "QIF", "egru": "EGRU"}


def main() -> None:
    args = parse_arguments()
    installs = next(side.installs for side in SIDES if side.name == "eventax")
    sides = [
        Side("saltation", "ours_recurrent", ("ode",), tuple(CASES)),
        Side("eventax", "peers.eventax_recurrent", tuple(args.variants), tuple(CASES), installs),
    ]
    ready, skipped = prepare(sides, args.envs)
    results = {"machine": machine(), "settings": settings(args), "skipped": skipped, "cases": {}}
    for case in args.cases:
        results["cases"][case] = run_case(case, ready, args)
        # After each case: an interrupted run keeps what it has.
        (args.results / "recurrent.json").write_text(json.dumps(results, indent=1) + "\n")
        (args.results / "recurrent.md").write_text(page(results))
    print(f"\n{page(results)}")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3, help="how many turns each side takes (%(default)s)")
    parser.add_argument("--seconds", type=float, default=2.0, help="length of a turn (%(default)s)")
    parser.add_argument("--cases", nargs="+", choices=list(CASES), default=list(CASES), help="these networks only")
    parser.add_argument("--variants", nargs="*", default=["checkpointed", "eventprop"], help="eventax's adjoints")
    parser.add_argument("--envs", type=Path, default=HERE / "envs", help="where eventax's environment is")
    parser.add_argument("--results", type=Path, default=HERE / "results", help="where the table goes")
    return parser.parse_args()


def run_case(case: str, sides, args) -> list[dict]:
    """Starts every side, checks what it computed, times all of them in turns."""
    print(f"\n{case}", flush=True)
    rows, workers = [], []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "problem.npz"
        problem(*CASES[case]).save(path)
        reference = reference_of(path, Path(folder) / "reference.npz")
        for side, python in sides:
            for variant in side.variants:
                row = {"side": side.name, "variant": variant, "rounds": []}
                rows.append(row)
                try:
                    worker = Worker(python, side.module, variant, path, Path(folder) / f"{side.name}-{variant}.npz")
                except WorkerError as error:
                    skip(row, error)
                    continue
                row |= worker.about | errors(reference, worker.out)
                workers.append((row, worker))
                print(f"  {named(row)}: ready, compiled in {row['compile_seconds']:.1f} s", flush=True)
        for _ in range(args.rounds):
            for row, worker in workers:
                row["rounds"].append(worker.measure(args.seconds))
        for row, worker in workers:
            row |= worker.close()
    for row, _ in workers:
        row["samples_per_second"] = statistics.median(BATCH / turn["median"] for turn in row["rounds"])
        pairs = zip(workers[0][0]["rounds"], row["rounds"], strict=True)
        row["times_faster"] = statistics.median(their["median"] / my["median"] for my, their in pairs)
        print(f"  {named(row)}: {row['samples_per_second']:.1f} samples/s", flush=True)
    return rows


def reference_of(path: Path, out: Path) -> dict[str, np.ndarray]:
    """The first samples in float64 by the accurate defaults, in a process of its own."""
    command = [sys.executable, "-m", "ours_recurrent", "--problem", str(path), "--out", str(out)]
    environment = os.environ | ONE_THREAD
    subprocess.run([*command, "--variant", "reference"], check=True, cwd=HERE, env=environment)
    with np.load(out) as data:
        return dict(data)


def errors(reference: dict[str, np.ndarray], out: Path) -> dict:
    """How far the first spikes of the reference's samples are off."""
    with np.load(out) as data:
        first = data["first"][: len(reference["first"])]
    right = reference["first"]
    both = np.isfinite(first) & np.isfinite(right)
    return {
        "spike_error_max": float(np.abs(first[both] - right[both]).max()),
        "spike_error_median": float(np.median(np.abs(first[both] - right[both]))),
        "spikes_missing_or_extra": int((np.isfinite(first) != np.isfinite(right)).sum()),
        "spikes_compared": int(both.sum()),
    }


def page(results: dict) -> str:
    where, how = results["machine"], results["settings"]
    lines = [
        f"Forward and gradient by all weights, {NEURONS} neurons all to all, 5 inputs, batch {BATCH}, float32, one "
        f"thread, {how['rounds']} or more turns of {how['seconds']:g} s; {how['date']}, {where['processor']}, "
        f"load {where['load']:.1f} at the start. Errors of first spikes (largest, median, in ms; in brackets how many "
        "are missing or too many) are against our own solution in float64 with the accurate defaults.",
        "",
        "| network | side | samples/s | ours is faster | compiled in | peak memory | spikes | settings |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for case, rows in results["cases"].items():
        model, delay = CASES[case]
        title = f"{TITLES[model]}, " + (f"delays of {delay:g} ms" if delay else "no delays")
        for row in rows:
            if "skipped" in row:
                lines.append(f"| {title} | {named(row)} | skipped: {row['skipped']} | | | | | |")
                continue
            faster = "" if row["side"] == "saltation" else f"{row['times_faster']:.0f}x"
            spikes = f"{row['spike_error_max']:.1e}, {row['spike_error_median']:.1e} ({row['spikes_missing_or_extra']})"
            costs = f"{row['compile_seconds']:.0f} s | {row['peak_memory_bytes'] / 1e6:,.0f} MB"
            speed = f"{row['samples_per_second']:,.0f} | {faster}"
            lines.append(f"| {title} | {named(row)} | {speed} | {costs} | {spikes} | {row['notes']} |")
    ratios = [
        min(row["times_faster"] for row in rows if row["side"] != "saltation" and "skipped" not in row)
        for rows in results["cases"].values()
        if any(row["side"] != "saltation" and "skipped" not in row for row in rows)
    ]
    if ratios:
        met = "met" if min(ratios) >= GOAL else "missed"
        goal = (
            f"Goal: at least {GOAL:g} times eventax's speed in every case above: {met}, the least is {min(ratios):.1f}."
        )
        lines += ["", goal]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
