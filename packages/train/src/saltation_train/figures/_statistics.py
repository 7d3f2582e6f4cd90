"""Where exact gradients have nothing to say: silent neurons, and crossings that are nearly flat."""

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from .._run import Run
from ._style import TWO_COLUMNS, Picture, colour, decades, epochs_axis, new_figure, panel


def statistics(run: Run) -> list[Picture]:
    """Silent neurons by epoch, spikes by neuron, and slopes at the threshold."""
    counts = run.test.spike_count
    slopes = {
        name: slope[np.isfinite(slope) & (slope > 0)]
        for name, slope in run.test.min_slope.items()
        if np.any(np.isfinite(slope) & (slope > 0))
    }
    if not counts:
        return []
    figure = new_figure(TWO_COLUMNS, 2.5)
    panels = figure.subplots(1, 3 if slopes else 2)
    _silent(panels[0], run, list(counts))
    _spikes(panels[1], run)
    if slopes:
        _slopes(panels[2], run, slopes, list(counts))
    figure.legend(*panels[1].get_legend_handles_labels(), loc="outside lower center", ncols=len(counts))
    silent = ", ".join(f"{name} {np.mean(count == 0):.0%}" for name, count in counts.items())
    caption = (
        f"Neurons that never spike on the test split: {silent}. An exact gradient says nothing about a "
        "silent neuron, and "
        "grows without bound where the potential only just touches the threshold."
    )
    return [Picture("Silent neurons and threshold slopes", figure, caption)]


def _silent(axes: Axes, run: Run, names: list[str]) -> None:
    epochs = [line["epoch"] for line in run.metrics]
    for i, name in enumerate(names):
        share = [line["silent"].get(name, np.nan) for line in run.metrics]
        axes.plot(epochs, share, color=colour(i), marker="o" if len(epochs) < 8 else None, markersize=3)
    axes.set_xlabel("epoch")
    axes.set_ylabel("silent neurons")
    axes.set_ylim(-0.02, max(0.1, axes.get_ylim()[1]))
    epochs_axis(axes.xaxis)
    axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    panel(axes, "a")


def _spikes(axes: Axes, run: Run) -> None:
    samples = max(len(run.test.target), 1)
    for i, (name, count) in enumerate(run.test.spike_count.items()):
        rate = np.sort(count / samples)[::-1]
        position = (np.arange(len(rate)) + 0.5) / len(rate)
        axes.plot(
            position,
            rate,
            color=colour(i),
            label=name,
            marker="o" if len(rate) < 50 else None,
            markersize=2.5,
        )
    axes.set_xlabel("neurons, most active first")
    axes.set_ylabel("spikes per test sample")
    axes.set_ylim(bottom=0.0)
    axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    panel(axes, "b")


def _slopes(axes: Axes, run: Run, slopes: dict[str, np.ndarray], names: list[str]) -> None:
    together = np.concatenate(list(slopes.values()))
    low, high = np.log10(together.min()), np.log10(together.max())
    bins = np.logspace(low - 0.05, high + 0.05, 31)
    for name, slope in slopes.items():
        axes.hist(slope, bins=bins, color=colour(names.index(name)), histtype="step", linewidth=1.2)
    axes.set_xscale("log")
    if high - low < 2:
        decades(axes.xaxis)
    axes.set_xlabel(f"smallest slope at threshold (1/{run.experiment.time_unit})")
    axes.set_ylabel("test samples")
    panel(axes, "c")
