"""What all pictures share: sizes for a paper's columns, and colours that all readers can tell apart."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import matplotlib
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, StrMethodFormatter

# Okabe and Ito, Color universal design, 2008; without its yellow, which is too light for lines on white.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
GREY = "#9a9a9a"
WRONG = "#D55E00"

# Widths of one and two columns of a page, in inches.
ONE_COLUMN, TWO_COLUMNS = 3.5, 7.2

_SETTINGS: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 8.0,
    "axes.titlesize": 8.5,
    "axes.labelsize": 8.0,
    "axes.linewidth": 0.7,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.labelsize": 7.5,
    "ytick.labelsize": 7.5,
    "xtick.major.width": 0.7,
    "ytick.major.width": 0.7,
    "legend.fontsize": 7.5,
    "legend.facecolor": "white",
    "legend.edgecolor": "none",
    "legend.framealpha": 0.85,
    "lines.linewidth": 1.3,
    "image.cmap": "cividis",
    "image.interpolation": "nearest",
    "savefig.dpi": 300,
    "savefig.bbox": "tight",
    "savefig.pad_inches": 0.03,
    # As outlines: a page shows the same letters everywhere, and needs no font.
    "svg.fonttype": "path",
    # The same picture gives the same file.
    "svg.hashsalt": "saltation",
}


class Picture(NamedTuple):
    """A figure with what it shows; `caption` is a sentence or two for the report."""

    title: str
    figure: Figure
    caption: str = ""


@contextmanager
def style() -> Iterator[None]:
    """Matplotlib's settings for the block, whatever the user's own are."""
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        matplotlib.rcParams.update(_SETTINGS)
        yield


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of a size in inches; not pyplot's, so nothing is left open."""
    return Figure(figsize=(width, height), layout="constrained")


def epochs_axis(axis: Axis) -> None:
    """Whole numbers only, also where there is but one epoch."""
    axis.set_major_locator(MaxNLocator(nbins=8, integer=True, min_n_ticks=1, steps=[1, 2, 5, 10]))


def colour(index: int) -> str:
    """The colour of a class or population by its position."""
    return COLOURS[index % len(COLOURS)]


def panel(axes: Axes, letter: str, title: str = "") -> None:
    """Names a panel, as in a paper."""
    axes.set_title(letter, loc="left", fontweight="bold", fontsize=9)
    if title:
        axes.set_title(title, fontsize=8.5)


def decades(axis: Axis) -> None:
    """Ticks of a logarithmic axis at 1, 2 and 5 of each decade, as plain numbers."""
    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axis.set_minor_formatter(NullFormatter())
