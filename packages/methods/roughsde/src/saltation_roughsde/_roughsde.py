"""The method RoughSDE."""

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

import saltation as st

from ._agenda import currents, delays, input_spikes, path_jumps
from ._draws import drawn_together
from ._groups import grouped, side_by_side
from ._march import Problem, march
from ._outcome import solution_of
from ._paths import AbstractPath, Brownian, check_dt, independent_increments
from ._scheme import SCHEMES
from ._support import noisy_leaves, support


class RoughSDE(st.AbstractMethod):
    """Stochastic neurons driven by cadlag paths, with pathwise gradients of every spike and state.

    `dy = f(y) dt + sigma(y) dX` between events, an event where a guard reaches zero, a jump there. `X` is a fixed
    function of time, drawn from the key alone: a solution is a deterministic, differentiable function of all
    parameters, the same noise for each. An absolute grid of cells is kept; an event splits a cell and the noise in it.

    **Arguments:**

    - `dt`: the largest width of a cell; a trial has the fewest equal cells that keep to it.
    - `scheme`: "euler", or "piecewise_linear": exact for noise that is linear inside a cell.
    - `rule`: "pathwise" stops the gradient of the fraction of a cell's noise that is used before an event, and of
      nothing else; "discrete" differentiates all that the scheme does. Both converge to the pathwise derivative; with
      "piecewise_linear" they are the same and exact.
    - `max_spikes`: room for each neuron's spikes; `max_events`: room for all spikes of a sample, `None` for as many as
      the neurons have room for. More are reported, never dropped silently.
    - `path`: what drives each population, one for all or by name.
    - `thresholds`: `log u` for the start and after each spike, `[n, m]` with `m > max_spikes`, by population; drawn
      where not given.
    - `checkpoint`: memory for the gradient that grows with the square root of the number of steps, for one more forward
      pass.

    **Raises:** `ValueError` for settings out of range.

    Forward and reverse mode. Holberg and Salvi, "Exact gradients for stochastic spiking neural networks driven by rough
    signals", NeurIPS 2024.

    ```python
    method = RoughSDE(dt=0.01, max_spikes=8)
    solution = method.solve(net, {"in": st.Current(jnp.array([1.5]))}, t1=1.0, key=jax.random.key(0))
    ```
    """

    provides: ClassVar[frozenset[str]] = frozenset({"spikes", "states", "final"})

    dt: float | int = eqx.field(static=True, default=0.01)
    scheme: str = eqx.field(static=True, default="euler")
    rule: str = eqx.field(static=True, default="pathwise")
    max_spikes: int = eqx.field(static=True, default=8)
    max_events: int | None = eqx.field(static=True, default=None)
    path: AbstractPath | Mapping[str, AbstractPath] = Brownian()
    thresholds: Mapping[str, Float[Array, "n m"]] | None = None
    checkpoint: bool = eqx.field(static=True, default=False)

    def __check_init__(self):
        if not (isinstance(self.dt, int | float) and 0 < self.dt < math.inf):
            raise ValueError(f"RoughSDE got dt={self.dt}; expected a positive number.")
        if self.scheme not in SCHEMES:
            raise ValueError(f"RoughSDE got scheme={self.scheme!r}; expected one of {list(SCHEMES)}.")
        if self.rule not in ("pathwise", "discrete"):
            raise ValueError(f"RoughSDE got rule={self.rule!r}; expected 'pathwise' or 'discrete'.")
        if not isinstance(self.max_spikes, int) or self.max_spikes < 1:
            raise ValueError(f"RoughSDE got max_spikes={self.max_spikes}; expected an integer >= 1.")
        if self.max_events is not None and (not isinstance(self.max_events, int) or self.max_events < 1):
            raise ValueError(f"RoughSDE got max_events={self.max_events}; expected an integer >= 1 or None.")

    def supports(self, network: st.Network) -> st.Support:
        return support(network, closed_form=self.scheme == "piecewise_linear")

    def solve(
        self,
        network: st.Network,
        stimulus: st.Stimulus,
        *,
        t1: float,
        initial: dict[str, PyTree] | None = None,
        key: PRNGKeyArray | None = None,
        save: st.Save = st.Save(),
        throw: bool = True,
    ) -> st.Solution:
        st.check_stimulus(network, stimulus)
        st.check_supported(self, network)
        network = st.resolved(network, key=None if key is None else jax.random.fold_in(key, 0))
        problem = self._problem(network, stimulus, float(t1), initial, key, save)
        rooms = {name: neuron.size * self.max_spikes for name, neuron in network.neurons.items()}
        events = sum(rooms.values()) if self.max_events is None else min(self.max_events, sum(rooms.values()))
        track, finish = march(
            problem,
            SCHEMES[self.scheme],
            discrete=self.rule == "discrete",
            max_spikes=self.max_spikes,
            steps=problem.cells + events + self._known(problem, events),
            checkpoint=self.checkpoint,
        )
        solution = solution_of(network, stimulus, problem, track, finish, save, room=self.max_spikes)
        return st.finish(solution, throw=throw)

    def _problem(self, network, stimulus, t1, initial, key, save) -> Problem:
        dtype, cells = st.common_dtype(network, stimulus), check_dt(self.dt, t1)
        keys = dict.fromkeys(network.neurons)
        if key is not None:
            numbers = jnp.arange(1, len(keys) + 1, dtype=jnp.uint32)
            keys = dict(zip(keys, jax.vmap(lambda i: jax.random.fold_in(key, i))(numbers), strict=True))
        flat = {name: _flattened(name, neuron, dtype) for name, neuron in network.neurons.items()}
        neurons, places = grouped(flat)
        thresholds, states = self._thresholds(flat, keys, dtype), {}
        for name, neuron in flat.items():
            start = initial[name] if initial is not None and name in initial else network.neurons[name].init()
            states[name] = jax.tree.map(lambda x, n=neuron.size: jnp.asarray(x).astype(dtype).reshape(n), start)
            armed = thresholds[name]
            if armed is not None and not (initial is not None and name in initial):
                dynamics = neuron.noise()
                assert dynamics is not None and dynamics.arm is not None
                states[name] = dynamics.arm(states[name], armed[0])
        noise, layout, entries = [], {}, []
        for group, neuron in neurons.items():
            members = {name: (place, keys[name]) for name, place in places.items() if place.group == group}
            noisy = noisy_leaves(neuron)
            layout[group], parts, jumps = self._drive(members, noisy, t1, cells, dtype, _width(noise))
            noise += parts
            entries += [path_jumps(group, jump, neuron, noisy, neuron.size) for jump in jumps]
        drives = [
            (place, start, table)
            for name, place in places.items()
            for start, table in currents(network, stimulus, name, dtype)
        ]
        links = []
        for connection in network.connections:
            if connection.source in network.neurons:
                links.append(connection)
            elif isinstance(stimulus[connection.source], st.Spikes):
                spikes, place = stimulus[connection.source], places[connection.target]
                pre = network.size(connection.source)
                entries.append(input_spikes(connection, spikes, neurons[place.group], place, pre, dtype))
        samples = jnp.zeros(0, dtype) if save.states_at is None else save.states_at.astype(dtype)
        together = jnp.concatenate(noise, axis=1) if noise else jnp.zeros((cells, 0), dtype)
        state = {group: side_by_side(places, group, states) for group in neurons}
        armed = {group: side_by_side(places, group, thresholds) for group in neurons}
        armed = {group: None if drawn is None else drawn.T for group, drawn in armed.items()}
        return Problem(neurons, places, state, together, layout, armed, drives, entries, links, samples, cells, t1)

    def _thresholds(self, neurons, keys, dtype) -> dict[str, Array | None]:
        """Of each population `[max_spikes + 1, n]`, or `None`."""
        found: dict[str, Array | None] = {}
        missing, room = [], self.max_spikes + 1
        for name, neuron in neurons.items():
            dynamics, found[name] = neuron.noise(), None
            if dynamics is None or dynamics.arm is None:
                continue
            given = None if self.thresholds is None else self.thresholds.get(name)
            if given is None:
                _need_key(keys[name], f"thresholds of {name!r}")
                missing.append(name)
            elif given.shape[0] != neuron.size or given.shape[1] < room:
                raise ValueError(
                    f"RoughSDE got thresholds of shape {given.shape} for {name!r}; expected [{neuron.size}, m] with "
                    f"m > max_spikes = {self.max_spikes}: one for the start, and one after each spike."
                )
            else:
                found[name] = given[:, :room].astype(dtype).T
        if missing:
            counts = [room * neurons[name].size for name in missing]
            draws = drawn_together(jax.random.exponential, [keys[name] for name in missing], 0, counts, dtype)
            # Spikes first: more room does not change the thresholds that there were.
            found |= {name: -row.reshape(room, -1) for name, row in zip(missing, draws, strict=True)}
        return found

    def _drive(self, members, noisy, t1, cells, dtype, offset):
        """The layout of a group's noise, its increments and its jumps."""
        leaves, structure = jax.tree.flatten(noisy)
        if not any(leaves):
            return None, [], []
        paths = {name: self._path(name) for name in members}
        for name, path in paths.items():
            if path.random:
                _need_key(members[name][1], f"the path of {name!r}")
        independent = all(isinstance(path, Brownian) and path.correlation is None for path in paths.values())
        places, parts, jumps = [], [], []
        for i, here in enumerate(leaves):
            drawn = []
            if here and independent:
                sizes, keys = [place.size for place, _ in members.values()], [key for _, key in members.values()]
                drawn = [independent_increments(cells, t1, sizes, keys=keys, data=i + 1, dtype=dtype)]
            elif here:
                for name, (place, key) in members.items():
                    own = None if key is None else jax.random.fold_in(key, i + 1)
                    drawn.append(paths[name].increments(cells, t1, place.size, key=own, dtype=dtype))
                    jump = paths[name].jumps(t1, place.size, key=own, dtype=dtype)
                    jumps += [] if jump is None else [jump._replace(index=jump.index + place.start)]
                # A path that only jumps stands still in between.
                still = [jnp.zeros((cells, place.size), dtype) for place, _ in members.values()]
                moving = any(part is not None for part in drawn)
                drawn = [zero if part is None else part for part, zero in zip(drawn, still, strict=True) if moving]
            places.append(slice(offset, offset + _width(drawn)) if drawn else None)
            parts += drawn
            offset += _width(drawn)
        return jax.tree.unflatten(structure, places), parts, jumps

    def _path(self, name: str) -> AbstractPath:
        path = self.path.get(name) if isinstance(self.path, Mapping) else self.path
        if path is None:
            raise ValueError(
                f"RoughSDE got no path for {name!r}, which has noise; expected one. Fix: path={{{name!r}: Brownian()}}."
            )
        return path

    def _known(self, problem: Problem, events: int) -> int:
        """How many steps end at what is known to happen, or arrives late."""
        known = sum(entry.time.shape[0] for entry in problem.entries) + problem.samples.shape[0]
        known += sum(start.shape[0] for _, start, _ in problem.currents)
        for link in problem.links:
            if link.delay is not None:
                pre, post = (problem.places[name].size for name in (link.source, link.target))
                _, own = delays(link, pre, post, problem.noise.dtype)
                known += events * (1 if own is None else post)
        return known


def _need_key(key: Any, what: str) -> None:
    if key is None:
        raise ValueError(
            f"RoughSDE got no key, but {what} must be drawn; expected solve(..., key=jax.random.key(0)), a key of "
            "its own for each sample. Or give thresholds and increments."
        )


def _width(parts: list[Array]) -> int:
    return sum(part.shape[1] for part in parts)


def _flattened(name: str, neuron: st.AbstractNeuron, dtype: Any) -> st.AbstractNeuron:
    def flatten(leaf):
        if not eqx.is_inexact_array(leaf):
            return leaf
        if leaf.shape not in ((), neuron.shape):
            raise ValueError(
                f"The neurons {name!r} have a parameter of shape {leaf.shape}; expected () or {neuron.shape}, the "
                "shape of the population."
            )
        return leaf.astype(dtype).reshape(leaf.shape and (neuron.size,))

    return jax.tree.map(flatten, neuron).with_shape(neuron.size)
