"""What a network says about every point of a plane: classes, and the outputs behind them."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap, to_rgb
from matplotlib.image import AxesImage
from matplotlib.patches import Circle

import saltation as st

from .._run import Run
from .._score import Scores
from ._style import GREY, TWO_COLUMNS, Picture, colour, new_figure, panel

_POINTS = 151


def decision_map(run: Run) -> list[Picture]:
    """Maps over the plane, for data sets of points `(x, y)` or `(x, y, 1 - x, 1 - y)` in a few classes."""
    inputs = run.dataset.test.inputs
    if not len(inputs) or not 1 < len(run.dataset.classes) <= 7 or not _is_plane(inputs):
        return []
    grid = _Grid(inputs)
    scores = run.score(grid.inputs)
    return [_classes(run, grid, scores), _outputs(run, grid, scores)]


class _Grid:
    """Points of the plane in the shape of the data, masked to its disc if the data lie in one."""

    def __init__(self, inputs: np.ndarray) -> None:
        low, high = inputs[:, :2].min(axis=0), inputs[:, :2].max(axis=0)
        mirrored = inputs.shape[1] == 4
        if mirrored:
            low, high = np.minimum(low, 0.0), np.maximum(high, 1.0)
        axes = [np.linspace(low[i], high[i], _POINTS) for i in (0, 1)]
        self.extent = (float(low[0]), float(high[0]), float(low[1]), float(high[1]))
        x, y = np.meshgrid(*axes)
        points = np.stack([x.ravel(), y.ravel()], axis=1)
        self.inputs = np.concatenate([points, 1 - points], axis=1) if mirrored else points
        in_disc = bool(np.all(np.hypot(*(inputs[:, :2] - 0.5).T) <= 0.5 + 1e-6))
        self.disc = mirrored and in_disc
        self.inside = np.hypot(x - 0.5, y - 0.5) <= 0.5 if self.disc else np.ones_like(x, bool)

    def draw(self, axes: Axes, values: np.ndarray, **options: Any) -> AxesImage:
        """Values of all points as an image, cut off at the edge of the disc."""
        image = axes.imshow(
            values.reshape(_POINTS, _POINTS), origin="lower", extent=self.extent, rasterized=True, **options
        )
        if self.disc:
            image.set_clip_path(Circle((0.5, 0.5), 0.5, transform=axes.transData))
        return image


def _classes(run: Run, grid: _Grid, scores: Scores) -> Picture:
    classes, test = run.dataset.classes, run.test
    figure = new_figure(TWO_COLUMNS, 3.5)
    left, right = figure.subplots(1, 2, sharex=True, sharey=True)
    # The first tint is that of no decision.
    tints = ListedColormap([to_rgb("#e4e4e4"), *(_tint(colour(i)) for i in range(len(classes)))])
    for axes in (left, right):
        grid.draw(axes, scores.prediction, cmap=tints, vmin=-1.5, vmax=len(classes) - 0.5)
        _plane(axes)
    points, wrong = run.dataset.test.inputs, test.prediction != test.target
    for i, name in enumerate(classes):
        mine = points[test.target == i]
        left.scatter(mine[:, 0], mine[:, 1], s=5, color=colour(i), linewidths=0, label=name)
    size = 14 if wrong.sum() < 200 else 6
    for i in range(len(classes)):
        mine = points[wrong & (test.target == i)]
        right.scatter(mine[:, 0], mine[:, 1], s=size, color=colour(i), edgecolors="black", linewidths=0.5)
    panel(left, "a", f"all {len(wrong)} test samples")
    panel(right, "b", f"wrong: {int(wrong.sum())}")
    right.set_ylabel("")
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=len(classes), markerscale=2)
    caption = "Background: the predicted class (grey: no decision). Dots: test samples, coloured by true class."
    return Picture("Decision map", figure, caption)


def _outputs(run: Run, grid: _Grid, scores: Scores) -> Picture:
    times = isinstance(run.model.readout, st.FirstSpikes)
    classes = run.dataset.classes
    finite = scores.output[np.isfinite(scores.output) & grid.inside.reshape(-1)[:, None]]
    low, high = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 1.0)
    figure = new_figure(TWO_COLUMNS, 2.5)
    panels = figure.subplots(1, len(classes), sharex=True, sharey=True, squeeze=False)[0]
    image = None
    for i, (axes, name) in enumerate(zip(panels, classes, strict=True)):
        values = scores.output[:, i]
        silent = np.where(np.isfinite(values), np.nan, 1.0)
        grid.draw(axes, silent, cmap=ListedColormap([GREY]))
        spread = {"vmin": low, "vmax": high}
        known = np.where(np.isfinite(values), values, np.nan)
        image = grid.draw(axes, known, cmap="viridis_r" if times else "cividis", **spread)
        _plane(axes)
        axes.set_title(name, color=colour(i))
        if i:
            axes.set_ylabel("")
    assert image is not None
    label = f"first spike time ({run.experiment.time_unit})" if times else "output"
    bar = figure.colorbar(image, ax=list(panels), shrink=0.8)
    bar.set_label(label)
    bar.outline.set_visible(False)  # pyright: ignore[reportCallIssue]
    if times:
        return Picture(
            "First spikes",
            figure,
            "First spike time of each output neuron (grey: silent); the earliest one names the class.",
        )
    return Picture("Outputs", figure, "The read-out of each class; the largest one names the class.")


def _plane(axes: Axes) -> None:
    axes.set_aspect("equal")
    axes.set_xlabel("x")
    axes.set_ylabel("y")
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.tick_params(length=2)


def _tint(name: str) -> tuple[float, float, float]:
    red, green, blue = (1 - 0.35 * (1 - part) for part in to_rgb(name))
    return red, green, blue


def _is_plane(inputs: np.ndarray) -> bool:
    if inputs.ndim != 2 or inputs.shape[1] not in (2, 4):
        return False
    return inputs.shape[1] == 2 or bool(np.allclose(inputs[:, :2] + inputs[:, 2:], 1.0, atol=1e-5))
