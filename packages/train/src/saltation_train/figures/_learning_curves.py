"""Loss and accuracy by epoch."""

from typing import Any

from matplotlib.axes import Axes
from matplotlib.ticker import PercentFormatter

from .._run import Run
from ._style import COLOURS, GREY, TWO_COLUMNS, Picture, decades, epochs_axis, new_figure, panel


def learning_curves(run: Run) -> list[Picture]:
    """Training and validation, with the epoch whose checkpoint counts."""
    if not run.metrics:
        return []
    quantities = [
        name for name in ("loss", "accuracy") if any(_value(line, f"train_{name}") is not None for line in run.metrics)
    ]
    if not quantities:
        return []
    figure = new_figure(TWO_COLUMNS, 2.7)
    panels = figure.subplots(1, len(quantities), squeeze=False)[0]
    best = run.position.best
    for axes, name, letter in zip(panels, quantities, "ab"):
        _curve(axes, run.metrics, f"train_{name}", "training", COLOURS[0])
        _curve(axes, run.metrics, f"validation_{name}", "validation", COLOURS[1])
        if best is not None:
            axes.axvline(best.epoch, color=GREY, linestyle=":", linewidth=1, label=f"best, epoch {best.epoch}")
        axes.set_xlabel("epoch")
        axes.set_ylabel(name)
        epochs_axis(axes.xaxis)
        panel(axes, letter)
        if name == "accuracy":
            axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=None))
        _scale(axes, name, run.metrics)
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return [
        Picture(
            "Learning curves",
            figure,
            "Means over an epoch while it trains, and after it on the validation split.",
        )
    ]


def _curve(axes: Axes, metrics: list[dict[str, Any]], key: str, label: str, colour: str) -> None:
    points = [(line["epoch"], _value(line, key)) for line in metrics if _value(line, key) is not None]
    if points:
        epochs, values = zip(*points, strict=True)
        axes.plot(epochs, values, color=colour, label=label, marker="o" if len(points) < 8 else None, markersize=3)


def _scale(axes: Axes, name: str, metrics: list[dict[str, Any]]) -> None:
    """A logarithmic axis for a loss that falls by more than a factor of ten."""
    values = [_value(line, f"train_{name}") for line in metrics]
    known = [value for value in values if value is not None]
    if name == "loss" and known and min(known) > 0 and max(known) / min(known) > 10:
        axes.set_yscale("log")
        decades(axes.yaxis)


def _value(line: dict[str, Any], key: str) -> float | None:
    return line.get(key)
