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
from ._march import Problem, march
from ._outcome import solution_of
from ._paths import AbstractPath, Brownian, check_dt
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
        neurons, state, layout, thresholds, drives = {}, {}, {}, {}, {}
        noise, entries = [], []
        for i, (name, neuron) in enumerate(network.neurons.items()):
            own = None if key is None else jax.random.fold_in(key, i + 1)
            flat = neurons[name] = _flattened(name, neuron, dtype)
            start = initial[name] if initial is not None and name in initial else neuron.init()
            state[name] = jax.tree.map(lambda x, n=neuron.size: jnp.asarray(x).astype(dtype).reshape(n), start)
            thresholds[name] = self._thresholds(name, flat, own, dtype)
            armed = thresholds[name]
            dynamics = flat.noise()
            if armed is not None and not (initial is not None and name in initial):
                assert dynamics is not None and dynamics.arm is not None
                state[name] = dynamics.arm(state[name], armed[:, 0])
            noisy = noisy_leaves(flat)
            layout[name], parts, jumps = self._drive(name, neuron.size, noisy, t1, cells, own, dtype, _width(noise))
            noise += parts
            entries += [path_jumps(name, jump, flat, noisy, neuron.size) for jump in jumps]
            drives[name] = currents(network, stimulus, name, dtype)
        links = []
        for connection in network.connections:
            if connection.source in network.neurons:
                links.append(connection)
            elif isinstance(stimulus[connection.source], st.Spikes):
                pre, post = network.size(connection.source), network.size(connection.target)
                spikes = stimulus[connection.source]
                entries.append(input_spikes(connection, spikes, neurons[connection.target], pre, post, dtype))
        samples = jnp.zeros(0, dtype) if save.states_at is None else save.states_at.astype(dtype)
        together = jnp.concatenate(noise, axis=1) if noise else jnp.zeros((cells, 0), dtype)
        return Problem(neurons, state, together, layout, thresholds, drives, entries, links, samples, cells, t1)

    def _thresholds(self, name, neuron, key, dtype) -> Array | None:
        dynamics = neuron.noise()
        if dynamics is None or dynamics.arm is None:
            return None
        given = None if self.thresholds is None else self.thresholds.get(name)
        if given is None:
            _need_key(key, f"thresholds of {name!r}")
            # Spikes first: more room does not change the thresholds that there were.
            drawn = jax.random.exponential(jax.random.fold_in(key, 0), (self.max_spikes + 1, neuron.size), dtype)
            return -drawn.T
        if given.shape[0] != neuron.size or given.shape[1] <= self.max_spikes:
            raise ValueError(
                f"RoughSDE got thresholds of shape {given.shape} for {name!r}; expected [{neuron.size}, m] with "
                f"m > max_spikes = {self.max_spikes}: one for the start, and one after each spike."
            )
        return given.astype(dtype)

    def _drive(self, name, size, noisy, t1, cells, key, dtype, offset):
        """The layout of a population's noise, its increments and its jumps."""
        path = self.path.get(name) if isinstance(self.path, Mapping) else self.path
        leaves, structure = jax.tree.flatten(noisy)
        if not any(leaves):
            return None, [], []
        if path is None:
            raise ValueError(
                f"RoughSDE got no path for {name!r}, which has noise; expected one. Fix: path={{{name!r}: Brownian()}}."
            )
        places, parts, jumps = [], [], []
        for i, here in enumerate(leaves):
            place = None
            if here:
                if path.random:
                    _need_key(key, f"the path of {name!r}")
                own = None if key is None else jax.random.fold_in(key, i + 1)
                part = path.increments(cells, t1, size, key=own, dtype=dtype)
                jump = path.jumps(t1, size, key=own, dtype=dtype)
                jumps += [] if jump is None else [jump]
                if part is not None:
                    place = slice(offset, offset + size)
                    offset += size
                    parts.append(part)
            places.append(place)
        return jax.tree.unflatten(structure, places), parts, jumps

    def _known(self, problem: Problem, events: int) -> int:
        """How many steps end at what is known to happen, or arrives late."""
        known = sum(entry.time.shape[0] for entry in problem.entries) + problem.samples.shape[0]
        known += sum(start.shape[0] for each in problem.currents.values() for start, _ in each)
        for link in problem.links:
            if link.delay is not None:
                pre, post = (problem.neurons[name].size for name in (link.source, link.target))
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
