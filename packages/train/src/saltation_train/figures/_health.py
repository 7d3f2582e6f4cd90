"""The health of a backend in the loop, such as spikes that a chip lost."""

from .._run import Run
from ._style import TWO_COLUMNS, Picture, colour, epochs_axis, new_figure, panel


def health(run: Run) -> list[Picture]:
    """What the backend counted, a sample, by epoch; counters that stayed at zero are named in the caption."""
    counters = run.test.health
    if not counters or not run.metrics:
        return []
    epochs = [line["epoch"] for line in run.metrics]
    curves = {name: [line["health"].get(name, 0.0) for line in run.metrics] for name in counters}
    seen = [name for name, curve in curves.items() if any(curve)]
    flat = [name for name in run.metrics[0].get("flat", {}) if any(line["flat"][name] for line in run.metrics)]
    figure = new_figure(TWO_COLUMNS, 2.5)
    left, right = figure.subplots(1, 2)
    marker = "o" if len(epochs) < 8 else None
    for i, name in enumerate(seen):
        left.plot(epochs, curves[name], color=colour(i), label=name, marker=marker, markersize=3)
    for i, name in enumerate(flat):
        shares = [line["flat"][name] for line in run.metrics]
        right.plot(epochs, shares, color=colour(i), label=name, marker=marker, markersize=3)
    left.set_ylabel("counted a sample")
    right.set_ylabel("spikes without a derivative")
    for axes, letter, names in ((left, "a", seen), (right, "b", flat)):
        axes.set_xlabel("epoch")
        axes.set_ylim(bottom=0.0)
        epochs_axis(axes.xaxis)
        panel(axes, letter)
        if names:
            axes.legend()
    zero = ", ".join(name for name in counters if name not in seen) or "none"
    test = ", ".join(f"{name} {value:.3g}" for name, value in counters.items() if value) or "nothing"
    caption = (
        f"What the backend reports of itself, a training sample; on the test split: {test}. Counters that stayed at "
        f"zero: {zero}. A spike where the model's potential does not rise has no derivative, and is left out of the "
        "gradient."
    )
    return [Picture("Health of the backend", figure, caption)]
