"""The pictures of a report, each a function of a `Run` that returns the pictures that this run has."""

from collections.abc import Callable

from .._run import Run
from ._activity import activity
from ._confusion import confusion
from ._decision_map import decision_map
from ._health import health
from ._images import sample_images
from ._learning_curves import learning_curves
from ._statistics import statistics
from ._style import Picture, style

PICTURES: dict[str, Callable[[Run], list[Picture]]] = {
    "learning_curves": learning_curves,
    "decision_map": decision_map,
    "confusion": confusion,
    "sample_images": sample_images,
    "activity": activity,
    "statistics": statistics,
    "health": health,
}

__all__ = ["PICTURES", "Picture", "style"]
