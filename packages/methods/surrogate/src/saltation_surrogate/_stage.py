"""One stage of a network: its neurons from grid point to grid point, in one scan."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array

import saltation as st

from ._grid import Grid, Recent

ByName = dict[str, Any]


class Stage(NamedTuple):
    """The populations of a stage and all that reaches them from outside.

    - `start`: their states at time 0.
    - `kicks`: by population and port what arrives at each grid point, `[points, n]`.
    - `current`: by population, `[n]`, or `[points + 1, n]`: of the interval that ends at each grid point, and after
      the last.
    - `links`: the connections between them.
    - `room`: by population how many grid points its spikes are remembered.
    """

    neurons: Mapping[str, st.AbstractNeuron]
    start: ByName
    kicks: dict[str, dict[str, Array]]
    current: dict[str, Array]
    links: tuple[st.Connection, ...]
    room: dict[str, int]


class Trace(NamedTuple):
    """What a population did, `[points, n]` each.

    - `before`: the guard at the last grid point, after what happened there; `guard`: just before a spike.
    - `spikes`: 1 where it spikes.
    - `states`: the states after what happened at a grid point, `None` if not asked for.
    """

    before: Array
    guard: Array
    spikes: Array
    states: Any


def run(
    stage: Stage, grid: Grid, spike: Callable[[Array], Array], *, through_reset: bool, keep_states: bool, dtype
) -> tuple[dict[str, Trace], ByName]:
    """The traces of a stage's populations, and their states after the last grid point.

    Order of what happens at a grid point: the flow up to it, timers, arrivals, then the spike and its reset.
    """
    recent = {name: Recent.none(room, stage.neurons[name].size, dtype) for name, room in stage.room.items()}
    # Nothing flows before the first grid point. As a scanned number: the flow stands once in the program.
    duration = jnp.full(grid.points, grid.step, dtype).at[0].set(0.0)
    steady = {name: value for name, value in stage.current.items() if value.ndim == 1}
    changing = {name: value[:-1] for name, value in stage.current.items() if value.ndim == 2}

    def advance(carry, at):
        states, recent = carry
        duration, kicks, now = at
        fed_back = _fed_back(stage, recent, grid.step)
        traces, following, latest = {}, {}, {}
        for name, neuron in stage.neurons.items():
            state, before = states[name], neuron.guard(states[name])
            state = flow(neuron, state, duration, {**steady, **now}[name], grid.step)
            for port in sorted({*kicks[name], *fed_back[name]}):
                parts = [found[name][port] for found in (kicks, fed_back) if port in found[name]]
                state = neuron.receive(state, sum(parts[1:], parts[0]), port)
            guard = neuron.guard(state)
            fires = spike(guard)
            taken = fires if through_reset else jax.lax.stop_gradient(fires)
            state = jax.tree.map(lambda old, new, s=taken: old + s * (new - old), state, neuron.reset(state))
            traces[name] = Trace(before, guard, fires, state if keep_states else None)
            following[name] = state
            if name in recent:
                latest[name] = recent[name].then(fires)
        return (following, latest), traces

    (final, _), traces = jax.lax.scan(advance, (stage.start, recent), (duration, stage.kicks, changing))
    return traces, final


def flow(neuron: st.AbstractNeuron, state: Any, duration: Array, current: Array, step: float) -> Any:
    """The exact flow without spikes, and the timers that are due: at the nearest grid point."""
    closed = neuron.closed_form()
    assert closed is not None
    state = closed.flow(state, duration, current)
    due = neuron.next_timer(state) <= 0.5 * step
    return jax.tree.map(lambda old, new: jnp.where(due, new, old), state, neuron.on_timer(state))


def _fed_back(stage: Stage, recent: dict[str, Recent], step: float) -> dict[str, dict[str, Array]]:
    found: dict[str, dict[str, Array]] = {name: {} for name in stage.neurons}
    for link in stage.links:
        kick, ports = recent[link.source].deliver(link, step), found[link.target]
        ports[link.port] = ports[link.port] + kick if link.port in ports else kick
    return found
