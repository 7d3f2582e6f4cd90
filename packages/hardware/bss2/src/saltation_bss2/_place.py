"""Placing a network: which circuits and rows of the chip it gets, or why it does not fit."""

import dataclasses
import math
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np

import saltation as st

from . import _facts as facts
from ._placement import Placement, Population, Wire
from ._units import Units


def place(
    network: st.Network,
    stimulus: Mapping[str, Any],
    *,
    t1: float,
    max_spikes: int,
    units: Units,
    input_copies: int,
    refractory: float | None,
) -> Placement:
    """Give each population its circuits and each connection its rows.

    **Raises:** `UnsupportedError` for what does not fit, with all reasons and with how much is used and available.
    """
    problems: list[str] = []
    for stage in network.stages():
        if stage.cyclic:
            problems.append(
                f"the populations {list(stage.populations)} are recurrent, and the emulator runs one layer after the "
                "other; use connections that only go forward"
            )
    order = [name for stage in network.stages() for name in stage.populations]
    populations = {
        name: _population(name, network.neurons[name], units, max_spikes, refractory, problems) for name in order
    }
    wires, next_row = [], dict.fromkeys(order, 0)
    for position, connection in enumerate(network.connections):
        wire = _wire(position, connection, network, stimulus, input_copies, units, problems)
        if wire.kind != "bias":
            wire = dataclasses.replace(wire, first_row=next_row[wire.target])
            next_row[wire.target] += 2 * wire.size * wire.copies
        wires.append(wire)
    for name, rows in next_row.items():
        if rows > facts.ROWS:
            parts = " + ".join(
                f"{w.size}{f' x {w.copies} copies' if w.copies > 1 else ''} from {w.source!r}"
                for w in wires
                if w.target == name and w.kind != "bias"
            )
            problems.append(
                f"each neuron of {name!r} needs {rows // 2} signed synapses ({parts}), and {facts.SIGNED_FAN_IN} are "
                f"there (a sign belongs to one of {facts.ROWS} rows); use fewer sources, or fewer input_copies"
            )
    needed = sum(p.size for p in populations.values()) + sum(w.size for w in wires if w.pairs is not None)
    if needed > facts.NEURONS:
        pairs = needed - sum(p.size for p in populations.values())
        problems.append(
            f"it needs {needed} circuits{f', {pairs} of them for delays' if pairs else ''}, and {facts.NEURONS} are "
            "there; use fewer neurons, or fewer delays between neurons"
        )
    _origins(populations, wires, problems)
    if problems:
        raise st.UnsupportedError(
            f"the network does not fit on the chip: {'; '.join(problems)}. It would use {needed} of {facts.NEURONS} "
            f"circuits, and at most {max(next_row.values(), default=0) // 2} of {facts.SIGNED_FAN_IN} signed synapses "
            "a neuron."
        )
    return _allocate(populations, wires, units.to_chip(t1))


def _allocate(populations: dict[str, Population], wires: list[Wire], end: float) -> Placement:
    """The circuits, in order: each population, then the pairs that delay its spikes."""
    first, placed, delayed = 0, [], {}
    for population in populations.values():
        placed.append(dataclasses.replace(population, first=first))
        first += population.size
        for wire in wires:
            if wire.source == population.name and wire.pairs is not None:
                delayed[wire.position] = dataclasses.replace(wire, pairs=first)
                first += wire.size
    return Placement(tuple(placed), tuple(delayed.get(wire.position, wire) for wire in wires), end)


def _population(
    name: str, neuron: st.AbstractNeuron, units: Units, max_spikes: int, refractory: float | None, problems: list[str]
) -> Population:
    constants = neuron.lif()
    nothing = Population(name, neuron.size, 0, 1.0, 1.0, 1.0, 0.0, True, 0.0, 0.0)
    if constants is None or neuron.noise() is not None:
        problems.append(
            f"the neurons {name!r} ({type(neuron).__name__}) are no leaky integrate-and-fire neurons with a synaptic "
            "current; use LIF(...) or AtMostOnce(LIF(...))"
        )
        return nothing
    fixed = [constants.tau_mem, constants.tau_syn, constants.v_leak, constants.v_threshold, constants.v_reset]
    if not all(isinstance(value, int | float) for value in (*fixed, constants.g_leak)):
        problems.append(
            f"the neurons {name!r} have constants that are arrays, and the chip's are set when the network is placed; "
            "give them as Python numbers"
        )
        return nothing
    if constants.g_leak != 1.0:
        problems.append(f"the neurons {name!r} have a leak of {constants.g_leak}; use LIF(...), whose leak is 1")
        return nothing
    tau_mem, tau_syn, v_leak, v_threshold, v_reset = (float(value) for value in fixed)  # pyright: ignore
    threshold = v_threshold - v_leak
    if not threshold > 0:
        problems.append(f"the neurons {name!r} have a threshold that is not above their leak")
        return nothing
    reset = (v_reset - v_leak) / threshold
    held = refractory if refractory is not None else (30.0 if constants.at_most_once else facts.REFRACTORY[0])
    for what, value, (low, high), unit in (
        ("tau_mem", units.to_chip(tau_mem), facts.TAU_MEM, "us"),
        ("tau_syn", units.to_chip(tau_syn), facts.TAU_SYN, "us"),
        ("v_reset", units.to_cadc(reset), facts.RESET, "on the ADC"),
        ("a refractory period", held, facts.REFRACTORY, "us"),
    ):
        if not low <= value <= high:
            problems.append(
                f"the neurons {name!r} need {what} of {value:.4g} {unit}, and {low} to {high} are there; change it"
                + (", or how many microseconds a unit of time is" if unit == "us" else "")
            )
    if constants.at_most_once and max_spikes != 1:
        problems.append(f"the neurons {name!r} spike at most once, and max_spikes={max_spikes} was asked for; use 1")
    return Population(
        name,
        neuron.size,
        0,
        units.to_chip(tau_mem),
        units.to_chip(tau_syn),
        threshold,
        reset,
        constants.at_most_once,
        held,
        0.0,
    )


def _wire(
    position: int,
    connection: st.Connection,
    network: st.Network,
    stimulus: Mapping[str, Any],
    input_copies: int,
    units: Units,
    problems: list[str],
) -> Wire:
    source, target = connection.source, connection.target
    pair, size = f"the connection {source!r} -> {target!r}", network.size(source)
    given = stimulus.get(source)
    kind = "axon" if source in network.neurons else "bias" if isinstance(given, st.Current) else "input"
    if not isinstance(connection.synapse, st.Dense | st.OneToOne):
        problems.append(f"{pair} has synapses of type {type(connection.synapse).__name__}; use Dense or OneToOne")
    if connection.port != "current":
        problems.append(f"{pair} ends at the port {connection.port!r}; use 'current'")
    if isinstance(given, st.Current) and given.start is not None:
        problems.append(f"{pair} has a current that changes in time, and bias currents are constant; use spikes")
    low, high = _delay_range(connection, network, problems)
    delayed = connection.delay is not None
    if delayed and kind == "bias":
        problems.append(f"{pair} delays a constant current; leave the delay out")
    if delayed and kind == "axon" and not (units.to_chip(low) <= facts.DELAY_SPAN and high >= 0):
        problems.append(
            f"{pair} has delays of at least {units.to_chip(low):.4g} us, and 0 to {facts.DELAY_SPAN:.4g} us are there "
            f"(pairs of circuits delay by {facts.SHORTEST_DELAY} to {facts.LONGEST_DELAY} us, and time begins later "
            "behind them); use shorter ones, or fewer microseconds for a unit of time"
        )
    pairs = 0 if delayed and kind == "axon" else None
    return Wire(position, source, target, kind, size, input_copies if kind == "input" else 1, 0, pairs)


def _delay_range(connection: st.Connection, network: st.Network, problems: list[str]) -> tuple[float, float]:
    """The shortest and the longest delay that the parametrisation can express, in the model's unit."""
    delay = connection.delay
    if delay is None:
        return 0.0, 0.0
    pre, post = network.size(connection.source), network.size(connection.target)
    found = []
    for limit in (-math.inf, math.inf):

        def filled(x: Any, limit: float = limit) -> Any:
            return np.full(x.shape, limit, x.dtype) if isinstance(x, jax.ShapeDtypeStruct) else x

        # Parametrisations are monotone: the ends of their range are where their argument ends.
        with jax.ensure_compile_time_eval():
            extreme = jax.tree.map(filled, delay)
            by_source, *others = (
                part(pre, post) for part in (extreme.per_source, extreme.per_target, extreme.per_synapse)
            )
            found.append(0.0 if by_source is None else np.asarray(by_source))
        if any(part is not None for part in others):
            problems.append(
                f"the connection {connection.source!r} -> {connection.target!r} has dendritic or synaptic delays, and "
                "the chip has axonal ones; use Delay(value[pre])"
            )
            return 0.0, 0.0
    return float(np.min(found[0])), float(np.max(found[1]))


def _origins(populations: dict[str, Population], wires: list[Wire], problems: list[str]) -> None:
    """Sets when the time of each population begins, and finds spikes that would come too early for that."""
    for name, population in populations.items():
        into = [wire for wire in wires if wire.target == name and wire.kind == "axon"]
        begins = {
            wire.position: populations[wire.source].origin + (0.0 if wire.pairs is None else facts.SHORTEST_DELAY)
            for wire in into
        }
        origin = max(begins.values(), default=0.0)
        populations[name] = dataclasses.replace(population, origin=origin)
        for wire in into:
            if begins[wire.position] < origin:
                problems.append(
                    f"spikes of {wire.source!r} reach {name!r} {origin - begins[wire.position]:.4g} us before those "
                    "that pass through delaying pairs; give that connection a delay too"
                )
