"""The method Surrogate."""

import functools
import math
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray, PyTree

import saltation as st

from ._decode import DECODINGS, spike_times
from ._grid import Grid, arrivals, current_of, room_for, train_of
from ._shapes import SHAPES
from ._spike import spike
from ._stage import Stage, Trace, flow, run


class Surrogate(st.AbstractMethod):
    """Backpropagation through time on a grid, with a surrogate for the derivative of a spike: a biased baseline.

    Neurons go from grid point to grid point by their exact flow, and spike at a grid point where their guard is at or
    above 0, `s = 1[guard >= 0]`, with `ds/dguard = shape(slope guard)` in the backward pass. So this gradient is not
    the derivative of anything that is computed, also not of spike times: it is a direction that tends to reduce a loss.

    It takes neurons with a closed form: `LIF` and `IF` of any kind, `AtMostOnce` and `Refractory` ones; recurrence and
    delays. A spike or delay between two grid points counts at both, in proportion. A connection that feeds back takes
    at least one step.

    **Arguments:**

    - `step`: between two grid points, in the unit of time; `None` for a two-hundredth of the trial. The model is
      another one for each step; a twentieth of the smallest time constant is fine.
    - `shape`: "fast_sigmoid", "sigmoid", "triangular", "arctan" or "gaussian".
    - `slope`: how narrow the shape is, in one over the unit of the potential.
    - `decoding`: how spike times follow from the grid. "interpolated": between the two grid points around the crossing,
      with the derivative of that; "train": at the grid point, with the surrogate of the train.
    - `through_reset`: whether the surrogate also goes through the reset; usually it does not.
    - `max_spikes`: room for each neuron's spikes. More than that is reported, never dropped silently.

    **Raises:** `ValueError` for settings out of range.

    Neftci, Mostafa and Zenke, "Surrogate gradient learning in spiking neural networks", IEEE Signal Processing Magazine
    36 (2019).

    ```python
    solution = Surrogate(step=0.5).solve(net, {"in": st.Spikes.from_dense(times)}, t1=60.0)
    solution.spikes["out"].first()
    ```
    """

    provides: ClassVar[frozenset[str]] = frozenset({"spikes", "rates", "states", "final"})

    step: float | int | None = eqx.field(static=True, default=None)
    shape: str = eqx.field(static=True, default="fast_sigmoid")
    slope: float | int = eqx.field(static=True, default=5.0)
    decoding: str = eqx.field(static=True, default="interpolated")
    through_reset: bool = eqx.field(static=True, default=False)
    max_spikes: int = eqx.field(static=True, default=8)

    def __check_init__(self):
        for name, known in (("shape", tuple(SHAPES)), ("decoding", DECODINGS)):
            if getattr(self, name) not in known:
                raise ValueError(f"Surrogate got {name}={getattr(self, name)!r}; expected one of {list(known)}.")
        for name in ("step", "slope"):
            value = getattr(self, name)
            if value is not None and not (isinstance(value, int | float) and 0 < value < math.inf):
                raise ValueError(f"Surrogate got {name}={value}; expected a positive number.")
        if not isinstance(self.max_spikes, int) or self.max_spikes < 1:
            raise ValueError(f"Surrogate got max_spikes={self.max_spikes}; expected an integer >= 1.")

    def supports(self, network: st.Network) -> st.Support:
        for name, neuron in network.neurons.items():
            if neuron.noise() is not None:
                return st.Support(
                    False,
                    f"the neurons {name!r} are driven by noise, which this baseline does not draw. Use the method "
                    "'roughsde', or a neuron without noise.",
                )
            if neuron.closed_form() is None:
                return st.Support(
                    False,
                    f"the neurons {name!r} ({type(neuron).__name__}) have no closed form to go from grid point to grid "
                    "point by. Use LIF or IF neurons, or the method 'ode', which takes any neuron.",
                )
        for connection in network.connections:
            if isinstance(connection.synapse, st.Normalised):
                return st.Support(
                    False,
                    f"the connection {connection.source!r} -> {connection.target!r} is normalised over a batch, which "
                    "single spikes have no share of. Leave `Normalised` out, or use the method 'equilibrium'.",
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
        """The spikes at the grid points up to `t1`.

        **Raises:** as every method, and `ValueError` for a step longer than the trial.
        """
        st.check_stimulus(network, stimulus)
        st.check_supported(self, network)
        dtype, grid = st.common_dtype(network, stimulus), Grid.of(self.step, float(t1))
        network = st.resolved(network, key=key)
        start = {name: _start(network.neurons[name], name, initial, dtype) for name in network.neurons}
        at = jnp.zeros(0, dtype) if save.states_at is None else save.states_at.astype(dtype)
        fires = functools.partial(spike, shape=SHAPES[self.shape], slope=float(self.slope))
        trains = {name: train_of(s, grid, dtype) for name, s in stimulus.items() if isinstance(s, st.Spikes)}
        currents = {name: s for name, s in stimulus.items() if isinstance(s, st.Current)}
        traces: dict[str, Trace] = {}
        states: dict[str, Any] = {}
        final: dict[str, Any] = {}
        for part in network.stages():
            stage = _stage(network, part.populations, start, trains, currents, grid, dtype)
            keep = save.states_at is not None
            found, last = run(stage, grid, fires, through_reset=self.through_reset, keep_states=keep, dtype=dtype)
            for name, neuron in stage.neurons.items():
                shape = network.neurons[name].shape
                traces[name], trains[name] = found[name], found[name].spikes
                current = stage.current[name]
                rest = jnp.asarray(max(t1 - grid.step * grid.last, 0.0), dtype)
                ended = flow(neuron, last[name], rest, current if current.ndim == 1 else current[-1], grid.step)
                final[name] = _shaped(ended, shape)
                if keep:
                    states[name] = _shaped(_states_at(neuron, found[name].states, current, at, grid), (at.size, *shape))
        times, stats = self._decoded(network, traces, grid)
        counts = {name: jnp.sum(trace.spikes, axis=0) for name, trace in traces.items()}
        return st.finish(
            st.Solution(
                spikes={name: st.Spikes.from_dense(times[name]) for name in network.neurons} if save.spikes else None,
                rates={name: count / t1 for name, count in counts.items()} if save.rates else None,
                states=states if save.states_at is not None else None,
                final=final,
                updates={},
                stats=stats,
                result=self._result(network, stimulus, traces, stats, at, t1),
            ),
            throw=throw,
        )

    def _decoded(self, network, traces: dict[str, Trace], grid: Grid) -> tuple[dict[str, Array], dict[str, Any]]:
        times = {
            name: spike_times(trace, grid, self._room(network.neurons[name]), self.decoding)
            for name, trace in traces.items()
        }
        counts, slopes = {}, {}
        for name, trace in jax.lax.stop_gradient(traces).items():
            counts[name] = jnp.sum(trace.spikes, axis=0).astype(jnp.int32)
            slope = (trace.guard - trace.before) / grid.step
            slopes[name] = jnp.min(jnp.where(trace.spikes > 0, slope, jnp.inf))
        return times, {"spike_count": counts, "min_slope": slopes}

    def _room(self, neuron: st.AbstractNeuron) -> int:
        constants = neuron.lif()
        return 1 if constants is not None and constants.at_most_once else self.max_spikes

    def _result(self, network, stimulus, traces, stats, at: Array, t1: float) -> st.RESULTS:
        """How it ended: what is wrong with the values, the most serious thing last."""
        times = [source.time for source in stimulus.values() if isinstance(source, st.Spikes)]
        values = [leaf for leaf in jax.tree.leaves((network, dict(stimulus))) if eqx.is_inexact_array(leaf)]
        delays = [d for c in network.connections for d in _delays(c)]
        # Comparisons with NaN are false, so each test is written as what must hold.
        good = [jnp.all(value >= 0) for value in (*times, *delays)]
        good += [jnp.all(jnp.abs(leaf) < jnp.inf) for leaf in values if not any(leaf is time for time in times)]
        armed = jnp.all(jnp.stack([jnp.all(trace.before[0] < 0) for trace in traces.values()]))
        full = jnp.stack([jnp.any(stats["spike_count"][name] > self._room(network.neurons[name])) for name in traces])
        in_order = jnp.all((at >= 0) & (at <= t1)) & ~jnp.any(at[1:] < at[:-1])
        result = st.RESULTS.where(armed, st.RESULTS.successful, st.RESULTS.guard_at_start)
        result = st.RESULTS.where(jnp.any(full), st.RESULTS.max_spikes_reached, result)
        result = st.RESULTS.where(in_order, result, st.RESULTS.bad_save_times)
        return st.RESULTS.where(jnp.all(jnp.stack(good)), result, st.RESULTS.non_finite_input)


def _start(neuron: st.AbstractNeuron, name: str, initial: dict[str, PyTree] | None, dtype) -> Any:
    state = initial[name] if initial is not None and name in initial else neuron.init()
    return jax.tree.map(lambda leaf: jnp.asarray(leaf).astype(dtype).reshape(neuron.size), state)


def _stage(network, names, start, trains, currents, grid: Grid, dtype) -> Stage:
    neurons = {name: _flat(network.neurons[name], name, dtype) for name in names}
    kicks: dict[str, dict[str, Array]] = {name: {} for name in names}
    current = {name: jnp.zeros(network.size(name), dtype) for name in names}
    links, room = [], {}
    for name in names:
        for _, connection in network.incoming(name):
            source = connection.source
            if source in names:
                links.append(connection)
                room[source] = max(room.get(source, 1), room_for(connection, grid))
            elif source in currents:
                current[name] = _added(current[name], _drive(connection, currents[source], grid, dtype))
            else:
                kick = arrivals(trains[source], connection, grid)
                known = kicks[name].get(connection.port)
                kicks[name][connection.port] = kick if known is None else known + kick
    return Stage(neurons, {name: start[name] for name in names}, kicks, current, tuple(links), room)


def _drive(connection: st.Connection, current: st.Current, grid: Grid, dtype) -> Array:
    if connection.delay is not None:
        raise ValueError(
            f"The connection {connection.source!r} -> {connection.target!r} got a current and a delay; expected no "
            "delay. Delay the current itself: Current(value, start=start + delay)."
        )
    return current_of(current, connection.synapse, grid, dtype)


def _added(one: Array, other: Array) -> Array:
    """The sum of two currents, constant or not."""
    if one.ndim == other.ndim:
        return one + other
    constant, changing = (one, other) if one.ndim == 1 else (other, one)
    return changing + constant[None, :]


def _flat(neuron: st.AbstractNeuron, name: str, dtype) -> st.AbstractNeuron:
    """The neuron with parameters of a population that is indexed flattened."""

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


def _states_at(neuron, states: Any, current: Array, at: Array, grid: Grid) -> Any:
    """The states at any times `[S]`: those of the last grid point before, and the exact flow from there."""
    row = jnp.clip(jax.lax.stop_gradient(jnp.floor(at / grid.step + 1e-6)).astype(jnp.int32), 0, grid.last)
    rest = at - grid.step * row.astype(at.dtype)
    # Not by jnp.maximum, whose derivative vanishes where a compiler rounds the difference in two ways.
    rest = jnp.where(rest < 0, 0.0, rest)

    def one(row: Array, rest: Array) -> Any:
        now = current if current.ndim == 1 else current[row + 1]
        return flow(neuron, jax.tree.map(lambda leaf: leaf[row], states), rest, now, grid.step)

    return jax.vmap(one)(row, rest)


def _shaped(tree: Any, shape: tuple[int, ...]) -> Any:
    return jax.tree.map(lambda leaf: leaf.reshape(shape), tree)


def _delays(connection: st.Connection) -> list[Array]:
    if connection.delay is None:
        return []
    sizes, delay = connection.synapse.sizes(), connection.delay
    parts = (delay.per_source(*sizes), delay.per_target(*sizes), delay.per_synapse(*sizes))
    return [part for part in parts if part is not None]
