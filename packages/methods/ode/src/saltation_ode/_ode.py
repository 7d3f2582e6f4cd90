"""The ODE-exact method."""

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray, PyTree

import saltation as st

from ._arrivals import external_arrivals, internal_links
from ._attach import attach, freeze
from ._chunks import entry_of
from ._component import Component, split_lanes
from ._flow import AbstractFlow, ClosedFormFlow, RungeKuttaFlow
from ._follow import Values, derivative
from ._found import Flags, Summary
from ._lif import solve_lif_layer
from ._lif_layer import lif_layer
from ._outcome import check_start, result_of
from ._search import search
from ._slices import in_slices, solve_slices


class ODE(st.AbstractReplayMethod):
    """Solve any neuron that has a vector field, event by event, with exact gradients through every event.

    Populations that do not depend on each other are solved one after the other, and in those that do not feed back
    every neuron has its own clock. Between events the neuron's closed form is used where it has one, else an explicit
    Runge-Kutta solver. Spike times are located to rounding on the computed flow; their derivatives follow from the
    implicit function theorem, and the state leaps across each event by the saltation matrix.

    **Arguments:**

    - `max_spikes`: room for each neuron's spikes. More than that is reported, never dropped silently.
    - `solver`: an explicit Runge-Kutta solver of diffrax. With `None`, a closed form where all neurons of a component
      have one, else `diffrax.Tsit5()`.
    - `step`: the longest of fixed steps, which are equal up to the next event, and as few as they can be. With `None`
      the step adapts to `rtol` and `atol`.
    - `rtol`, `atol`: tolerances of the states, `None` for 1e-9 in float64 and 1e-5 in float32.
    - `max_steps`: room for a component's steps between events, `None` for a guess that suits most networks.
    - `slope_floor`: the least slope of the guard at a spike that derivatives are taken with, in the guard's unit over
      that of time. With 0 they are exact. A larger one bounds the gradient of spikes that barely touch the threshold,
      and is a bias: it shrinks the derivatives of spikes with a smaller slope.
    - `recompute`: for long trials of which states are asked for, keep those alone and not the states at all events.
      The same gradient to rounding, slower for many states; without `Save(states_at=...)` it makes no difference.
    - `slices`: whether recurrent LIF neurons are advanced in slices of their least delay, the `minimum` of `Delay`.
      With `None`, where that is expected to be faster. The solution is the same to rounding.

    **Raises:** `ValueError` for settings out of range.

    Wunderlich & Pehle, Scientific Reports 2021; "Training event-based neural networks with exact gradients via
    differentiable ODE solving in JAX", 2026.

    ```python
    solution = ODE(max_spikes=8).solve(net, {"in": st.Spikes.from_dense(times)}, t1=60.0)
    solution.spikes["hidden"].first()
    ```
    """

    provides: ClassVar[frozenset[str]] = frozenset({"spikes", "states", "final"})

    max_spikes: int = eqx.field(static=True, default=8)
    solver: Any = eqx.field(static=True, default=None)
    step: float | int | None = eqx.field(static=True, default=None)
    rtol: float | int | None = eqx.field(static=True, default=None)
    atol: float | int | None = eqx.field(static=True, default=None)
    max_steps: int | None = eqx.field(static=True, default=None)
    slope_floor: float | int = eqx.field(static=True, default=0.0)
    recompute: bool = eqx.field(static=True, default=False)
    slices: bool | None = eqx.field(static=True, default=None)

    def __check_init__(self):
        if not isinstance(self.max_spikes, int) or self.max_spikes < 1:
            raise ValueError(f"ODE got max_spikes={self.max_spikes}; expected an integer >= 1.")
        for name in ("step", "rtol", "atol"):
            value = getattr(self, name)
            if value is not None and not (isinstance(value, (int, float)) and 0 < value < math.inf):
                raise ValueError(f"ODE got {name}={value}; expected a positive number or None.")
        if self.max_steps is not None and (not isinstance(self.max_steps, int) or self.max_steps < 1):
            raise ValueError(f"ODE got max_steps={self.max_steps}; expected an integer >= 1 or None.")
        if not (isinstance(self.slope_floor, int | float) and 0 <= self.slope_floor < math.inf):
            raise ValueError(f"ODE got slope_floor={self.slope_floor}; expected a number >= 0 (0: exact derivatives).")
        if self.solver is not None or self.step is not None:
            self._flow(jnp.float32)

    def supports(self, network: st.Network) -> st.Support:
        for name, neuron in network.neurons.items():
            if neuron.noise() is not None:
                return st.Support(
                    False,
                    f"the neurons {name!r} are driven by noise, which an ordinary differential equation cannot carry. "
                    "Use the method 'roughsde', or a neuron without noise.",
                )
        return st.Support(True)

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
        return self._solve(network, stimulus, t1, initial, key, save, throw, None)

    def replay(
        self,
        network: st.Network,
        stimulus: st.Stimulus,
        observed: Mapping[str, st.Spikes],
        *,
        t1: float,
        throw: bool = True,
    ) -> st.Solution:
        """The solution with the `observed` spikes, and the derivative of the condition `guard = 0` at each of them.

        The state runs along the observed spikes by the same closed form or solver that `solve` takes, and is reset at
        them. A spike where the guard does not rise, such as one before all its causes, has no derivative: zero, and
        counted in `stats["flat"]`. A neuron whose own flow reaches infinity before its spike was observed is held on
        the way there, and the derivative is that of the time at which it got there.

        **Raises:** `ValueError` for spikes that do not fit the populations.
        """
        for name, neuron in network.neurons.items():
            if name not in observed:
                raise ValueError(f"replay got spikes of {list(observed)}; expected those of {list(network.neurons)}.")
            if observed[name].size != neuron.size or observed[name].time.ndim != 1:
                raise ValueError(
                    f"replay got spikes of {observed[name].size} units in an array of shape "
                    f"{observed[name].time.shape} for {name!r}; expected {neuron.size} units in [K], one sample. "
                    "Replay a batch with jax.vmap."
                )
        return self._solve(network, stimulus, t1, None, None, st.Save(), throw, dict(observed))

    def _solve(self, network, stimulus, t1, initial, key, save, throw, observed) -> st.Solution:
        st.check_stimulus(network, stimulus)
        st.check_supported(self, network)
        dtype = st.common_dtype(network, stimulus)
        samples = jnp.zeros(0, dtype) if save.states_at is None else save.states_at.astype(dtype)
        sources: dict[str, Any] = dict(stimulus)
        states, final, flags = {}, {}, []
        stats: dict[str, dict[str, Array]] = {"spike_count": {}, "min_slope": {}, "flat": {}}
        for stage in network.stages():
            component = self._component(network, stage.populations, sources, initial, key, samples, t1, dtype)
            if observed is not None:
                given, full = _given_times(observed, stage.populations, self.max_spikes, dtype)
                component = eqx.tree_at(lambda c: c.observed, component, given, is_leaf=lambda x: x is None)
                flags.append(full)
            values, summary = self._solve_component(component, cyclic=stage.cyclic, initial=initial)
            flags.append(summary.flags)
            for name in stage.populations:
                shape = network.neurons[name].shape
                sources[name] = st.Spikes.from_dense(values.times[name])
                final[name] = _reshape(values.final[name], shape)
                if values.states is not None:
                    states[name] = _reshape(values.states[name], (samples.shape[0], *shape))
                stats["spike_count"][name] = summary.count[name]
                stats["min_slope"][name] = jnp.min(summary.min_slope[name])
                stats["flat"][name] = jnp.sum(summary.flat[name])
        rates = {name: count.astype(dtype) / t1 for name, count in stats["spike_count"].items()}
        solution = st.Solution(
            spikes={name: sources[name] for name in network.neurons} if save.spikes else None,
            rates=_count_rates(rates, (network, stimulus)) if save.rates else None,
            states=None if save.states_at is None else states,
            final=final,
            updates={},
            stats=jax.lax.stop_gradient(stats),
            result=result_of(flags, stimulus, network, samples, t1, final),
        )
        return st.finish(solution, throw=throw)

    def _component(self, network, names, sources, initial, key, samples, t1, dtype) -> Component:
        neurons, flows, state, drive, arrivals = {}, {}, {}, {}, {}
        outside = {name: source for name, source in sources.items() if name not in names}
        closed = self.solver is None and self.step is None
        closed = closed and all(network.neurons[name].closed_form() is not None for name in names)
        flow: AbstractFlow = ClosedFormFlow() if closed else self._flow(dtype)
        for i, name in enumerate(names):
            neuron = network.neurons[name]
            subkey = None if key is None else jax.random.fold_in(key, i)
            start = initial[name] if initial is not None and name in initial else neuron.init(key=subkey)
            neurons[name] = _flatten_parameters(name, neuron, dtype)
            flows[name] = flow
            state[name] = jax.tree.map(lambda x, n=neuron.size: _cast(x, dtype).reshape(n), start)
            arrivals[name], drive[name] = external_arrivals(network, name, outside, dtype)
        links = internal_links(network, names, dtype)
        check_start(neurons, state)
        return Component(
            neurons,
            flows,
            state,
            drive,
            arrivals,
            links,
            samples,
            t1=float(t1),
            max_spikes=self.max_spikes,
            slope_floor=float(self.slope_floor),
        )

    def _flow(self, dtype) -> RungeKuttaFlow:
        tolerance = 1e-9 if jnp.finfo(dtype).bits == 64 else 1e-5
        return RungeKuttaFlow.of(
            diffrax.Tsit5() if self.solver is None else self.solver,
            step=None if self.step is None else float(self.step),
            rtol=tolerance if self.rtol is None else self.rtol,
            atol=tolerance if self.atol is None else self.atol,
        )

    def _solve_component(self, component: Component, *, cyclic: bool, initial) -> tuple[Values, Summary]:
        started = initial is not None and not initial.keys().isdisjoint(component.neurons)
        if component.closed and not cyclic and not started:
            layer = lif_layer(component)
            if layer is not None:
                return solve_lif_layer(component, layer)
        if cyclic and self.slices is not False:
            slices = in_slices(component, self.slices, self.max_steps)
            if slices is not None:
                return solve_slices(component, slices)
        component = component.looked_up()
        lanes = not cyclic
        neurons = 1 if lanes else sum(component.size(name) for name in component.neurons)
        spikes = 4 * neurons * component.max_spikes  # rejected and short steps around each spike
        # Unused room costs memory. The defaults in float64 are strict and take many steps.
        adaptive_room = 2000 if jnp.finfo(component.dtype).bits == 64 else 300
        steps = adaptive_room if self.step is None else math.ceil(component.t1 / self.step)
        max_steps = min(steps + spikes, steps + 4000) if self.max_steps is None else self.max_steps
        first_step = component.t1 / 100 if self.step is None else self.step

        def solve(component: Component) -> tuple[Values, Summary]:
            frozen = freeze(component)
            found = search(frozen, max_steps=max_steps, first_step=first_step, keep=not self.recompute)
            times = found.times if component.observed is None else component.observed
            if found.states is None:
                sampled = found.samples
            else:
                sampled = entry_of(found.states, found.sampled + 1)  # what the next iteration starts from
            values = Values(times, sampled if component.samples.shape[0] else None, found.final)
            values = attach(derivative, component, found, values)
            return values, Summary(found.flat, found.count, found.min_slope, found.flags)

        if not lanes:
            return solve(component)
        own, shared = split_lanes(component)
        (name,) = component.neurons
        values, summary = jax.vmap(lambda own: solve(eqx.combine(own, shared)))(own)
        # The axes over neurons ([n, 1]) become those of a population ([n]).
        values = Values(
            {name: values.times[name][:, 0]},
            None if values.states is None else jax.tree.map(lambda x: jnp.moveaxis(x[..., 0], 0, 1), values.states),
            jax.tree.map(lambda x: x[..., 0], values.final),
        )
        flat, count, slope = ({name: x[name][:, 0]} for x in (summary.flat, summary.count, summary.min_slope))
        return values, Summary(flat, count, slope, Flags(*(jnp.any(jnp.asarray(flag)) for flag in summary.flags)))


def _given_times(observed, names, room: int, dtype) -> tuple[dict[str, Array], Flags]:
    """The observed spikes as `[n, room]`, and whether there are more."""
    given = {name: observed[name].to_dense(room, throw=False).astype(dtype) for name in names}
    full = jnp.any(jnp.stack([jnp.any(observed[name].count() > room) for name in names]))
    no = jnp.zeros((), bool)
    return jax.lax.stop_gradient(given), Flags(full, no, no, no)


def _count_rates(rates: dict[str, Array], depends_on: PyTree) -> dict[str, Array]:
    message = "ODE counts spikes to get rates, and a count has no derivative. Use spike times or states in the loss."
    return st.not_differentiable(rates, message, depends_on=depends_on)


def _cast(x: Any, dtype) -> Array:
    return jnp.asarray(x).astype(dtype)


def _flatten_parameters(name: str, neuron: st.AbstractNeuron, dtype) -> st.AbstractNeuron:
    def flatten(leaf):
        if not eqx.is_inexact_array(leaf):
            return leaf
        if leaf.shape not in ((), neuron.shape):
            raise ValueError(
                f"The neurons {name!r} have a parameter of shape {leaf.shape}; expected () or {neuron.shape}, the "
                "shape of the population."
            )
        return leaf.astype(dtype).reshape(leaf.shape and (neuron.size,))

    return jax.tree.map(flatten, neuron)


def _reshape(tree: Any, shape: tuple[int, ...]) -> Any:
    return jax.tree.map(lambda x: x.reshape(shape), tree)
