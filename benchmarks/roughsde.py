"""Speed and memory of RoughSDE and of the signature kernel, one thread, float32.

`taskset -c 1 python benchmarks/roughsde.py` times training steps of one neuron and of 22 at batch 128, and Gram
matrices of 64 x 64 spike trains with their gradients; `--pysiglib PYTHON` also times `pysiglib` in the environment of
that Python on the same paths.
"""

import argparse
import json
import os
import resource
import subprocess
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

PEER = """
import sys, time, numpy, torch, pysiglib
torch.set_num_threads(1)
data = numpy.load(sys.argv[1])
order = int(sys.argv[2])
x, y = (torch.tensor(data[name], requires_grad=True) for name in ("x", "y"))
best = float("inf")
for _ in range(3):
    start = time.perf_counter()
    pysiglib.torch_api.sig_kernel_gram(x, y, dyadic_order=order, n_jobs=1).sum().backward()
    best = min(best, time.perf_counter() - start)
print(best)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pysiglib", metavar="PYTHON", help="a Python with pysiglib and torch")
    parser.add_argument("--dyadic-order", type=int, default=2, help="pysiglib's refinement (%(default)s: near exact)")
    parser.add_argument("--lengths", type=int, nargs="+", default=[64], help="points of a lifted train")
    args = parser.parse_args()
    print(f"load {os.getloadavg()[0]:.1f}, {len(os.sched_getaffinity(0))} core(s)")
    for name, measured in {"one neuron, 5 s": one_neuron, "22 neurons, 1 s": layers}.items():
        report(f"training step, {name}, batch 128", *timed(*measured()))
    for length in args.lengths:
        x, y, scale = trains(length, 0), trains(length, 1), min(1.0, 16 / length)
        ours = timed(gram_and_gradient(x, y, scale), x.time, y.time, repeat=3)
        report(f"Gram matrix 64 x 64, {length} points, forward and gradient", *ours)
        if args.pysiglib:
            theirs = peer(args.pysiglib, args.dyadic_order, x, y, scale)
            print(
                f"  pysiglib, dyadic order {args.dyadic_order}: {theirs:.2f} s, ours is {theirs / ours[1]:.1f}x faster"
            )


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


def gram_and_gradient(x: st.Spikes, y: st.Spikes, scale: float):
    def total(x_time, y_time):
        at = [eqx.tree_at(lambda s: s.time, train, time) for train, time in ((x, x_time), (y, y_time))]
        return jnp.sum(spike_gram(*at, t1=1.0, jump_scale=scale))

    return jax.jit(jax.value_and_grad(total, (0, 1)))


def peer(python: str, order: int, x: st.Spikes, y: st.Spikes, scale: float) -> float:
    lift = jax.vmap(lambda train: marcus_lift(train, t1=1.0, jump_scale=scale))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "paths.npz"
        np.savez(path, x=np.asarray(lift(x)), y=np.asarray(lift(y)))
        done = subprocess.run([python, "-c", PEER, str(path), str(order)], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def timed(function, *arguments, repeat: int = 15) -> tuple[float, float]:
    """Seconds to compile and run once, and the least of some runs."""
    start = time.perf_counter()
    jax.block_until_ready(function(*arguments))
    compiled, best = time.perf_counter() - start, float("inf")
    for _ in range(repeat):
        start = time.perf_counter()
        jax.block_until_ready(function(*arguments))
        best = min(best, time.perf_counter() - start)
    return compiled, best


def report(name: str, compiled: float, best: float) -> None:
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{name}: {1000 * best:.1f} ms, compiled in {compiled:.1f} s, peak {peak:.0f} MB so far", flush=True)


if __name__ == "__main__":
    main()
