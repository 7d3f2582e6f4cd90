"""`report.html`: a run on one page that needs nothing else, and its pictures as files for a paper."""

import base64
import io
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
from matplotlib.figure import Figure

import saltation as st
from saltation.plugins import records

from ._files import write_atomically
from ._folder import Folder
from ._run import Run, load_run
from .figures import PICTURES, Picture, style


def report(
    out: str | Path,
    *,
    checkpoint: str | None = None,
    experiment: st.Experiment | None = None,
    data_dir: str | Path | None = None,
    download: bool = False,
) -> tuple[Path, list[str]]:
    """Draws the report of a finished or interrupted run again, into its `report.html` and `figures/`.

    **Arguments:** as for `load_run`.

    **Returns:** where the report is, and what could not be drawn (named in the report as well).

    **Raises:** `CheckpointError` for a folder without a run, or a damaged one.
    """
    run = load_run(out, experiment=experiment, checkpoint=checkpoint, data_dir=data_dir, download=download)
    problems = build_report(run)
    return Folder(run.folder).report, problems


def build_report(run: Run) -> list[str]:
    """Writes the report of a run; a picture that fails is named in it and fails nothing else.

    **Returns:** what could not be drawn.
    """
    pictures, problems = [], []
    folder = Folder(run.folder)
    with style():
        for name, draw in _drawings():
            try:
                for i, drawn in enumerate(draw(run)):
                    picture = Picture(*drawn)
                    file = _file_name(picture.title) if name in PICTURES else f"{_file_name(name)}-{i + 1}"
                    pictures.append(embedded(picture, folder.figures, file))
            except st.CheckpointError:
                # A full disk: the page could not be written either.
                raise
            except Exception as error:
                reason = " ".join(str(error).split())[:300]
                problems.append(f"the picture {name!r} could not be drawn: {type(error).__name__}: {reason}")
    write_atomically(folder.report, _page(run, pictures, problems).encode())
    return problems


def embedded(picture: Picture, folder: Path, name: str) -> dict[str, str]:
    """A picture for a page, and as `name.svg` and `name.png` in a folder."""
    svg = _rendered(picture.figure, "svg")
    # As it is now: to lay it out takes as long as to draw it.
    picture.figure.set_layout_engine("none")
    png = _rendered(picture.figure, "png")
    write_atomically(folder / f"{name}.svg", svg)
    write_atomically(folder / f"{name}.png", png)
    return {"title": picture.title, "caption": picture.caption, "data": base64.b64encode(svg).decode()}


def _drawings() -> Iterator[tuple[str, Callable[[Run], Any]]]:
    """The pictures of this package, then those of plugins, imported only when their turn comes."""
    yield from PICTURES.items()
    for name in records("report"):
        yield name, lambda run, name=name: st.get_report(name)(run)


def _rendered(figure: Figure, kind: str) -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format=kind, metadata={"Date": None} if kind == "svg" else None)
    return buffer.getvalue()


def _file_name(title: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")


def _page(run: Run, pictures: list[dict[str, str]], problems: list[str]) -> str:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("saltation_train", "."), autoescape=True, trim_blocks=True
    )
    config, summary = run.config, run.summary or {}
    experiment = run.experiment
    subtitle = (
        f"{type(experiment.method).__name__} on {experiment.dataset}, seed {config['seed']}, "
        f"{len(run.metrics)} of {experiment.epochs} epochs; {run.checkpoint} checkpoint, epoch "
        f"{run.position.epoch}"
    )
    return environment.get_template("report.html.j2").render(
        title=config["recipe"] or experiment.name,
        subtitle=subtitle,
        numbers=list(_numbers(run, summary)),
        problems=problems,
        pictures=pictures,
        tables=[
            ("Summary", [(key, value) for key, value in _rows(summary) if not key.startswith("versions.")]),
            ("Silence and grazing, on the test split", list(_silence(run))),
            ("Arguments of the recipe", list(_rows(config["arguments"]))),
            ("Experiment", list(_rows(config["experiment"]))),
            ("Versions", list(_rows(config["versions"]))),
        ],
    )


def _numbers(run: Run, summary: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """The few numbers that people look for first."""
    if run.test.accuracy is not None:
        yield f"{run.test.accuracy:.2%}", "test accuracy"
    if run.test.mean_loss is not None:
        yield f"{run.test.mean_loss:.4g}", "test loss"
    if summary.get("parameters"):
        yield str(summary["parameters"]), "trained parameters"
    if summary.get("train_samples_per_second"):
        yield f"{summary['train_samples_per_second'] / 1000:.1f} k", "training samples per second"
    if summary.get("compile_seconds"):
        yield f"{summary['compile_seconds']:.1f} s", "compiling"
    if summary.get("peak_memory_bytes"):
        yield f"{summary['peak_memory_bytes'] / 2**20:.0f} MiB", "peak memory"


def _silence(run: Run) -> Iterator[tuple[str, str]]:
    """For each population who is silent, how often, and how flat the threshold is crossed."""
    unit = run.experiment.time_unit
    for name, count in run.test.spike_count.items():
        never = int(np.sum(count == 0))
        text = f"{never} of {len(count)} neurons never spike; {run.test.silent[name]:.1%} of neurons and samples silent"
        slope = run.test.min_slope.get(name, np.zeros(0))
        slope = slope[np.isfinite(slope)]
        if len(slope):
            flat, usual = np.percentile(slope, [1, 50])
            text += f"; slope at the flattest crossing of a sample: {usual:.3g} /{unit}, of one in a hundred {flat:.3g}"
        yield name, text


def _rows(values: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for key, value in values.items():
        if isinstance(value, dict) and value:
            yield from _rows(value, f"{prefix}{key}.")
        elif isinstance(value, list | tuple):
            yield f"{prefix}{key}", ", ".join(map(str, value)) or "none"
        else:
            yield f"{prefix}{key}", "none" if value in (None, {}) else str(value)
