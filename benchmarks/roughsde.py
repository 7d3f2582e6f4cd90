"""Speed and memory of RoughSDE and of the signature kernel, one thread, float32.

`python benchmarks/roughsde.py` times training steps of one neuron and of 22 at batch 128, and Gram matrices of 64 x 64
spike trains, forward and with gradients. `--pysiglib PYTHON` also times `pysiglib` in the environment of that Python on
the same paths, and compares its values to ours. Each case has a process of its own; seconds are those of the
processor, which depend less on what else runs than those of the clock. Writes `results/roughsde.{json,md}`.
"""

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

import saltation as st
from saltation_roughsde import RoughSDE, marcus_lift, spike_gram
from saltation_roughsde._samples import layers_4_16_2, single_neuron

RESULTS = Path(__file__).parent / "results"
THREAD = {
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
    "OMP_NUM_THREADS": "1",
    "NPROC": "1",
}
PEER = """
import json, resource, sys, time, numpy, torch, pysiglib
torch.set_num_threads(1)
data = numpy.load(sys.argv[1])
x, y = (torch.tensor(data[name], requires_grad=True) for name in ("x", "y"))
def run(gradient):
    values = pysiglib.torch_api.sig_kernel_gram(x, y, dyadic_order=int(sys.argv[2]), n_jobs=1)
    if gradient:
        values.sum().backward()
    return values
best = {}
for name, gradient in (("forward", False), ("with_gradient", True)):
    best[name] = float("inf")
    for _ in range(2):
        start = time.process_time()
        values = run(gradient)
        best[name] = min(best[name], time.process_time() - start)
error = float((values.detach().double() / torch.tensor(data["ours"]).double() - 1).abs().max())
print(json.dumps({**best, "error": error, "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pysiglib", metavar="PYTHON", help="a Python with pysiglib and torch")
    parser.add_argument("--dyadic-orders", type=int, nargs="+", default=[0, 2], help="pysiglib's refinement")
    parser.add_argument("--lengths", type=int, nargs="+", default=[64, 256], help="points of a lifted train")
    parser.add_argument(
        "--pysiglib-lengths", type=int, nargs="+", default=[64], help="those of pysiglib, whose memory grows 16-fold"
    )
    parser.add_argument("--cases", nargs="*", default=["one neuron", "22 neurons"], help="the training steps")
    parser.add_argument("--case", help="one case, printed as JSON")
    args = parser.parse_args()
    if args.case:
        print(json.dumps(measured(args.case)))
        return
    rows = {}
    for case in (*args.cases, *(f"gram {length}" for length in args.lengths)):
        own = [sys.executable, __file__, "--case", case]
        rows[case] = json.loads(child(own))
        print(case, rows[case], flush=True)
        length = int(case.split()[1]) if case.startswith("gram") else None
        if args.pysiglib and length in args.pysiglib_lengths:
            for order in args.dyadic_orders:
                rows[f"{case}, pysiglib at order {order}"] = found = peer(args.pysiglib, order, length)
                print(f"  pysiglib, dyadic order {order}:", found, flush=True)
    write(rows)


def child(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ, **THREAD})
    return done.stdout.splitlines()[-1]


def measured(case: str) -> dict:
    if case.startswith("gram"):
        length = int(case.split()[1])
        x, y, scale = trains(length, 0), trains(length, 1), jump_scale(length)
        _, forward = timed(jax.jit(lambda a, b: gram(x, y, a, b, scale)), x.time, y.time, repeat=3)
        compiled, best = timed(gram_and_gradient(x, y, scale), x.time, y.time, repeat=3)
        found = {"forward": forward, "with_gradient": best, "compile": compiled}
    else:
        compiled, best = timed(*(one_neuron() if case == "one neuron" else layers()))
        found = {"with_gradient": best, "compile": compiled}
    return {**found, "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}


def write(rows: dict) -> None:
    lines = ["| | forward [s] | with gradient [s] | compile [s] | peak [MB] | largest relative difference from ours |"]
    lines.append("|---|---|---|---|---|---|")
    for case, row in rows.items():
        forward = f"{row['forward']:.3f}" if "forward" in row else ""
        error = f"{row['error']:.1e}" if "error" in row else ""
        compiled = f"{row['compile']:.1f}" if "compile" in row else ""
        lines.append(
            f"| {case} | {forward} | {row['with_gradient']:.3f} | {compiled} | {row['peak_mb']:.0f} | {error} |"
        )
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "roughsde.json").write_text(json.dumps(rows, indent=2) + "\n")
    (RESULTS / "roughsde.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


def one_neuron():
    def loss(current, keys):
        return mean_times(single_neuron(0.25, current), RoughSDE(dt=0.01, max_spikes=40), jnp.ones(1), 5.0, keys)

    return jax.jit(jax.value_and_grad(loss)), jnp.array([1.5]), jax.random.split(jax.random.key(0), 128)


def layers():
    net = layers_4_16_2(jax.random.key(1), 0.25)
    parameters, fixed = eqx.partition(net, st.trainable(net, "weight"))

    def loss(parameters, keys):
        method = RoughSDE(dt=0.01, max_spikes=24, max_events=100)
        return mean_times(eqx.combine(parameters, fixed), method, jnp.full(4, 1.5), 1.0, keys)

    return jax.jit(jax.value_and_grad(loss)), parameters, jax.random.split(jax.random.key(0), 128)


def mean_times(net, method, current, t1, keys):
    def one(key):
        solution = method.solve(net, {"in": st.Current(current)}, t1=t1, key=key, throw=False)
        return solution.spikes["out"].to_dense(3, throw=False)

    times = jax.vmap(one)(keys)
    return jnp.mean(jnp.where(jnp.isfinite(times), times, t1))


def trains(length: int, seed: int) -> st.Spikes:
    """64 trains of two units whose lifts have `length` points."""
    rng, spikes = np.random.default_rng(seed), (length - 2) // 2
    time = np.sort(rng.uniform(size=(64, spikes)), axis=1).astype(np.float32)
    return st.Spikes(jnp.asarray(time), jnp.asarray(rng.integers(0, 2, (64, spikes)), jnp.int32), 2)


def jump_scale(length: int) -> float:
    return min(1.0, 16 / length)


def gram(x: st.Spikes, y: st.Spikes, x_time, y_time, scale: float):
    at = [eqx.tree_at(lambda s: s.time, train, time) for train, time in ((x, x_time), (y, y_time))]
    return spike_gram(*at, t1=1.0, jump_scale=scale)


def gram_and_gradient(x: st.Spikes, y: st.Spikes, scale: float):
    return jax.jit(jax.value_and_grad(lambda a, b: jnp.sum(gram(x, y, a, b, scale)), (0, 1)))


def peer(python: str, order: int, length: int) -> dict:
    x, y, scale = trains(length, 0), trains(length, 1), jump_scale(length)
    lift = jax.vmap(lambda train: marcus_lift(train, t1=1.0, jump_scale=scale))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "paths.npz"
        np.savez(path, x=np.asarray(lift(x)), y=np.asarray(lift(y)), ours=np.asarray(gram(x, y, x.time, y.time, scale)))
        return json.loads(child([python, "-c", PEER, str(path), str(order)]))


def timed(function, *arguments, repeat: int = 15) -> tuple[float, float]:
    """Seconds of the processor to compile and run once, and the least of some runs."""
    start = time.process_time()
    jax.block_until_ready(function(*arguments))
    compiled, best = time.process_time() - start, float("inf")
    for _ in range(repeat):
        start = time.process_time()
        jax.block_until_ready(function(*arguments))
        best = min(best, time.process_time() - start)
    return compiled, best


if __name__ == "__main__":
    main()
