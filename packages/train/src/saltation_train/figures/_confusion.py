"""Which class is taken for which."""

import numpy as np
from matplotlib.ticker import PercentFormatter

from .._run import Run
from ._style import ONE_COLUMN, Picture, new_figure


def confusion(run: Run) -> list[Picture]:
    """The confusion matrix of the test split, each row a class."""
    scores = run.test
    classes = run.dataset.classes
    if not classes or not len(scores.target):
        return []
    counts = scores.confusion
    columns = list(classes)
    if counts[:, -1].any():
        columns.append("none")
    counts = counts[:, : len(columns)]
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = max(ONE_COLUMN, 0.42 * len(columns) + 1.2)
    figure = new_figure(side + 0.4, side - 0.3)
    axes = figure.subplots()
    image = axes.imshow(share, cmap="Blues", vmin=0.0, vmax=1.0)
    for row, column in np.ndindex(counts.shape):
        if counts[row, column]:
            light = share[row, column] > 0.55
            axes.text(
                column,
                row,
                str(counts[row, column]),
                ha="center",
                va="center",
                fontsize=7.5,
                color="white" if light else "black",
            )
    # A letter is about 0.08 inches wide.
    long = 0.08 * max(len(name) for name in columns) > 0.7 * side / len(columns)
    axes.set_xticks(range(len(columns)), columns, rotation=40 if long else 0, ha="right" if long else "center")
    axes.set_yticks(range(len(classes)), classes)
    axes.tick_params(length=0)
    axes.set_xlabel("predicted class")
    axes.set_ylabel("true class")
    for spine in axes.spines.values():
        spine.set_visible(False)
    bar = figure.colorbar(image, ax=axes, format=PercentFormatter(1.0, decimals=0), shrink=0.85)
    bar.set_label("share of the true class")
    bar.outline.set_visible(False)  # pyright: ignore[reportCallIssue]
    accuracy = scores.accuracy or 0.0
    none = " No decision: no output spiked, or the solver failed." if "none" in columns else ""
    caption = f"Test split, {len(scores.target)} samples, accuracy {accuracy:.2%}. Numbers are samples.{none}"
    return [Picture("Confusion matrix", figure, caption)]
