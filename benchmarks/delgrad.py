"""Speed of DelGrad, native kernel against plain JAX (`python benchmarks/delgrad.py`).

Loss (first-spike cross-entropy) and gradient of a batch of 256, float32, one thread on one core, samples a second of
processor time: the best of several calls. The stimulus is given as spikes. Yin-Yang networks of 5-30-3 neurons with
every kind of delay and every kind of ratio of the time constants, and 784-350-10 with as many inputs spiking as MNIST
has bright pixels, and with all of them. Writes `delgrad.json` and `delgrad.md` into benchmarks/results, with the peak
memory of a process for each case, and which share of the inputs, of the hidden neurons and of the outputs spikes.
"""

from _harness import use_one_thread

use_one_thread()

import argparse  # noqa: E402
import json  # noqa: E402
import os  # noqa: E402
import resource  # noqa: E402
import subprocess  # noqa: E402
import sys  # noqa: E402
import time  # noqa: E402
from pathlib import Path  # noqa: E402

BATCH, T1 = 256, 60.0
TAUS = {"2": (20.0, 10.0), "1": (10.0, 10.0), "3": (30.0, 10.0), "no leak": (15.0, 8.0)}
SMALL = [([5, 30, 3], "2", delay) for delay in (None, "axonal", "dendritic", "synaptic")]
WIDE = [784, 350, 10]
MNIST = 0.16  # the share of pixels above the threshold of the recipe's encoder
CASES = [
    *((*case, 1.0) for case in SMALL),
    *(([5, 30, 3], ratio, None, 1.0) for ratio in ("1", "3", "no leak")),
    (WIDE, "2", None, MNIST),
    (WIDE, "2", None, 1.0),
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=2.0, help="how long a case is timed (%(default)s)")
    parser.add_argument("--kernels", nargs="+", choices=("native", "jax"), default=["native", "jax"])
    parser.add_argument("--cases", nargs="+", type=int, choices=range(len(CASES)), default=range(len(CASES)))
    parser.add_argument("--results", type=Path, default=Path(__file__).parent / "results")
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        print(json.dumps(measure(int(args.one[0]), args.one[1], args.seconds)))
        return
    rows = []
    for case in args.cases:
        for kernel in args.kernels:
            # A process of its own, for the memory of this case alone.
            command = [sys.executable, __file__, "--one", str(case), kernel, "--seconds", str(args.seconds)]
            answer = subprocess.run(
                command, capture_output=True, text=True, env=os.environ | {"PYTHONWARNINGS": "ignore"}
            )
            if answer.returncode:
                raise SystemExit(answer.stderr)
            rows.append(json.loads(answer.stdout.splitlines()[-1]))
            print(line(rows[-1]), flush=True)
    args.results.mkdir(parents=True, exist_ok=True)
    (args.results / "delgrad.json").write_text(json.dumps(rows, indent=1) + "\n")
    (args.results / "delgrad.md").write_text("\n".join([HEAD, *map(line, rows)]) + "\n")


HEAD = """| network | tau_mem / tau_syn | delays | kernel | samples/s | compilation [s] | memory [MB] | spiking |
|---|---|---|---|---|---|---|---|"""


def line(row: dict) -> str:
    cells = [row["network"], row["ratio"], row["delay"] or "none", row["kernel"], f"{row['samples_per_second']:,.0f}"]
    cells += [f"{row['compile_seconds']:.1f}", f"{row['memory_bytes'] / 1e6:,.0f}"]
    cells += [", ".join(f"{share:.0%}" for share in row["spiking"])]
    return "| " + " | ".join(cells) + " |"


def measure(case: int, kernel: str, seconds: float) -> dict:
    import equinox as eqx
    import jax
    import jax.numpy as jnp
    import numpy as np

    import saltation as st
    from saltation_delgrad import DelGrad
    from saltation_neurons import IF, LIF, AtMostOnce

    sizes, ratio, delay, share = CASES[case]
    tau_mem, tau_syn = TAUS[ratio]
    inner = IF(c_mem=tau_mem, tau_syn=tau_syn) if ratio == "no leak" else LIF(tau_mem=tau_mem, tau_syn=tau_syn)
    network = st.feedforward(
        sizes,
        AtMostOnce(inner),
        delay=delay,
        initial_delay=0.5 * tau_syn,
        weight=[st.normal(9.0 / share, 4.0), st.normal(5.0, 2.0)],
        key=jax.random.key(0),
    )
    random = np.random.default_rng(0)
    times = random.uniform(0.0, 20.0, (BATCH, sizes[0]))
    times[random.uniform(size=times.shape) > share] = np.inf
    stimulus = jax.vmap(st.Spikes.from_dense)(jnp.asarray(times, jnp.float32))
    labels = jnp.asarray(random.integers(0, sizes[-1], BATCH))
    method = DelGrad(kernel=kernel)

    def loss(network, stimulus, labels):
        def one(spikes, label):
            solution = method.solve(network, {"in": spikes}, t1=T1, throw=False)
            first = solution.first_spikes("out")
            value = st.first_spike_cross_entropy(first, label, temperature=2.0, silent=T1)
            return value, [jnp.mean(jnp.isfinite(t.first())) for t in solution.spikes.values()]

        values, spiking = jax.vmap(one)(stimulus, labels)
        return jnp.mean(values), spiking

    # As a training loop calls it, on arrays alone: Equinox takes a third of the time to look through a small network.
    differentiate = eqx.filter_value_and_grad(lambda n, *rest: loss(n, *rest)[0])
    arrays, fixed = eqx.partition((network, stimulus, labels), eqx.is_array)
    leaves, structure = jax.tree.flatten(arrays)

    @jax.jit
    def step(*leaves):
        found = differentiate(*eqx.combine(jax.tree.unflatten(structure, leaves), fixed))
        return jax.tree.leaves(eqx.filter(found, eqx.is_array))

    start = time.perf_counter()
    jax.block_until_ready(step(*leaves))
    compile_seconds = time.perf_counter() - start
    best, total = float("inf"), 0.0
    while total < seconds:
        begin = time.process_time()
        jax.block_until_ready(step(*leaves))
        spent = time.process_time() - begin
        best, total = min(best, spent), total + spent
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    _, spiking = eqx.filter_jit(loss)(network, stimulus, labels)
    return {
        "network": "-".join(map(str, sizes)),
        "ratio": ratio,
        "delay": delay,
        "kernel": kernel,
        "samples_per_second": BATCH / best,
        "compile_seconds": compile_seconds,
        "memory_bytes": memory,
        "spiking": [share, *(float(jnp.mean(layer)) for layer in spiking)],
    }


if __name__ == "__main__":
    main()
