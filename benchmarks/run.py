"""Speed against other libraries: one network, one batch, one thread, all sides timed in turns in one run.

    python benchmarks/run.py                        everything; writes benchmarks/results/ode.md and .json
    python benchmarks/run.py --only saltation sparxml --cases lif-room3 --rounds 5

Every peer gets an environment of its own under `--envs`, made on the first run from PyPI. A peer that cannot
be installed or run is skipped by name, with the reason, in the table too.
"""

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from _harness import ONE_THREAD
from _oracle import SOLVED, Answer, solve
from _problem import CASES
from _report import OURS, TITLES, Row, page
from _worker import HERE, Worker, WorkerError, python_of


@dataclass(frozen=True)
class Side:
    """A library, the variants of it that are timed, and how it is installed."""

    name: str
    module: str
    variants: tuple[str, ...]
    cases: tuple[str, ...]
    installs: tuple[tuple[str, ...], ...] = ()  # arguments of each `pip install`; none: it is installed here


SIDES = (
    Side(OURS, "ours", ("ode",), tuple(CASES)),
    Side(
        "eventax",
        "peers.eventax",
        ("checkpointed", "eventprop"),
        tuple(CASES),
        (("eventax==0.1.0", "jax==0.10.2", "diffrax==0.7.2"),),
    ),
    Side(
        "jaxsnn",
        "peers.jaxsnn",
        ("full-room", "fitted-room"),
        ("lif-room3", "lif-once"),
        (("jaxsnn==0.3.0", "jax==0.10.2"),),
    ),
    Side(
        "sparxml",
        "peers.sparxml",
        ("default", "24-bisections"),
        ("lif-room3", "lif-once"),
        (("jax==0.10.2",), ("sparxml==0.1.1", "--no-deps", "--ignore-requires-python")),
    ),
)


def main() -> None:
    args = parse_arguments()
    sides, skipped = prepare([side for side in SIDES if not args.only or side.name in args.only], args.envs)
    results: dict[str, Any] = {"machine": machine(), "settings": settings(args), "skipped": skipped}
    results["cases"] = {}
    args.results.mkdir(parents=True, exist_ok=True)
    for case in args.cases:
        results["cases"][case] = run_case(case, sides, args)
        # After each case: an interrupted run keeps what it has.
        (args.results / f"{args.name}.json").write_text(json.dumps(results, indent=1) + "\n")
        (args.results / f"{args.name}.md").write_text(page(results))
    print(f"\n{page(results)}\nWritten to {args.results / args.name}.md and .json")
    if args.scaling:
        subprocess.run([sys.executable, str(HERE / "scaling.py"), "--results", str(args.results)], check=True)


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names, cases = [side.name for side in SIDES], list(CASES)
    parser.add_argument("--rounds", type=int, default=5, help="how many turns each side takes (%(default)s)")
    parser.add_argument("--seconds", type=float, default=2.0, help="length of a turn (%(default)s)")
    parser.add_argument("--only", nargs="+", choices=names, help="these libraries only")
    parser.add_argument("--cases", nargs="+", choices=cases, default=cases, help="these networks only")
    parser.add_argument("--envs", type=Path, default=HERE / "envs", help="where the peers' environments are")
    parser.add_argument("--results", type=Path, default=HERE / "results", help="where the tables go")
    parser.add_argument("--name", default="ode", help="name of the tables (%(default)s)")
    parser.add_argument(
        "--scaling",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="measure the cost per event afterwards",
    )
    return parser.parse_args()


def prepare(sides: list[Side], envs: Path) -> tuple[list[tuple[Side, Path]], dict[str, str]]:
    """The Python of each side's environment; and by name why a side has none."""
    ready, skipped = [], {}
    for side in sides:
        try:
            ready.append((side, environment(side, envs) if side.installs else Path(sys.executable)))
        except (subprocess.CalledProcessError, OSError) as error:
            output = getattr(error, "stderr", None) or str(error)
            skipped[side.name] = f"not installed: {output.strip().splitlines()[-1]}"
            print(f"skipping {side.name}, {skipped[side.name]}", flush=True)
    return ready, skipped


def environment(side: Side, envs: Path) -> Path:
    folder = envs.resolve() / side.name
    python, stamp = python_of(folder), folder / "installed.json"
    wanted = json.dumps([sys.version_info[:2], side.installs])
    if not (stamp.exists() and stamp.read_text() == wanted):
        print(f"installing {side.name} into {folder}", flush=True)
        venv.create(folder, with_pip=True, clear=True)
        for packages in side.installs:
            command = [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check", *packages]
            subprocess.run(command, check=True, capture_output=True, text=True)
        stamp.write_text(wanted)
    return python


def run_case(case: str, sides: list[tuple[Side, Path]], args: argparse.Namespace) -> list[Row]:
    """Starts every side that solves this case, checks what it computed, times all of them in turns."""
    print(f"\n{TITLES[case]}", flush=True)
    problem = CASES[case]()
    rows: list[Row] = []
    workers: list[tuple[Row, Worker]] = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "problem.npz"
        problem.save(path)
        answer = solve(problem) if problem.model in SOLVED else reference(path, Path(folder) / "reference.npz")
        for side, python in sides:
            for variant in side.variants if case in side.cases else ():
                row: Row = {"side": side.name, "variant": variant, "rounds": []}
                rows.append(row)
                out = Path(folder) / f"{side.name}-{variant}.npz"
                try:
                    worker = Worker(python, side.module, variant, path, out)
                except WorkerError as error:
                    skip(row, error)
                    continue
                row |= worker.about | accuracy(answer, worker.out)
                workers.append((row, worker))
                print(f"  {named(row)}: ready, compiled in {row['compile_seconds']:.1f} s", flush=True)
        for turn in range(args.rounds):
            for row, worker in workers:
                if "skipped" not in row:
                    try:
                        row["rounds"].append(worker.measure(args.seconds))
                    except WorkerError as error:
                        skip(row, error)
            print(f"  round {turn + 1} of {args.rounds}", flush=True)
    for row, worker in workers:
        if "skipped" not in row:
            try:
                row |= worker.close()
            except WorkerError as error:
                skip(row, error)
                continue
            speeds = [row["batch"] / turn["median"] for turn in row["rounds"]]
            row["samples_per_second"] = statistics.median(speeds)
            row["best_samples_per_second"] = max(row["batch"] / turn["best"] for turn in row["rounds"])
    add_ratios([row for row in rows if "skipped" not in row])
    return rows


def reference(path: Path, out: Path) -> Answer:
    """Our own solution in float64 by the accurate defaults, in a process of its own."""
    command = [sys.executable, "-m", "ours", "--variant", "reference", "--problem", str(path), "--out", str(out)]
    subprocess.run(command, check=True, cwd=HERE, env=os.environ | ONE_THREAD)
    with np.load(out) as data:
        return Answer(data["first"], float(data["loss"]), data["grad_in"], data["grad_out"])


def skip(row: Row, error: WorkerError) -> None:
    row["skipped"] = str(error)
    print(f"  {named(row)}: skipped, {error}", flush=True)


def named(row: Row) -> str:
    return f"{row['side']} {row['variant']}"


def accuracy(answer: Answer, out: Path) -> Row:
    """Errors against the oracle: first output spikes, how many are missing or too many, the gradient."""
    with np.load(out) as data:
        first, grad_in, grad_out = data["first"], data["grad_in"], data["grad_out"]
    right = answer.first
    both = np.isfinite(first) & np.isfinite(right)
    error = np.abs(first[both] - right[both]) if both.any() else np.array([np.nan])
    wanted = np.concatenate([answer.grad_in.ravel(), answer.grad_out.ravel()])
    got = np.concatenate([grad_in.ravel(), grad_out.ravel()])
    return {
        "spike_error_max": float(error.max()),
        "spike_error_median": float(np.median(error)),
        "spikes_compared": int(both.sum()),
        "spikes_missing_or_extra": int((np.isfinite(first) != np.isfinite(right)).sum()),
        "gradient_error": float(np.linalg.norm(got - wanted) / np.linalg.norm(wanted)),
    }


def add_ratios(rows: list[Row]) -> None:
    """How many times faster we are than each peer: the median over rounds of the ratio within a round."""
    ours = next((row for row in rows if row["side"] == OURS), None)
    for row in rows:
        if ours is not None and row is not ours:
            pairs = zip(ours["rounds"], row["rounds"], strict=True)
            row["times_faster"] = statistics.median(their["median"] / my["median"] for my, their in pairs)


def machine() -> dict[str, Any]:
    model = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        lines = cpuinfo.read_text().splitlines()
        model = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), model)
    return {
        "processor": model,
        "cores": os.cpu_count(),
        "system": platform.platform(),
        "load": os.getloadavg()[0] if hasattr(os, "getloadavg") else None,
    }


def settings(args: argparse.Namespace) -> dict[str, Any]:
    return {"rounds": args.rounds, "seconds": args.seconds, "date": time.strftime("%Y-%m-%d")}


if __name__ == "__main__":
    main()
