"""A training step of Equilibrium against the published algorithm in plain PyTorch, on one thread.

    python benchmarks/equilibrium.py                       # installs PyTorch into benchmarks/envs/torch
    python benchmarks/equilibrium.py --peer-python PATH    # or uses an environment that has it

It writes `results/equilibrium.md`: processor time of a step (loss and gradients of a batch of 128), memory, and the
cosine of either gradient to one that was solved to round-off. It needs Linux, which tells what memory a step takes.
"""

import argparse
import json
import os
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any

import numpy as np
from _equilibrium_problem import BATCH, CASES, CLASSES, THRESHOLD, draw, resident, serve

HERE = Path(__file__).parent
TORCH = "torch==2.13.0"
GOALS = {"fc5": 5.0, "conv5": 3.0, "conv30": 2.0}
NAMES = {"fc5": "FC 784-400, T = 5", "conv5": "64C5s(F64C5), T = 5", "conv30": "64C5s(F64C5), T = 30"}
MEMORY = ("process", "beyond_libraries", "step")
ONE_THREAD = {
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "JAX_PLATFORMS": "cpu",
}
# The tolerance of ours is such that the cosine to the exact gradient stays above 0.9999.
TOLERANCES = {"ours": 1e-1, "exact": 1e-6}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer-python", type=Path, help="a Python that has PyTorch")
    parser.add_argument("--cases", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--seconds", type=float, default=5.0, help="per side and turn")
    parser.add_argument("--turns", type=int, default=2)
    parser.add_argument("--out", type=Path, default=HERE / "results")
    parser.add_argument("--side", nargs=2, metavar=("CASE", "TOLERANCE"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.side:
        run_side(args.side[0], float(args.side[1]))
        return
    python = args.peer_python or make_environment()
    rows = [measure(name, python, args.seconds, args.turns) for name in args.cases]
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "equilibrium.json").write_text(json.dumps(rows, indent=2) + "\n")
    (args.out / "equilibrium.md").write_text(table(rows))
    print(table(rows))


def run_side(name: str, tolerance: float) -> None:
    """Our side: one compiled training step."""
    import equinox as eqx
    import jax
    import jax.numpy as jnp

    import saltation as st
    from saltation_equilibrium import Equilibrium, Picard

    libraries = resident()
    case, arrays = CASES[name], draw(CASES[name])
    neuron = st.get_neuron("if")(case.hidden, tau_syn=None, reset_mode="subtract", v_threshold=THRESHOLD)
    method = Equilibrium(backward=Picard(rtol=tolerance, max_steps=60))
    save = st.Save(spikes=False, rates=True)
    x, labels = jnp.asarray(arrays["x"]), jnp.asarray(arrays["labels"])

    def loss(weights, x, labels):
        if case.convolutional:
            into = st.Conv2d(weights["into"], case.shape, stride=2, padding=2)
            back = st.Conv2d(weights["back"], case.hidden)
        else:
            into, back = st.Dense(weights["into"]), st.Dense(weights["back"])
        connections = [st.Connection("in", "hidden", into), st.Connection("hidden", "hidden", back)]
        network = st.Network({"in": x.shape[1]}, {"hidden": neuron}, connections, ["hidden"])

        def one(x, label):
            solution = method.solve(network, {"in": st.Current(x)}, t1=float(case.steps), save=save, throw=False)
            return st.rate_cross_entropy(solution.rates["hidden"] @ weights["out"], label)

        return jnp.mean(jax.vmap(one)(x, labels))

    run = eqx.filter_jit(jax.value_and_grad(loss))
    weights = {key: jnp.asarray(arrays[key]) for key in ("into", "back", "out")}
    step = lambda: jax.block_until_ready(run(weights, x, labels))  # noqa: E731

    def values():
        value, gradient = step()
        return {"loss": value, **gradient}

    serve(step, values, f"Saltation, Neumann series to {tolerance:g}", libraries=libraries)


def measure(name: str, python: Path, seconds: float, turns: int) -> dict[str, Any]:
    """Both sides of a case in turns, and the exact gradient."""
    own = [sys.executable, str(HERE / "equilibrium.py"), "--side", name]
    commands = {
        "ours": [*own, str(TOLERANCES["ours"])],
        "peer": [str(python), "-m", "peers.broyden", name],
        "exact": [*own, str(TOLERANCES["exact"])],
    }
    sides = {side: _Side(command) for side, command in commands.items()}
    times: dict[str, list[float]] = {"ours": [], "peer": []}
    for _ in range(turns):
        for side in times:
            times[side].append(sides[side].ask(str(seconds))["best"])
    ends = {side: process.ask("values") for side, process in sides.items()}
    exact = _flat(ends["exact"]["values"])
    return {
        "case": name,
        "milliseconds": {side: 1e3 * min(best) for side, best in times.items()},
        "memory_bytes": {side: ends[side]["memory_bytes"] for side in times},
        "cosine": {side: _cosine(_flat(ends[side]["values"]), exact) for side in times},
        "notes": {side: sides[side].notes for side in times},
    }


class _Side:
    """A process that serves, pinned to nothing: its processor time counts, not the clock."""

    def __init__(self, command: list[str]):
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        self.process = subprocess.Popen(command, cwd=HERE, env={**os.environ, **ONE_THREAD}, text=True, **pipes)
        self.notes = self._read()["notes"]

    def ask(self, line: str) -> dict[str, Any]:
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self._read()

    def _read(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{' '.join(self.process.args)} ended with {self.process.wait()}")  # pyright: ignore
        return json.loads(line)


def make_environment() -> Path:
    folder = HERE / "envs" / "torch"
    python = folder / "bin" / "python"
    if not python.exists():
        venv.create(folder, with_pip=True)
        subprocess.run([str(python), "-m", "pip", "install", "-q", TORCH, "numpy"], check=True)
    return python


def table(rows: list[dict[str, Any]]) -> str:
    """The Markdown tables."""
    notes = rows[0]["notes"]
    lines = [
        f"A training step at batch {BATCH}, {CLASSES} classes, float32, one thread: milliseconds of processor time,",
        "and the cosine of the gradient to the one solved to round-off, at the simulated rates.",
        "",
        "| network | Saltation | PyTorch, Broyden | faster | goal | cosine |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        ms, cosine, goal = row["milliseconds"], row["cosine"], GOALS[row["case"]]
        ratio = ms["peer"] / ms["ours"]
        lines.append(
            f"| {NAMES[row['case']]} | {ms['ours']:.1f} ms | {ms['peer']:.1f} ms | {ratio:.1f} x | "
            f"{goal:g} x {'met' if ratio >= goal else 'missed'} | {cosine['ours']:.5f}, {cosine['peer']:.5f} |"
        )
    lines += [
        "",
        "Memory in MB, Saltation against PyTorch; the goal is half of the process. A process holds libraries, what",
        "they compile and load when they first compute, weights and data. A step's own is what it takes beyond all",
        "that, for as long as it runs.",
        "",
        "| network | process | goal | beyond imported libraries | a step's own |",
        "|---|---|---|---|---|",
    ]
    for row in rows:
        ours, peer = (row["memory_bytes"][side] for side in ("ours", "peer"))
        process, beyond, step = (f"{ours[kind] / 1e6:.0f} against {peer[kind] / 1e6:.0f}" for kind in MEMORY)
        goal = "met" if 2 * ours["process"] <= peer["process"] else "missed"
        lines.append(f"| {NAMES[row['case']]} | {process} | half {goal} | {beyond} | {step} |")
    return "\n".join([*lines, "", f"{notes['ours']}; {notes['peer']}, rank 27, at most 30 steps.", ""])


def _flat(values: dict[str, Any]) -> np.ndarray:
    return np.concatenate([np.ravel(np.asarray(values[name])) for name in ("into", "back", "out")])


def _cosine(a: np.ndarray, b: np.ndarray) -> float:
    return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))


if __name__ == "__main__":
    main()
