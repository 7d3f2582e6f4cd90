"""What a comparison looks like: a table for the terminal, CSV files, and one page that needs nothing else."""

import csv
import io
from collections.abc import Iterator
from typing import Any

import jinja2

from ._compare import Comparison, Contestant
from ._files import write_atomically
from ._metrics import number
from ._report import embedded
from .figures import style
from .figures._comparison import comparison_pictures

_HEADS = (
    "method",
    "test accuracy",
    "test loss",
    "samples/s",
    "compiling (s)",
    "step memory (MiB)",
    "peak memory (MiB)",
    "cosine at start",
    "after training",
    "norm at start",
)

_EXPLANATION = (
    "All methods start from the same weights and see the same batches. Cosine and norm are those of the gradient of "
    "the mean loss on the same weights and samples, cosines to the first method: at the start, and at the weights that "
    "the first method ends with. Step memory is what the gradient of one batch needs beside its arguments, peak memory "
    "that of the whole process."
)


def write_pages(comparison: Comparison) -> None:
    """Writes `compare.csv`, `curves.csv`, `compare.html` and `figures/`."""
    folder = comparison.folder
    write_atomically(folder / "compare.csv", _csv(list(_records(comparison))))
    write_atomically(folder / "curves.csv", _csv(list(_curves(comparison))))
    with style():
        pictures = [
            embedded(picture, folder / "figures", picture.title.lower().replace(" ", "-"))
            for picture in comparison_pictures(comparison)
        ]
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("saltation_train", "."), autoescape=True, trim_blocks=True
    )
    page = environment.get_template("compare.html.j2").render(
        title=f"{comparison.recipe.name}: {', '.join(found.method for found in comparison.contestants)}",
        subtitle=f"seed {comparison.seed}; every method's own run is in the folder of its name",
        heads=_HEADS,
        rows=[
            {"method": found.method, "reason": _reason(found), "cells": _cells(comparison, found)}
            for found in comparison.contestants
        ],
        explanation=_EXPLANATION,
        pictures=pictures,
        tables=[("Arguments of the recipe", [(k, str(v)) for k, v in comparison.recipe.resolved().items()])],
    )
    write_atomically(folder / "compare.html", page.encode())


def table(comparison: Comparison) -> str:
    """The comparison for a terminal."""
    rows = [list(_HEADS)]
    rows += [[found.method, *_cells(comparison, found)] for found in comparison.contestants if not found.reason]
    widths = [max(len(row[i]) for row in rows) for i in range(len(_HEADS))]
    lines = [
        "  ".join(cell.ljust(w) if i == 0 else cell.rjust(w) for i, (cell, w) in enumerate(zip(row, widths)))
        for row in rows
    ]
    lines += [f"{found.method}: {_reason(found)}" for found in comparison.contestants if found.reason]
    return "\n".join(lines)


def _reason(found: Contestant) -> str:
    return f"no result: {found.reason}" if found.reason else ""


def _cells(comparison: Comparison, found: Contestant) -> list[str]:
    """The formatted numbers of a row, without the name."""
    record = _record(comparison, found)
    memory = [record["step_memory_bytes"], record["peak_memory_bytes"]]
    return [
        _format(record["test_accuracy"], "{:.2%}"),
        _format(record["test_loss"], "{:.4g}"),
        _format(record["train_samples_per_second"], "{:,.0f}"),
        _format(record["compile_seconds"], "{:.1f}"),
        *(_format(None if value is None else value / 2**20, "{:,.0f}") for value in memory),
        _format(record["cosine_start"], "{:.3f}"),
        _format(record["cosine_training"], "{:.3f}"),
        _format(record["norm_start"], "{:.3g}"),
    ]


def _format(value: Any, text: str) -> str:
    return "-" if value is None else text.format(value)


_KEYS = (
    "test_accuracy",
    "test_loss",
    "validation_accuracy",
    "epochs",
    "best_epoch",
    "train_samples_per_second",
    "train_seconds",
    "compile_seconds",
    "peak_memory_bytes",
)


def _record(comparison: Comparison, found: Contestant) -> dict[str, Any]:
    record: dict[str, Any] = {"method": found.method, "reason": found.reason}
    record |= {key: found.summary.get(key) for key in _KEYS}
    record["step_memory_bytes"] = found.step_memory_bytes
    for where in ("start", "training"):
        agreement = comparison.agreements.get(where)
        known = agreement is not None and found.method in agreement.methods
        at = agreement.methods.index(found.method) if agreement is not None and known else 0
        record[f"cosine_{where}"] = number(agreement.cosine[0, at]) if agreement is not None and known else None
        record[f"norm_{where}"] = number(agreement.norm[at]) if agreement is not None and known else None
    return record


def _records(comparison: Comparison) -> Iterator[dict[str, Any]]:
    for found in comparison.contestants:
        yield _record(comparison, found)


def _curves(comparison: Comparison) -> Iterator[dict[str, Any]]:
    """A row for each method and epoch; `seconds` count from the start of compiling."""
    for found in comparison.contestants:
        for seconds, line in found.timed():
            keys = ("epoch", "train_loss", "train_accuracy", "validation_loss", "validation_accuracy")
            yield {"method": found.method, "seconds": seconds, **{key: line.get(key) for key in keys}}


def _csv(rows: list[dict[str, Any]]) -> bytes:
    text = io.StringIO()
    if rows:
        writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return text.getvalue().encode()
