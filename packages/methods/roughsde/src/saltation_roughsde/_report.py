"""What a run of these recipes adds to its report: rasters, intervals, the distance to the data, recovered
parameters."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

import saltation as st

from ._receptor import LAGS, TRAINED, in_window
from ._samples import SINGLE_CURRENT, layers_4_16_2

_BLUE, _RED = "#0072B2", "#D55E00"
_SAMPLES = 64


def report(run: Any) -> list[tuple[str, Any, str]]:
    """The pictures of a run of `roughsde/...`; none of other runs."""
    if not run.experiment.name.startswith("roughsde/"):
        return []
    samples, observed = _trains(run)
    return [
        (
            "Data and samples",
            _rasters(samples, observed, run.experiment.time_unit),
            "Spikes of test data, and of the model.",
        ),
        (
            "Intervals between spikes",
            _intervals(samples, observed, run.experiment.time_unit),
            "Of data and of the model.",
        ),
        ("Distance to the data", _curve(run), f"The loss, {run.experiment.loss.name}, in training and validation."),
        _of_recording(run)
        if run.experiment.dataset == "grasshopper"
        else ("Recovered parameters", _recovered(run), "Trained weights against those of the data's network."),
    ]


def _solved(run: Any) -> np.ndarray:
    """Spike times of the output population in each sample of the test split, `[samples, n, k]`."""
    rows = run.dataset.test.inputs[:_SAMPLES]
    keys = jax.random.split(run.sample_key, len(rows))

    @jax.jit
    def solve(x, keys):
        def one(x, key):
            stimulus = run.experiment.encoder(x, key)
            solution = run.experiment.method.solve(
                run.model.network, stimulus, t1=run.experiment.t1, key=key, throw=False
            )
            return solution.spikes["out"].to_dense(40, throw=False)

        return jax.vmap(one)(x, keys)

    return np.asarray(solve(jnp.asarray(rows), keys))


def _trains(run: Any) -> tuple[np.ndarray, np.ndarray]:
    """Of the model and of the data, `[samples, k]`: the first unit's spikes, as many as the data have."""
    observed, samples = run.dataset.test.targets[:_SAMPLES, 0], _solved(run)[:, 0]
    if run.experiment.dataset == "grasshopper":
        samples = np.asarray(in_window(jnp.asarray(samples)))
    return samples[:, : observed.shape[-1]], observed


def _figure(columns: int = 1):
    from matplotlib.figure import Figure

    figure = Figure(figsize=(3.6 * columns, 2.6), layout="constrained")
    return figure, np.atleast_1d(figure.subplots(1, columns, sharex=columns > 1))


def _rasters(samples: np.ndarray, observed: np.ndarray, unit: str):
    figure, axes = _figure(2)
    for ax, title, trains, colour in zip(axes, ("data", "model"), (observed, samples), ("k", _BLUE), strict=True):
        ax.eventplot([row[np.isfinite(row)] for row in trains], colors=colour, linewidths=0.9)
        ax.set(title=title, xlabel=f"time [{unit}]", ylabel="sample")
    return figure


def _intervals(samples: np.ndarray, observed: np.ndarray, unit: str):
    figure, (ax,) = _figure()
    gaps = []
    for trains in (observed, samples):
        with np.errstate(invalid="ignore"):
            gap = np.diff(trains, axis=1)
        gaps.append(gap[np.isfinite(gap)])
    borders = np.linspace(0, max(gap.max(initial=1e-3) for gap in gaps), 25)
    for gap, label, colour in zip(gaps, ("data", "model"), ("k", _BLUE), strict=True):
        text = f"{label}: mean {gap.mean():.3g}, CV {gap.std() / gap.mean():.2f}" if len(gap) else label
        ax.hist(gap, borders, density=True, histtype="step", color=colour, label=text)
    ax.set(xlabel=f"interval [{unit}]", ylabel="density")
    ax.legend(frameon=False)
    return figure


def _curve(run: Any):
    figure, (ax,) = _figure()
    for name, colour in (("train_loss", _BLUE), ("validation_loss", _RED)):
        rows = [(row["epoch"], row[name]) for row in run.metrics if row.get(name) is not None]
        if rows:
            ax.plot(*zip(*rows, strict=True), color=colour, label=name.replace("_", " "))
    ax.set(xlabel="epoch", ylabel=run.experiment.loss.name)
    ax.legend(frameon=False)
    return figure


def _recovered(run: Any):
    figure, (ax,) = _figure()
    found = _weights(run.model.network)
    if run.experiment.name == "roughsde/single-neuron":
        truth = np.array([SINGLE_CURRENT])
    else:
        options = run.experiment.dataset_options
        weights, _ = jax.random.split(jax.random.fold_in(jax.random.key(options["seed"]), 12345))
        truth = _weights(layers_4_16_2(weights, options["sigma"]))
    ax.plot(truth, found, ".", color=_BLUE)
    ends = [min(truth.min(), found.min()) - 0.05, max(truth.max(), found.max()) + 0.05]
    ax.plot(ends, ends, "k:", lw=0.8)
    ax.set(xlabel="of the data", ylabel="trained", title=f"mean distance {np.abs(truth - found).mean():.3f}")
    return figure


def _of_recording(run: Any) -> tuple[str, Any, str]:
    figure, (ax,) = _figure()
    neuron: Any = run.model.network.neurons["out"]
    ax.plot(LAGS, np.asarray(run.model.network.connections[0].synapse.weight), ".-", color=_BLUE)
    ax.axhline(0.0, color="k", lw=0.6)
    ax.set(xlabel="lag [ms]", ylabel="weight")
    found = ", ".join(f"{name} {float(getattr(neuron.neuron, name)):.3g}" for name in TRAINED)
    return "Filter of the sound", figure, f"What a level 6 dB above the mean adds to the current; {found}."


def _weights(network: st.Network) -> np.ndarray:
    found = [c.synapse.weight for c in network.connections if isinstance(c.synapse, st.Dense)]
    return np.concatenate([np.asarray(weight).ravel() for weight in found])
