"""Test images with what the network takes them for."""

import numpy as np

from .._run import Run
from ._style import TWO_COLUMNS, WRONG, Picture, new_figure

_COLUMNS, _ROWS = 10, 3


def sample_images(run: Run) -> list[Picture]:
    """Wrong ones first, then right ones, each with the predicted class."""
    images, classes, scores = run.dataset.test.inputs, run.dataset.classes, run.test
    if images.ndim not in (3, 4) or not len(images) or not classes:
        return []
    if images.ndim == 4 and images.shape[-1] not in (1, 3):
        return []
    wrong = np.flatnonzero(scores.prediction != scores.target)[:_COLUMNS]
    right = np.flatnonzero(scores.prediction == scores.target)[: _COLUMNS * _ROWS - len(wrong)]
    chosen = [*wrong, *right]
    rows = -(-len(chosen) // _COLUMNS)
    figure = new_figure(TWO_COLUMNS, 0.95 * rows)
    panels = figure.subplots(rows, _COLUMNS, squeeze=False).ravel()
    for axes in panels:
        axes.axis("off")
    for axes, sample in zip(panels, chosen):
        picture = images[sample].squeeze()
        axes.imshow(picture, cmap="gray_r" if picture.ndim == 2 else None, vmin=0.0, vmax=1.0)
        predicted = int(scores.prediction[sample])
        name = classes[predicted] if predicted >= 0 else "none"
        if predicted == scores.target[sample]:
            axes.set_title(name, fontsize=7, pad=2)
        else:
            true = classes[int(scores.target[sample])]
            axes.set_title(f"{name} (is {true})", fontsize=7, pad=2, color=WRONG)
    caption = "Test images with the predicted class; wrong ones come first, with the true class."
    return [Picture("Samples", figure, caption)]
