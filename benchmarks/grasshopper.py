"""How well `roughsde/grasshopper` and simpler models of the same neuron do on windows that none was fitted to.

`python benchmarks/grasshopper.py RUN ... --data-dir DIR` reads finished runs, of several seeds. The others are point
processes, fitted by maximum likelihood to the same windows: their intensity is the exponential of the stimulus filtered
by the recipe's own lags ("Poisson"), a function of the time since the last spike ("renewal"), or the product of both
("both"). Measured on the test windows are the kernel score against the recorded train (of the untruncated signature
kernel), the discrepancy of all windows together, intervals between spikes, and, from each model's intensity given the
spikes so far, the likelihood and the law of time rescaling. Writes `results/grasshopper.{json,md}`, where runs are
averaged, and, with `--figure`, a picture of the first run.
"""

import argparse
import json
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from _point_process import CELL, PointProcess, filtered_intensity
from scipy import stats

import saltation as st
from saltation_roughsde import spike_gram
from saltation_roughsde._mmd import mmd_from_grams
from saltation_roughsde._receptor import LEAD, hear, in_window
from saltation_train import load_run

RESULTS = Path(__file__).parent / "results"
NEURON = "stochastic neuron"
SAMPLES = 16
ROOM = 12


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", metavar="RUN", help="the folder of a run of roughsde/grasshopper")
    parser.add_argument("--data-dir", help="where the recording is")
    parser.add_argument("--figure", metavar="PNG", help="draw rasters, intervals and the rescaled times")
    args = parser.parse_args()
    runs = [load_run(run, checkpoint="last", data_dir=args.data_dir) for run in args.runs]
    recording = Recording(runs[0], args.data_dir)
    names = [NEURON if len(runs) == 1 else f"{NEURON}, run {k}" for k in range(len(runs))]
    models = {name: samples_of(run) for name, run in zip(names, runs, strict=True)}
    intensities = {
        name: filtered_intensity(run.model.network, recording.current, recording.spikes)
        for name, run in zip(names, runs, strict=True)
    }
    for name, stimulus, history in (("Poisson", True, False), ("renewal", False, True), ("both", True, True)):
        process = PointProcess.fit(recording.current, recording.spikes, recording.train, stimulus, history)
        models[name] = process.samples(recording.test, LEAD, recording.window, SAMPLES, ROOM)
        intensities[name] = process.intensity(recording.spikes)
    test = runs[0].dataset.test
    observed = np.full((len(recording.test), 1, ROOM), np.inf)
    observed[:, 0, : test.targets.shape[-1]] = test.targets[:, 0]
    rows, waits = {"data": of_intervals(observed, observed)}, {}
    for name, samples in models.items():
        waits[name], of_intensity = rescaled(*intensities[name], recording)
        of_samples = of_trains(samples, observed, recording.window)
        rows[name] = of_intervals(samples, observed) | of_samples | of_intensity
    ours = np.mean([rows[name]["scores"] for name in names], axis=0)
    for name in models:
        above = rows[name].pop("scores") - ours
        rows[name] |= {"score_above": above.mean(), "score_above_error": above.std() / len(above) ** 0.5}
    write(rows, names)
    if args.figure:
        point_processes = {name: models[name] for name in ("Poisson", "renewal")}
        trains = {"data": observed, NEURON: models[names[0]], **point_processes}
        shown_waits = {NEURON: waits[names[0]], **{name: waits[name] for name in point_processes}}
        draw(args.figure, trains, shown_waits, recording)


class Recording:
    """All of the recording: its current by the recipe's filters, its spikes, and where the splits' windows start."""

    def __init__(self, run, data_dir):
        self.window = run.dataset.train.inputs.shape[1] - LEAD
        whole = {"window": 10_000.0, "lead": 0.0, "validation_size": 0, "test_size": 0, "interleaved": False}
        options = run.experiment.dataset_options
        data = st.get_dataset("grasshopper")(data_dir=data_dir, **{**options, **whole})
        self.current = np.asarray(hear(jnp.asarray(data.train.inputs[0]), jax.random.key(0))["in"].value, np.float64)
        self.spikes = data.train.targets[0, 0].astype(np.float64)
        sound = data.train.inputs[0]
        self.train, self.test = (self._starts(sound, split.inputs) for split in (run.dataset.train, run.dataset.test))

    def _starts(self, sound, inputs):
        """Where windows start, found by their sound."""
        place = {sound[k : k + 8].tobytes(): k for k in range(len(sound) - 7)}
        return np.array([place[np.ascontiguousarray(row[:8]).tobytes()] for row in inputs]) + LEAD


def samples_of(run) -> np.ndarray:
    """`[windows, SAMPLES, ROOM]`, in the window's own time."""

    @jax.jit
    def solve(x, keys):
        def one(x, key):
            solution = run.experiment.method.solve(
                run.model.network, hear(x, key), t1=run.experiment.t1, key=key, throw=False
            )
            return in_window(solution.spikes["out"].to_dense(ROOM, throw=False))

        return jax.vmap(one)(x, keys)

    rows, parts = jnp.asarray(run.dataset.test.inputs), []
    while sum(part.shape[1] for part in parts) < SAMPLES:
        parts.append(np.asarray(solve(rows, jax.random.split(jax.random.key(100 + len(parts)), len(rows)))))
    return np.concatenate(parts, axis=1)[:, :SAMPLES]


def of_intervals(samples: np.ndarray, observed: np.ndarray) -> dict:
    counts = np.isfinite(samples).sum(-1)
    gaps, true_gaps = intervals(samples), intervals(observed)
    return {
        "spikes": counts.mean(),
        "fano": counts.var(axis=1).mean() / counts.mean() if samples.shape[1] > 1 else None,
        "interval": gaps.mean(),
        "cv": gaps.std() / gaps.mean(),
        "interval_ks": stats.ks_2samp(gaps, true_gaps).statistic,
    }


def of_trains(samples: np.ndarray, observed: np.ndarray, window: float) -> dict:
    scores = window_scores(samples, observed, window)
    row = {"score": scores.mean(), "scores": scores}
    row["mmd"], row["mmd_95"] = discrepancy(samples[:, 0], observed[:, 0], window)
    return row


def intervals(trains: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore"):
        gaps = np.diff(trains, axis=-1)
    return gaps[np.isfinite(gaps)]


def gram(window: float):
    def of(x, y):
        trains = [jax.vmap(st.Spikes.from_dense)(times[:, None, :]) for times in (x, y)]
        return spike_gram(*trains, t1=window, time_scale=1 / window, jump_scale=0.5)

    return of


def window_scores(samples, observed, window):
    """The kernel score of each window."""

    @jax.jit
    def score(x, y):
        n = x.shape[0]
        xx, xy, yy = gram(window)(x, x), gram(window)(x, y), gram(window)(y, y)
        return (jnp.sum(xx) - jnp.trace(xx)) / (n * (n - 1)) - 2 * jnp.mean(xy) + yy[0, 0]

    samples, observed = samples.astype(np.float32), observed.astype(np.float32)
    return np.array([score(x, y) for x, y in zip(samples, observed, strict=True)], np.float64)


def discrepancy(samples, observed, window, shuffles=500):
    """The squared discrepancy of two sets of windows, and its 95 % quantile where they are shuffled."""
    both = jnp.asarray(np.concatenate([samples, observed]), jnp.float32)
    values, n, rng = np.asarray(jax.jit(gram(window))(both, both), np.float64), len(samples), np.random.default_rng(0)

    def of(order):
        x, y = order[:n], order[n:]
        return float(mmd_from_grams(values[np.ix_(x, x)], values[np.ix_(x, y)], values[np.ix_(y, y)]))

    null = [of(rng.permutation(2 * n)) for _ in range(shuffles)]
    return of(np.arange(2 * n)), float(np.quantile(null, 0.95))


def rescaled(integral: np.ndarray, at_end: np.ndarray, recording: Recording) -> tuple[np.ndarray, dict]:
    """The integrated intensity between spikes that end in a test window, and the likelihood of those windows.

    `integral` is that of each interval of time `CELL`, `at_end` the intensity at its end, both `[10 s / CELL]`.
    """
    total = np.concatenate([[0.0], np.cumsum(integral)])
    cells = np.rint(recording.spikes / CELL).astype(int)
    inside = np.zeros(len(integral) + 1, bool)
    for start in recording.test:
        inside[round(start / CELL) : round((start + recording.window) / CELL)] = True
    waits = np.diff(total[cells])[inside[cells[1:]]]
    spikes = cells[inside[cells]]
    log_likelihood = np.sum(np.log(at_end[spikes - 1])) - np.sum(integral[inside[:-1]])
    duration = recording.window * len(recording.test)
    constant = len(spikes) * (np.log(len(spikes) / duration) - 1)
    test = stats.kstest(waits, "expon")
    bits = (log_likelihood - constant) / len(spikes) / np.log(2)
    return waits, {"rescaling_ks": test.statistic, "rescaling_p": test.pvalue, "bits_per_spike": bits}


def write(rows: dict, runs: list[str]) -> None:
    """Runs of the neuron are one line of the table, their mean."""
    mean = {key: np.mean([rows[name][key] for name in runs]) for key in rows[runs[0]]}
    shown = {"data": rows["data"], NEURON: mean} | {name: row for name, row in rows.items() if name not in runs}
    columns = {
        "spikes": "spikes a window",
        "fano": "variance / mean given the sound",
        "interval": "interval [ms]",
        "cv": "CV",
        "interval_ks": "KS of intervals",
        "score": "kernel score",
        "score_above": "above the neuron's",
        "score_above_error": "error",
        "mmd": "MMD²",
        "mmd_95": "95 % of no difference",
        "rescaling_ks": "KS of rescaled times",
        "rescaling_p": "p",
        "bits_per_spike": "bits a spike",
    }
    lines = [f"| model | {' | '.join(columns.values())} |", "|---" * (len(columns) + 1) + "|"]
    for name, row in shown.items():
        cells = ["" if row.get(key) is None else f"{row[key]:.3g}" for key in columns]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    plain = {name: {k: None if v is None else float(v) for k, v in row.items()} for name, row in rows.items()}
    (RESULTS / "grasshopper.json").write_text(json.dumps(plain, indent=2) + "\n")
    (RESULTS / "grasshopper.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


def draw(path: str, models: dict, waits: dict, recording: Recording) -> None:
    from matplotlib.figure import Figure

    colours = {"data": "k", "stochastic neuron": "#0072B2", "Poisson": "#D55E00", "renewal": "#009E73"}
    figure = Figure(figsize=(10.5, 3.2), layout="constrained")
    raster, histogram, rescaling = figure.subplots(1, 3)
    shown = np.argsort(recording.test)[10:18]
    for row, window in enumerate(shown):
        for name, low, high in (("stochastic neuron", 0.05, 0.6), ("data", 0.65, 0.9)):
            trains = models[name][window][:8]
            height = (high - low) / len(trains)
            for k, train in enumerate(trains):
                times = train[np.isfinite(train)]
                raster.vlines(times, row + low + height * k, row + low + height * (k + 1), colours[name], lw=1.8)
        raster.axhline(row, color="k", lw=0.3)
    raster.set(xlim=(0, recording.window), ylim=(0, len(shown)), yticks=[])
    raster.set(xlabel="time [ms]", ylabel="test windows", title="recorded (black), 8 samples (blue)")
    for name, colour in colours.items():
        gaps = intervals(models[name])
        histogram.hist(gaps, np.arange(0, 25.5, 1.0), density=True, histtype="step", color=colour, label=name)
    histogram.set(xlabel="interval [ms]", ylabel="density [1/ms]", title="intervals in test windows")
    histogram.legend(frameon=False, fontsize=7)
    for name, colour in list(colours.items())[1:]:
        z = np.sort(1 - np.exp(-waits[name]))
        uniform = (np.arange(len(z)) + 0.5) / len(z)
        rescaling.plot(uniform, z - uniform, color=colour, label=name)
    band = 1.36 / len(z) ** 0.5
    rescaling.fill_between([0, 1], -band, band, color="k", alpha=0.1, lw=0)
    rescaling.set(xlabel="quantile", ylabel="rescaled time - quantile", title="time rescaling, 95 % band")
    figure.savefig(path, dpi=90)


if __name__ == "__main__":
    main()
