"""The march through a trial: from one event, or one end of a cell, to the next, in a single scan.

Every sample goes at its own pace: a step takes it to its next event or to the end of its cell, whichever comes first.
So a cell may hold any number of events, in order of time, and under `jax.vmap` no sample waits for another's.
"""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, PyTree

import saltation as st

from ._agenda import Entry
from ._groups import Place
from ._on_the_way import earliest, received, sent, table_shape
from ._scheme import AbstractScheme, Euler


class Problem(NamedTuple):
    """What the march needs, by group of populations; parameters and states are flat, `[n]`.

    - `places`: where each population is.
    - `noise`: `[cells, d]`, increments of all components of all groups, side by side; `layout`: for each group a
      state-like tree of the slices of its components, `None` for none.
    - `thresholds`: `log u` for the start and after each spike, `[n, max_spikes + 1]`, `None` where none are drawn.
    - `currents`: the place, the start times and the values of each current.
    - `entries`: what is known to happen; `samples`: `[S]`, when states are kept.
    - `links`: the connections between neurons.
    """

    neurons: dict[str, st.AbstractNeuron]
    places: dict[str, Place]
    state: dict[str, PyTree]
    noise: Array
    layout: dict[str, PyTree]
    thresholds: dict[str, Array | None]
    currents: list[tuple[Place, Array, Array]]
    entries: list[Entry]
    links: list[st.Connection]
    samples: Array
    cells: int
    t1: float


class Track(NamedTuple):
    """What the march leaves, for each of its steps: a spike's time (`inf` for none), its neuron, the slope there, and
    where states are kept, the state, by population, and which sample it is."""

    time: Array
    neuron: Array
    slope: Array
    states: Any
    sample: Array | None


class _Place(NamedTuple):
    """Where a sample is: in which cell, what is left of it and of its noise, what has happened."""

    cell: Array
    left: Array
    noise: Array
    state: dict[str, PyTree]
    count: dict[str, Array]
    next: tuple[Array, ...]
    on_the_way: tuple[Array, ...]


class Finish(NamedTuple):
    """By population: `state` at the end, `count` of spikes; and whether the march came to the end of the trial."""

    state: dict[str, PyTree]
    count: dict[str, Array]
    ended: Array


def march(
    problem: Problem, scheme: AbstractScheme, *, discrete: bool, max_spikes: int, steps: int, checkpoint: bool
) -> tuple[Track, Finish]:
    """Marches at most `steps` steps."""
    size, dtype = {name: neuron.size for name, neuron in problem.neurons.items()}, problem.noise.dtype
    names, h = list(problem.neurons), problem.t1 / problem.cells
    first_of = dict(zip(names, _offsets([size[name] for name in names]), strict=True))
    lists = [entry.time for entry in problem.entries] + [start for _, start, _ in problem.currents]
    lists.append(problem.samples)
    is_euler = isinstance(scheme, Euler)

    def cell_noise(cell):
        row = problem.noise.at[cell].get(mode="clip")
        return lax.stop_gradient(row) if is_euler else lax.stop_gradient(row / h)

    def split(noise, name):
        layout = problem.layout[name]
        return (
            None
            if layout is None
            else jax.tree.map(
                lambda part: None if part is None else noise[part],
                layout,
                is_leaf=lambda x: x is None or isinstance(x, slice),
            )
        )

    def current_of(name, place):
        result = jnp.zeros(size[name], dtype)
        for position, (target, start, table) in enumerate(problem.currents, len(problem.entries)):
            if target.group == name:
                result = result + target.spread(table[0] if start.shape[0] == 0 else table[place.next[position]])
        return result

    def step(place, _):
        going = place.cell < problem.cells
        now = place.cell.astype(dtype) * h + (h - place.left)
        current = {name: current_of(name, place) for name in names}
        noise = {name: split(place.noise, name) for name in names}

        times, slopes = [], []
        for name in names:
            time, slope = scheme.crossing(
                problem.neurons[name], now, place.state[name], current[name], noise[name], place.left
            )
            times.append(time)
            slopes.append(slope)
        waits, slopes = jnp.concatenate(times), jnp.concatenate(slopes)
        who = jnp.argmin(lax.stop_gradient(waits)).astype(jnp.int32)
        wait = waits[who]

        known = [_pending(time, pointer) for time, pointer in zip(lists, place.next, strict=True)]
        known += [earliest(table)[0] for table in place.on_the_way]
        upcoming = jnp.stack(known)
        which = jnp.argmin(lax.stop_gradient(upcoming)).astype(jnp.int32)
        until = jnp.maximum(upcoming[which] - now, 0.0)

        # A neuron's own crossing first, then what arrives, then the end of the cell.
        spikes = going & (wait <= place.left) & (wait <= until)
        happens = going & ~spikes & (until <= place.left)
        ends = going & ~spikes & ~happens
        duration = jnp.where(
            spikes, jnp.where(spikes, wait, 0.0), jnp.where(happens, jnp.where(happens, until, 0.0), 0.0)
        )
        duration = jnp.where(ends, place.left, duration)
        fraction = jnp.where(ends, 1.0, duration / jnp.where(place.left > 0, place.left, 1.0))
        if not discrete:
            fraction = lax.stop_gradient(fraction)

        state = {
            name: scheme.advance(
                problem.neurons[name],
                now,
                place.state[name],
                current[name],
                noise[name],
                place.left,
                duration,
                fraction,
            )
            for name in names
        }
        left = place.left - duration
        time = now + duration
        count, on_the_way = dict(place.count), list(place.on_the_way)
        mine = {}
        for name in names:
            units = first_of[name] + jnp.arange(size[name], dtype=jnp.int32)
            mine[name] = spikes & (units == who)
            state[name] = _spike(problem, name, state[name], mine[name], place.count[name])
            count[name] = place.count[name] + mine[name].astype(jnp.int32)
        delayed, kicks = 0, {}
        for link in problem.links:
            source, target = problem.places[link.source], problem.places[link.target]
            sender = source.of(mine[source.group])
            if link.delay is None:
                kick = target.spread(link.synapse.apply(sender.astype(dtype)))
                port = target.group, link.port
                kicks[port] = kicks[port] + kick if port in kicks else kick
            else:
                table, sent_before = on_the_way[delayed], source.of(place.count[source.group])
                on_the_way[delayed] = sent(table, link, sender, sent_before, time, source.size, target.size)
                delayed += 1
        for (name, port), kick in kicks.items():
            state[name] = problem.neurons[name].receive(state[name], kick, port)

        pointers = list(place.next)
        for position, entry in enumerate(problem.entries):
            occurs = happens & (which == position)
            if entry.time.shape[0] and entry.effect is not None:
                at = jnp.minimum(place.next[position], entry.time.shape[0] - 1)
                state = entry.effect(state, at, occurs)
        for position in range(len(lists)):
            occurs = happens & (which == position)
            pointers[position] = place.next[position] + occurs.astype(jnp.int32)
        delayed = 0
        for link in problem.links:
            if link.delay is not None:
                occurs = happens & (which == len(lists) + delayed)
                target = problem.places[link.target]
                on_the_way[delayed], state = received(
                    problem.neurons[target.group], target, link, on_the_way[delayed], state, occurs
                )
                delayed += 1

        # A sample is looked ahead to, and changes nothing: the cell is not split there.
        sampled = happens & (which == len(lists) - 1)
        kept = (state, jnp.where(sampled, place.next[-1], -1)) if problem.samples.shape[0] else (None, None)
        moves = going & ~sampled
        state = {name: _where(moves, state[name], place.state[name]) for name in names}
        cell = place.cell + ends.astype(jnp.int32)
        rest = place.noise * (1 - fraction) if is_euler else place.noise
        noise = jnp.where(ends, cell_noise(cell), jnp.where(moves, rest, place.noise))
        left = jnp.where(ends, h, jnp.where(moves, left, place.left))
        track = Track(
            jnp.where(spikes, time, jnp.inf), jnp.where(spikes, who, -1), jnp.where(spikes, slopes[who], jnp.inf), *kept
        )
        return _Place(cell, left, noise, state, count, tuple(pointers), tuple(on_the_way)), track

    def sizes(link):
        return problem.places[link.source].size, problem.places[link.target].size

    zero = jnp.zeros((), jnp.int32)
    place = _Place(
        zero,
        jnp.full((), h, dtype),
        cell_noise(zero),
        problem.state,
        {name: jnp.zeros(size[name], jnp.int32) for name in names},
        tuple(zero for _ in lists),
        tuple(
            jnp.full(table_shape(link, *sizes(link), max_spikes, dtype), jnp.inf, dtype)
            for link in problem.links
            if link.delay is not None
        ),
    )
    if not checkpoint:
        # A step computed twice costs less than all that its gradient needs, written to memory and read back.
        place, track = lax.scan(jax.checkpoint(step, prevent_cse=False), place, None, length=steps)
    else:
        inner = max(1, math.isqrt(steps))
        outer = -(-steps // inner)
        place, track = lax.scan(
            lambda p, _: jax.checkpoint(lambda q: lax.scan(step, q, None, length=inner))(p), place, None, length=outer
        )
        track = jax.tree.map(lambda x: x.reshape(outer * inner, *x.shape[2:]), track)
    of_each = lambda groups: {name: each.of(groups[each.group]) for name, each in problem.places.items()}  # noqa: E731
    if problem.samples.shape[0]:
        track = track._replace(states=of_each(track.states))
    return track, Finish(of_each(place.state), of_each(place.count), place.cell >= problem.cells)


def _spike(problem: Problem, name: str, state: PyTree, mine: Array, count: Array) -> PyTree:
    """The state in which those that are `mine` have been reset, and armed with their next threshold."""
    neuron, thresholds = problem.neurons[name], problem.thresholds[name]
    after = neuron.reset(state)
    if thresholds is not None:
        dynamics = neuron.noise()
        assert dynamics is not None and dynamics.arm is not None
        following = jnp.minimum(count + 1, thresholds.shape[1] - 1)
        log_u = jnp.take_along_axis(thresholds, following[:, None], axis=1)[:, 0]
        after = dynamics.arm(after, log_u)
    return _where(mine, after, state)


def _pending(time: Array, pointer: Array) -> Array:
    if time.shape[0] == 0:
        return jnp.full((), jnp.inf, time.dtype)
    return time.at[pointer].get(mode="fill", fill_value=jnp.inf)


def _where(which: Array, new: PyTree, old: PyTree) -> PyTree:
    return jax.tree.map(lambda a, b: jnp.where(which, a, b), new, old)


def _offsets(sizes: list[int]) -> list[int]:
    return [sum(sizes[:i]) for i in range(len(sizes))]
