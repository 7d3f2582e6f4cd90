"""What happens inside for one sample: every spike, and the membrane potentials behind some of them."""

from typing import Any

import jax
import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

import saltation as st

from .._run import Run
from ._style import GREY, TWO_COLUMNS, Picture, colour, new_figure

_TRACE_POINTS = 600
_HIDDEN_TRACES = 3


def activity(run: Run) -> list[Picture]:
    """A raster by population, and membrane traces where the method can give states."""
    if not len(run.dataset.test):
        return []
    sample = _representative(run)
    x = run.dataset.test.inputs[sample]
    solution, times = _solve(run, x)
    if solution.spikes is None:
        return []
    traces = _traces(run, solution) if times is not None else {}
    figure = new_figure(TWO_COLUMNS, 2.4 + 1.15 * len(traces))
    panels = figure.subplots(
        1 + len(traces), 1, sharex=True, squeeze=False, height_ratios=[2.2, *([1.0] * len(traces))]
    )[:, 0]
    populations = _trains(run, x, solution)
    _raster(panels[0], run, populations)
    names = list(populations)
    for axes, (name, voltage) in zip(panels[1:], traces.items()):
        assert times is not None
        _membranes(axes, run, name, times, voltage, solution.spikes[name], names.index(name))
    panels[-1].set_xlabel(f"time ({run.experiment.time_unit})")
    # Room for a spike at time 0.
    panels[-1].set_xlim(-0.01 * run.experiment.t1, run.experiment.t1)
    figure.align_ylabels(list(panels))
    return [Picture("Activity", figure, _caption(run, sample, bool(traces)))]


def _representative(run: Run) -> int:
    """The first test sample that is classified rightly, else the first."""
    if not run.dataset.classes:
        return 0
    right = np.flatnonzero(run.test.prediction == run.test.target)
    return int(right[0]) if len(right) else 0


def _solve(run: Run, x: np.ndarray) -> tuple[st.Solution, np.ndarray | None]:
    """With states where the method has them, without where it says that it has not."""
    times = np.linspace(0.0, run.experiment.t1, _TRACE_POINTS).astype(run.task.dtype)
    if "states" in run.experiment.method.provides:
        try:
            solution = run.solve(x, st.Save(states_at=times))
            if solution.states:
                return solution, times
        except (ValueError, NotImplementedError):
            pass
    return run.solve(x), None


def _trains(run: Run, x: np.ndarray, solution: st.Solution) -> dict[str, st.Spikes]:
    key = jax.random.split(run.sample_key)[0]
    stimulus = run.experiment.encoder(jax.numpy.asarray(x), key)
    inputs = {name: train for name, train in stimulus.items() if isinstance(train, st.Spikes)}
    return {**inputs, **(solution.spikes or {})}


def _traces(run: Run, solution: st.Solution) -> dict[str, np.ndarray]:
    """Membrane potentials `[times, neurons]`: the outputs last, the hidden population next to them before."""
    network = run.model.network
    outputs = [name for name in network.neurons if name in network.outputs]
    hidden = [name for name in network.neurons if name not in network.outputs][-1:]
    states: dict[str, Any] = solution.states or {}
    return {
        name: np.asarray(network.neurons[name].observe(states[name])).reshape(_TRACE_POINTS, -1)
        for name in [*hidden, *outputs]
        if name in states
    }


def _raster(axes: Axes, run: Run, populations: dict[str, st.Spikes]) -> None:
    """Each population a band of its own, as high as it has neurons, but no band vanishes."""
    total = sum(train.size for train in populations.values())
    base, ticks = 0.0, []
    for i, (name, train) in enumerate(populations.items()):
        height = max(train.size, 0.08 * total)
        valid = np.asarray(train.index) >= 0
        time, index = np.asarray(train.time)[valid], np.asarray(train.index)[valid]
        y = base + (0.06 + 0.88 * (index + 0.5) / train.size) * height
        # The panel is about 150 points high: a spike is as long as its neuron's share of it.
        length = np.clip(130.0 / total, 1.5, 7.0)
        axes.plot(time, y, "|", color=colour(i), markersize=length, markeredgewidth=1.0, rasterized=len(time) > 3000)
        ticks.append((base + height / 2, f"{name}\n({train.size})"))
        if base:
            axes.axhline(base, color=GREY, linewidth=0.4)
        base += height
    axes.set_ylim(base, 0.0)
    axes.set_yticks(*zip(*ticks, strict=True))
    axes.tick_params(axis="y", length=0)
    axes.set_ylabel("neurons by population")


def _membranes(
    axes: Axes, run: Run, name: str, times: np.ndarray, voltage: np.ndarray, train: st.Spikes, position: int
) -> None:
    network = run.model.network
    is_output = name in network.outputs
    count = np.asarray(train.count())
    # Of a hidden population those that spike most: silent ones show little.
    chosen = range(voltage.shape[1])[:7] if is_output else np.argsort(-count, kind="stable")[:_HIDDEN_TRACES]
    classes = run.dataset.classes
    named = is_output and len(classes) == voltage.shape[1]
    dynamics = network.neurons[name].lif()
    threshold = None if dynamics is None else np.asarray(dynamics.v_threshold)
    known = threshold is not None and threshold.ndim == 0
    for i, neuron in enumerate(chosen):
        shade = colour(i if is_output else i + 3)
        label = classes[neuron] if named else f"neuron {neuron}"
        axes.plot(times, voltage[:, neuron], color=shade, label=label, linewidth=1.0)
        mine = np.asarray(train.time)[np.asarray(train.index) == neuron]
        # Between the last point before a spike and the first after it lies the reset.
        before = voltage[np.maximum(np.searchsorted(times, mine) - 1, 0), neuron]
        top = np.full(len(mine), float(threshold)) if known and threshold is not None else before
        axes.plot(mine, top, "o", color=shade, markersize=3.5, clip_on=False, zorder=3)
    if known and threshold is not None:
        axes.axhline(float(threshold), color=GREY, linestyle="--", linewidth=0.8, label="threshold")
    axes.set_ylabel(f"membrane\npotential, {name}")
    axes.yaxis.set_major_locator(MaxNLocator(4))
    axes.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=7)


def _caption(run: Run, sample: int, traces: bool) -> str:
    classes, scores = run.dataset.classes, run.test
    text = f"Test sample {sample}"
    if classes:
        predicted = int(scores.prediction[sample])
        name = classes[predicted] if predicted >= 0 else "none"
        text += f", class {classes[int(scores.target[sample])]}, predicted {name}"
    rest = " Dots mark spikes." if traces else " This method gives no membrane potentials."
    return text + "." + rest
