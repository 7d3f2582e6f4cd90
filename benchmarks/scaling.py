"""Cost per event of the ODE method, from 10 to 10,000 input events (`python benchmarks/scaling.py`).

One layer of 30 neurons, one trial of 60 ms, ever more input spikes in it, weights scaled so that the drive
stays the same; forward and gradient, float32, one thread. Writes `scaling.png` and `scaling.json` into
benchmarks/results and says whether the cost grows faster than n log n.
"""

from _harness import use_one_thread

use_one_thread()

import argparse  # noqa: E402
import json  # noqa: E402
import time  # noqa: E402
from collections.abc import Callable  # noqa: E402
from pathlib import Path  # noqa: E402

import equinox as eqx  # noqa: E402
import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402

import saltation as st  # noqa: E402
from saltation_neurons import LIF, QIF  # noqa: E402
from saltation_ode import ODE  # noqa: E402

EVENTS = (10, 30, 100, 300, 1000, 3000, 10000)
BATCH, INPUTS, NEURONS, TRIAL = 16, 100, 30, 60.0
LAYERS = {
    "LIF, closed form": (LIF(tau_mem=20.0, tau_syn=10.0), 8.0),
    "QIF, numerical": (QIF(tau_mem=20.0, tau_syn=5.0), 40.0),
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--results", type=Path, default=Path(__file__).parent / "results")
    parser.add_argument("--events", type=int, nargs="+", default=EVENTS, help="numbers of input events")
    args = parser.parse_args()
    seconds = {name: [_seconds(*layer, events) for events in args.events] for name, layer in LAYERS.items()}
    args.results.mkdir(parents=True, exist_ok=True)
    record = {
        "events": list(args.events),
        "seconds_per_sample": seconds,
        "worst_growth_over_n_log_n": {name: _growth(args.events, cost) for name, cost in seconds.items()},
        "batch": BATCH,
        "neurons": NEURONS,
    }
    (args.results / "scaling.json").write_text(json.dumps(record, indent=1) + "\n")
    _plot(args.results / "scaling.png", args.events, seconds)
    for name, cost in seconds.items():
        each = ", ".join(f"{n}: {1e6 * s / n:.2f}" for n, s in zip(args.events, cost, strict=True))
        growth = _growth(args.events, cost)
        verdict = "no faster" if growth <= 1 else f"{growth:.2f} times faster"
        print(f"{name}: microseconds per event and sample at {each}; grows {verdict} than n log n")


def _seconds(neuron: st.AbstractNeuron, drive: float, events: int) -> float:
    """Seconds a sample takes, forward and gradient, the best of several calls."""
    random = np.random.default_rng(events)
    per_input = -(-events // INPUTS) if events > INPUTS else 1
    times = np.full((BATCH, INPUTS * per_input), np.inf, np.float32)
    times[:, :events] = random.uniform(0.0, 0.5 * TRIAL, (BATCH, events))
    times = jnp.asarray(times.reshape(BATCH, per_input, INPUTS).transpose(0, 2, 1))
    if events < INPUTS:  # no padding: what is paid for are events
        times = times[:, :events]
    network = st.feedforward([times.shape[1], NEURONS], neuron, key=jax.random.key(0))
    mean = drive / events
    weights = random.normal(mean, 0.5 * mean, (times.shape[1], NEURONS))
    network = eqx.tree_at(
        lambda net: net.connections[0].synapse.weight, network, jnp.asarray(weights, jnp.float32)
    )
    method = ODE(max_spikes=3)

    def first(net, sample):
        solution = method.solve(net, {"in": st.Spikes.from_dense(sample)}, t1=TRIAL, throw=False)
        times = solution.spikes["out"].first()
        return jnp.sum(jnp.where(jnp.isfinite(times), times, 0.0))

    @eqx.filter_jit
    def step(net, batch):
        return eqx.filter_value_and_grad(lambda net: jnp.mean(jax.vmap(lambda x: first(net, x))(batch)))(net)

    return _best(lambda: step(network, times)) / BATCH


def _best(call: Callable[[], object]) -> float:
    jax.block_until_ready(call())
    times: list[float] = []
    while len(times) < 5 or sum(times) < 1.0:
        start = time.perf_counter()
        jax.block_until_ready(call())
        times.append(time.perf_counter() - start)
    return min(times)


def _growth(events, cost) -> float:
    """The largest growth between two numbers of events, over that of n log n; <= 1 is no faster than it."""
    n, relative = np.asarray(events, float), np.asarray(cost)
    relative = relative / (n * np.log(n))
    return float(
        max(later / earlier for k, earlier in enumerate(relative[:-1]) for later in relative[k + 1 :])
    )


def _plot(path: Path, events, seconds: dict[str, list[float]]) -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    n = np.asarray(events, float)
    figure, axes = plt.subplots(figsize=(6, 4), constrained_layout=True)
    for name, cost in seconds.items():
        (line,) = axes.loglog(n, 1e6 * np.asarray(cost) / n, "o-", label=name)
        guide = np.log(n) / np.log(n[-1]) * cost[-1] / n[-1]
        axes.loglog(n, 1e6 * guide, ":", color=line.get_color(), label="n log n through its last point")
    axes.set(
        xlabel="input events a sample",
        ylabel="cost (µs an event and sample)",
        title=f"{NEURONS} neurons, forward and gradient, one thread, batch {BATCH}",
    )
    axes.grid(True, which="both", alpha=0.2)
    axes.legend(fontsize="small")
    figure.savefig(path, dpi=150)
    plt.close(figure)


if __name__ == "__main__":
    main()
