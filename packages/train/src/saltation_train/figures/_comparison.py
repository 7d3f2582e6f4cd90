"""Several methods next to each other: how they learn, how their gradients agree, what they cost."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from .._compare import Comparison, Contestant
from ._style import COLOURS, GREY, TWO_COLUMNS, Picture, decades, epochs_axis, new_figure, panel


def comparison_pictures(comparison: Comparison) -> list[Picture]:
    """The pictures of a comparison; those for which nothing is known are left out."""
    trained = [found for found in comparison.contestants if found.metrics]
    colours = {found.method: COLOURS[i % len(COLOURS)] for i, found in enumerate(comparison.contestants)}
    pictures = []
    if trained:
        pictures.append(_learning(trained, colours))
    if comparison.agreements:
        pictures.append(_agreement(comparison))
    finished = [found for found in trained if found.summary]
    if finished:
        pictures.append(_cost(finished, colours))
    return pictures


def _learning(trained: list[Contestant], colours: dict[str, str]) -> Picture:
    key = _best_known(trained)
    figure = new_figure(TWO_COLUMNS, 2.7)
    by_epoch, by_second = figure.subplots(1, 2, sharey=True)
    for found in trained:
        known = [(line["epoch"], seconds, line[key]) for seconds, line in found.timed() if line.get(key) is not None]
        epochs, times, values = zip(*known, strict=True) if known else ((), (), ())
        marker = "o" if len(values) < 8 else None
        for axes, x in ((by_epoch, epochs), (by_second, times)):
            axes.plot(x, values, color=colours[found.method], label=found.method, marker=marker, markersize=3)
    by_epoch.set_xlabel("epoch")
    by_epoch.set_ylabel(key.replace("_", " "))
    epochs_axis(by_epoch.xaxis)
    by_second.set_xlabel("seconds, with those of compiling")
    by_second.set_xlim(left=0)
    if key.endswith("accuracy"):
        by_epoch.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=None))
    panel(by_epoch, "a")
    panel(by_second, "b")
    figure.legend(*by_epoch.get_legend_handles_labels(), loc="outside lower center", ncols=len(trained))
    return Picture("Learning", figure, "The same weights at the start and the same batches, by epoch and by time.")


def _best_known(trained: list[Contestant]) -> str:
    for key in ("validation_accuracy", "train_accuracy", "validation_loss", "train_loss"):
        if all(line.get(key) is not None for found in trained for line in found.metrics):
            return key
    return "train_loss"


def _agreement(comparison: Comparison) -> Picture:
    """Cosines of all arrays together as matrices, and of each array to the first method's."""
    titles = {"start": "cosine, at the start", "training": "cosine, after training"}
    count = len(comparison.agreements)
    first = next(iter(comparison.agreements.values()))
    figure = new_figure(TWO_COLUMNS, 2.6)
    panels = figure.subplots(1, count + 1, width_ratios=[1.0] * count + [1.5])
    for axes, (where, found), letter in zip(panels, comparison.agreements.items(), "ab"):
        axes.imshow(found.cosine, vmin=-1, vmax=1, cmap="RdBu")
        names = list(found.methods)
        axes.set_xticks(range(len(names)), names, rotation=30, ha="right")
        axes.set_yticks(range(len(names)), names)
        for i in range(len(names)):
            for j in range(len(names)):
                value = found.cosine[i, j]
                ink = "white" if abs(value) > 0.6 else "black"
                axes.text(j, i, f"{value:.2f}", ha="center", va="center", color=ink, fontsize=7)
        axes.set_xlabel(titles[where])
        panel(axes, letter)
    _norms(panels[-1], comparison)
    panel(panels[-1], "abc"[count])
    return Picture(
        "Agreement of gradients",
        figure,
        f"Gradients of the mean loss over {first.samples} samples on the same weights. Norms at the start, by array.",
    )


def _norms(axes: Axes, comparison: Comparison) -> None:
    """The length of each array's gradient over that of the first method's."""
    found = next(iter(comparison.agreements.values()))
    order = {contestant.method: i for i, contestant in enumerate(comparison.contestants)}
    shown = [1.0]
    for k, method in enumerate(found.methods):
        known = [(i, row[k] / row[0]) for i, row in enumerate(found.norm_of) if row[0] > 0 and row[k] > 0]
        shown += [value for _, value in known]
        # One above the other, or equal ones would hide each other.
        places = [i + 0.12 * (k - (len(found.methods) - 1) / 2) for i, _ in known]
        colour = COLOURS[order[method] % len(COLOURS)]
        axes.plot([value for _, value in known], places, "o", color=colour, markersize=4, label=method)
    axes.axvline(1.0, color=GREY, linewidth=0.7, zorder=0)
    axes.set_xscale("log")
    axes.set_xlim(min(shown) / 2, max(shown) * 2)
    decades(axes.xaxis)
    axes.set_yticks(range(len(found.arrays)), [name.replace(" -> ", "\nto ") for name in found.arrays])
    axes.set_ylim(len(found.arrays) - 0.5, -0.5)
    axes.set_xlabel(f"norm over that of {found.methods[0]}")
    axes.legend(loc="best")


def _cost(finished: list[Contestant], colours: dict[str, str]) -> Picture:
    quantities = [
        ("training samples/s", [found.summary.get("train_samples_per_second") for found in finished], 1.0),
        ("compiling, s", [found.summary.get("compile_seconds") for found in finished], 1.0),
        ("memory of a step, MiB", [found.step_memory_bytes for found in finished], 2.0**20),
        ("peak memory, MiB", [found.summary.get("peak_memory_bytes") for found in finished], 2.0**20),
    ]
    figure: Figure = new_figure(TWO_COLUMNS, 0.9 + 0.28 * len(finished))
    for axes, (title, values, unit), letter in zip(figure.subplots(1, 4, sharey=True), quantities, "abcd"):
        known = [0.0 if value is None else value / unit for value in values]
        bars = axes.barh(range(len(finished)), known, color=[colours[found.method] for found in finished])
        axes.bar_label(bars, [_short(value) for value in known], padding=2, fontsize=7)
        axes.set_yticks(range(len(finished)), [found.method for found in finished])
        axes.set_xlim(0, 1.45 * max(known) if max(known) > 0 else 1)
        axes.set_xticks([])
        axes.spines["bottom"].set_visible(False)
        axes.set_xlabel(title)
        panel(axes, letter)
    figure.axes[0].invert_yaxis()
    return Picture("Cost", figure, "Speed of training steps, without compiling and validation; memory as reported.")


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.2g}"
