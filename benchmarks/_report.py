"""The results as a page: a table for each network, and each goal with what was measured."""

from dataclasses import dataclass
from typing import Any

OURS = "saltation"
TITLES = {
    "lif-room3": "LIF, room for 3 spikes a neuron",
    "lif-once": "LIF, at most one spike a neuron",
    "qif": "QIF with a finite threshold and reset, by a numerical solver",
    "qif-phase": "QIF as eventax's notebook has it (threshold and reset at infinity), by a numerical solver",
    "eif": "EIF, by a numerical solver",
    "izhikevich": "Izhikevich's neurons, regular spiking, by a numerical solver",
}


@dataclass(frozen=True)
class Goal:
    """What our side is to reach in a case."""

    samples_per_second: float | None
    faster_than_all: float | None
    faster_than_eventax: float
    compile_seconds: float = 10.0


GOALS = {
    "lif-room3": Goal(40e3, 3, 30),
    "lif-once": Goal(70e3, 3, 30),
    "qif": Goal(8e3, None, 10),
    "qif-phase": Goal(8e3, None, 10),
    "eif": Goal(None, None, 20, 15.0),
    "izhikevich": Goal(None, None, 20, 15.0),
}
MOST_MEMORY_BYTES = 1e9

Row = dict[str, Any]


def page(results: dict[str, Any]) -> str:
    where, how = results["machine"], results["settings"]
    load = "" if where["load"] is None else f", load {where['load']:.1f} at the start"
    lines = [
        "# A training step, against other libraries",
        "",
        f"{how['date']}, {where['processor']}, {where['cores']} cores{load}. Made by `nox -s benchmarks`.",
        "",
        *(f"- {line}" for line in _conventions(how)),
        "",
    ]
    for case, rows in results["cases"].items():
        lines += [f"## {TITLES[case]}", "", *_table(rows), "", *_goals(case, rows)]
        left_out = [row for row in rows if "skipped" in row]
        lines += [f"{row['side']} {row['variant']} was skipped: {row['skipped']}\n" for row in left_out]
    lines += [f"{name} was skipped: {reason}\n" for name, reason in results["skipped"].items()]
    return "\n".join(lines).rstrip() + "\n"


def _conventions(how: dict[str, Any]) -> list[str]:
    turns = f"{how['rounds']} rounds of {how['seconds']:g} s each"
    return [
        "**Step:** forward and gradient of both weight matrices; 5-30-3 network, Yin-Yang inputs, "
        "cross-entropy of the outputs' first spikes, float32. `_problem.py` makes the networks.",
        "**One thread:** each side is a process pinned to the same core (`sched_setaffinity`), with XLA's "
        "thread pools and the BLAS libraries set to one thread (`_harness.py`).",
        f"**Speed:** the sides take turns, {turns}: the median over rounds, the best single call in "
        "brackets. `ours`: how many times faster saltation is, within a round.",
        "**Compilation** includes tracing; **memory** is the peak of the whole process, compilation included.",
        "**Errors** are against a float64 oracle of the exact dynamics (`_oracle.py`): first spikes of the "
        "outputs over the batch (largest, median, in ms; in brackets how many are missing or too many, "
        "if any), and the relative error of the gradient. For EIF and Izhikevich's neurons it is our own "
        "solution in float64 with the accurate defaults.",
    ]


def _table(rows: list[Row]) -> list[str]:
    titles = (
        "library",
        "versions",
        "samples/s",
        "ours",
        "compile",
        "memory",
        "spikes",
        "gradient",
        "settings",
    )
    lines = [_line(titles), _line(("---",) * len(titles))]
    for row in rows:
        if "skipped" in row:
            continue
        versions = ", ".join(f"{name} {value}" for name, value in row["versions"].items() if name != "numpy")
        strange = f" ({row['spikes_missing_or_extra']})" if row["spikes_missing_or_extra"] else ""
        cells = (
            f"{row['side']} {row['variant']}",
            versions,
            f"{row['samples_per_second']:,.0f} ({row['best_samples_per_second']:,.0f})",
            f"{row['times_faster']:.1f}x" if "times_faster" in row else "",
            f"{row['compile_seconds']:.1f} s",
            f"{row['peak_memory_bytes'] / 1e6:.0f} MB",
            f"{row['spike_error_max']:.1e}, {row['spike_error_median']:.1e}{strange}",
            f"{row['gradient_error']:.1e}",
            f"{row['threads']} thread, batch {row['batch']}, {row['dtype']}; {row['notes']}",
        )
        lines.append(_line(cells))
    return lines


def _goals(case: str, rows: list[Row]) -> list[str]:
    """Each goal with what was measured: met or missed."""
    ours = next((row for row in rows if row["side"] == OURS and "skipped" not in row), None)
    if ours is None:
        return []
    goal = GOALS[case]
    peers = [row for row in rows if "times_faster" in row]
    eventax = [row for row in peers if row["side"] == "eventax"]
    speed, compile_seconds, memory = (
        ours[name] for name in ("samples_per_second", "compile_seconds", "peak_memory_bytes")
    )
    checks = []
    if goal.samples_per_second is not None:
        wanted = goal.samples_per_second
        checks.append((f">= {wanted:,.0f} samples/s", f"{speed:,.0f}", speed >= wanted))
    least = goal.compile_seconds
    checks += [
        (f"compilation <= {least:g} s", f"{compile_seconds:.1f} s", compile_seconds <= least),
        (f"memory < {MOST_MEMORY_BYTES / 1e9:g} GB", f"{memory / 1e9:.2f} GB", memory < MOST_MEMORY_BYTES),
    ]
    for wanted, others, name in (
        (goal.faster_than_all, peers, "the fastest peer measured"),
        (goal.faster_than_eventax, eventax, "eventax"),
    ):
        if wanted is not None and others:
            fastest = min(others, key=lambda row: row["times_faster"])
            least = fastest["times_faster"]
            measured = f"{least:.1f}x {fastest['side']} {fastest['variant']}"
            checks.append((f">= {wanted:g}x {name}", measured, least >= wanted))
    if eventax:
        mine, theirs = ours["spike_error_max"], min(row["spike_error_max"] for row in eventax)
        accurate = mine <= theirs and ours["spikes_missing_or_extra"] == 0
        checks.append(("spikes as accurate as eventax's", f"{mine:.1e} ms against {theirs:.1e} ms", accurate))
    lines = [_line(("goal", "measured", "")), _line(("---",) * 3)]
    return [*lines, *(_line((what, value, "met" if met else "missed")) for what, value, met in checks), ""]


def _line(cells) -> str:
    return f"| {' | '.join(cells)} |"
