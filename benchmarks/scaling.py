"""Cost per event of the ODE method, from 10 to 10,000 input events (`python benchmarks/scaling.py`).

One layer of 30 neurons, one trial of 60 ms, ever more input spikes in it, weights scaled so that the drive
stays the same; forward and gradient, float32, one thread. Writes `scaling.png` and `scaling.json` into
benchmarks/results and says how the cost grows against n log n.
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
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--results", type=Path, default=Path(__file__).parent / "results")
    parser.add_argument("--events", type=int, nargs="+", default=EVENTS, help="numbers of input events")
    args = parser.parse_args()
    seconds = {name: [_seconds(*layer, events) for events in args.events] for name, layer in LAYERS.items()}
    args.results.mkdir(parents=True, exist_ok=True)
    record = {
        "events": list(args.events),
        "seconds_per_sample": seconds,
        "exponent_beyond_n_log_n": {name: _exponent(args.events, cost) for name, cost in seconds.items()},
        "worst_growth_over_n_log_n": {name: _worst(args.events, cost) for name, cost in seconds.items()},
        "batch": BATCH,
        "neurons": NEURONS,
    }
    (args.results / "scaling.json").write_text(json.dumps(record, indent=1) + "\n")
    _plot(args.results / "scaling.png", args.events, seconds)
    for name, cost in seconds.items():
        each = ", ".join(f"{n}: {1e6 * s / n:.2f}" for n, s in zip(args.events, cost, strict=True))
        print(f"{name}: microseconds an event and sample, by number of events: {each}")
        exponent, worst = _exponent(args.events, cost), _worst(args.events, cost)
        print(f"  a fit: n log n times n^{exponent:.2f}; at worst {worst:.2f} times n log n between two points")


def _seconds(neuron: st.AbstractNeuron, drive: float, events: int) -> float:
    """Seconds a sample takes, forward and gradient, the best of several calls."""
    random = np.random.default_rng(events)
    inputs = min(events, INPUTS)
    shape = (BATCH, inputs, events // inputs)
    times = jnp.asarray(random.uniform(0.0, 0.5 * TRIAL, shape), jnp.float32)
    mean = drive / events
    weight = jnp.asarray(random.normal(mean, 0.5 * mean, (inputs, NEURONS)), jnp.float32)
    network = st.feedforward([inputs, NEURONS], neuron, key=jax.random.key(0))
    network = eqx.tree_at(lambda net: net.connections[0].synapse.weight, network, weight)
    method = ODE(max_spikes=3)

    def mean_first(net, batch):
        def one(sample):
            solution = method.solve(net, {"in": st.Spikes.from_dense(sample)}, t1=TRIAL, throw=False)
            assert solution.spikes is not None
            first = solution.spikes["out"].first()
            fires = jnp.isfinite(first)
            good = solution.result == st.RESULTS.successful
            return jnp.sum(jnp.where(fires, first, 0.0)), good, jnp.mean(fires)

        total, good, firing = jax.vmap(one)(batch)
        return jnp.mean(total), (jnp.all(good), jnp.mean(firing))

    step = eqx.filter_jit(eqx.filter_value_and_grad(mean_first, has_aux=True))
    (_, (good, firing)), _ = step(network, times)
    if not good or firing < 0.5:
        raise SystemExit(f"{events} events: a sample was not solved, or too few neurons fire ({firing:.0%})")
    return _best(lambda: step(network, times)) / BATCH


def _best(call: Callable[[], object]) -> float:
    jax.block_until_ready(call())
    times: list[float] = []
    while len(times) < 5 or sum(times) < 1.0:
        start = time.perf_counter()
        jax.block_until_ready(call())
        times.append(time.perf_counter() - start)
    return min(times)


def _exponent(events, cost) -> float:
    """The exponent `e` of a fit of the cost by `n log n` times `n^e`: no faster where `e <= 0`."""
    n = np.asarray(events, float)
    return float(np.polyfit(np.log(n), np.log(np.asarray(cost) / (n * np.log(n))), 1)[0])


def _worst(events, cost) -> float:
    """The largest growth between two numbers of events, over that of n log n; noise is in it."""
    n = np.asarray(events, float)
    relative = np.asarray(cost) / (n * np.log(n))
    return float(max(np.max(relative[k + 1 :]) / relative[k] for k in range(len(n) - 1)))


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
