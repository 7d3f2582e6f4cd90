"""Recurrent leaky integrate-and-fire neurons with delays as data: what a component is, for an advance in slices."""

import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array

import saltation as st

from ._component import Arrivals, Component, Lookup


class Constants(eqx.Module):
    """Constants of the neurons, numbers or `[n]`, and their constant current `[n]`; potentials from the leak."""

    tau_mem: Any
    tau_syn: Any
    theta: Any
    v_reset: Any
    drive: Array

    def of(self, lanes: Array) -> "Constants":
        """Those of some of the neurons."""
        return jax.tree.map(lambda x: x[lanes] if eqx.is_array(x) and x.ndim else x, self)


class Rooms(eqx.Module):
    """What one slice has room for; a slice that would hold more ends before."""

    external: int = eqx.field(static=True)  # arrivals from outside
    internal: int = eqx.field(static=True)  # from inside, or spikes on their way where each neuron has its own order
    spikes: int = eqx.field(static=True)
    slices: int = eqx.field(static=True)


class SliceLayer(eqx.Module):
    """All populations of a component side by side, as `n` neurons.

    A wire leads from one neuron through one connection: it has a row of `kicks` `[wires, n]`, and a delay `[wires]`, or
    `[wires, n]` where the neurons that it reaches have their own. `time` of the arrivals from outside is `[N]` or
    `[N, n]` accordingly, with what they deliver, `[N, n]` or looked up.
    """

    constants: Constants
    v: Array
    i: Array
    time: Array
    external: Array | Lookup
    kicks: Array
    delay: Array
    samples: Array
    observed: Array | None  # [n, K], spikes that are given
    links: tuple[tuple[int, int], ...] = eqx.field(static=True)  # the first source and the number of sources of each
    once: tuple[tuple[int, bool], ...] = eqx.field(static=True)  # size and whether it spikes once, by population
    length: float = eqx.field(static=True)
    t1: float = eqx.field(static=True)
    max_spikes: int = eqx.field(static=True)
    slope_floor: float = eqx.field(static=True)
    rooms: Rooms

    @property
    def size(self) -> int:
        return self.v.shape[0]

    @property
    def own_order(self) -> bool:
        """Whether each neuron has its own order of the spikes from inside."""
        return self.delay.ndim == 2

    def wire_source(self) -> Array:
        """The neuron that each wire leads from, `[wires]`."""
        return jnp.concatenate([jnp.arange(first, first + number, dtype=jnp.int32) for first, number in self.links])

    def spikes_once(self) -> Array:
        """Which neurons spike once a trial, `[n]`."""
        return jnp.concatenate([jnp.full(size, once) for size, once in self.once])


def not_sliceable(component: Component) -> str | None:
    """Why a cyclic component cannot be advanced in slices, `None` if it can."""
    for name, neuron in component.neurons.items():
        constants, arrivals = neuron.lif(), component.arrivals[name]
        if not component.closed or constants is None or not _is_leaky(constants):
            return f"the neurons {name!r} are not leaky integrate-and-fire neurons that are solved by their closed form"
        if arrivals.steps is not None or set(arrivals.kicks) - {"current"}:
            return f"the neurons {name!r} get a current that changes, or spikes on a port other than 'current'"
    for link in component.links:
        if link.minimum <= 0:
            return (
                f"the connection {link.source!r} -> {link.target!r} has no least delay; give it one, such as "
                "Delay(value, minimum=1.0)"
            )
        if link.port != "current":
            return f"the connection {link.source!r} -> {link.target!r} ends at the port {link.port!r}"
    return None


def pays(component: Component) -> bool:
    """Whether there are events enough for each slice, if a third of the room for spikes is used.

    A slice costs about as much as four events of the joint search.
    """
    sent = sum(component.size(name) for name in component.neurons) + sum(link.delay.size for link in component.links)
    events = sum(arrivals.time.size for arrivals in component.arrivals.values()) + sent * component.max_spikes / 3
    return 4 * component.t1 / least_delay(component) <= events


def least_delay(component: Component) -> float:
    return min(link.minimum for link in component.links)


def slice_layer(component: Component, max_steps: int | None) -> SliceLayer:
    """The component, of which `not_sliceable` is `None`."""
    names = list(component.neurons)
    records = [record for record in (neuron.lif() for neuron in component.neurons.values()) if record is not None]
    assert len(records) == len(names)
    sizes = [component.size(name) for name in names]
    n = sum(sizes)
    dtype = component.dtype
    state = [component.state[name] for name in names]
    leak = [record.v_leak for record in records]
    constants = Constants(
        _joined([record.tau_mem for record in records], sizes, dtype),
        _joined([record.tau_syn for record in records], sizes, dtype),
        _joined([record.v_threshold - record.v_leak for record in records], sizes, dtype),
        _joined([record.v_reset - record.v_leak for record in records], sizes, dtype),
        jnp.concatenate([component.drive[name] for name in names]),
    )
    time, external = _side_by_side(component)
    offsets = component.offsets()
    links = tuple((offsets[link.source], link.kicks.shape[0]) for link in component.links)
    kicks = jnp.concatenate([_widened(link.kicks, offsets[link.target], n) for link in component.links])
    if all(link.delay.ndim == 1 for link in component.links):
        delay = jnp.concatenate([link.delay for link in component.links])
    else:
        delay = jnp.concatenate([_delay_to_all(link, offsets[link.target], n) for link in component.links])
    observed = component.observed
    if observed is not None:
        observed = jnp.concatenate([observed[name] for name in names])
    length = least_delay(component)
    grid = math.ceil(component.t1 / length)
    rooms = _rooms(component, grid, time.shape[0], kicks.shape[0], n, delay.ndim == 2, max_steps)
    spare = rooms.external + 1  # a window that starts at the last arrival
    padding = [(0, spare)] + [(0, 0)] * (time.ndim - 1)
    if isinstance(external, Lookup):
        external = Lookup(external.synapse, jnp.pad(external.index, (0, spare), constant_values=-1))
    else:
        external = jnp.pad(external, ((0, spare), (0, 0)))
    return SliceLayer(
        constants=constants,
        v=jnp.concatenate([x.v - v for x, v in zip(state, leak, strict=True)]),
        i=jnp.concatenate([x.i for x in state]),
        time=jnp.pad(time, padding, constant_values=jnp.inf),
        external=external,
        kicks=kicks,
        delay=delay,
        samples=component.samples,
        observed=observed,
        links=links,
        once=tuple((size, record.at_most_once) for size, record in zip(sizes, records, strict=True)),
        length=length,
        t1=component.t1,
        max_spikes=component.max_spikes,
        slope_floor=component.slope_floor,
        rooms=rooms,
    )


def _rooms(component, grid, arrivals, wires, n, own, max_steps) -> Rooms:
    """For a slice that holds somewhat more than its share; one that would hold more is cut.

    Of the arrivals from outside it is known how many there are. Of spikes, a third of those that there is room for.
    """
    spikes = n * component.max_spikes

    def share(total, least, most):
        return min(max(least, 8 * math.ceil(1.5 * total / grid / 8)), most, total)

    external = share(arrivals, 8, 64)
    more = 0 if max_steps is None else max_steps
    if own:
        # Spikes on their way: some of each neuron.
        internal = min(spikes, max(32, n) + more)
        cuts = 0
    else:
        internal = min(share(wires * component.max_spikes // 3, 8, 64), wires)
        cuts = math.ceil(wires * component.max_spikes / internal)
    firing = min(share(spikes // 3, 8, 64), n)
    cuts = cuts + math.ceil(spikes / firing) + math.ceil(arrivals / max(external, 1))
    slices = grid + component.samples.shape[0] + cuts + (grid // 2 + 32 if max_steps is None else max_steps)
    return Rooms(external, internal, firing, slices)


def _is_leaky(constants: st.LIFDynamics) -> bool:
    return isinstance(constants.g_leak, int | float) and constants.g_leak == 1.0


def _joined(values: list[Any], sizes: list[int], dtype) -> Any:
    """A constant of all neurons: a number where it is one for all, since the value of a number chooses formulas."""
    if all(isinstance(value, int | float) for value in values) and len(set(values)) == 1:
        return values[0]
    return jnp.concatenate([jnp.broadcast_to(jnp.asarray(x, dtype), (n,)) for x, n in zip(values, sizes, strict=True)])


def _widened(rows: Array, first: int, n: int) -> Array:
    """Rows for one population as rows for all neurons."""
    return jnp.pad(rows, ((0, 0), (first, n - first - rows.shape[1])))


def _delay_to_all(link, first: int, n: int) -> Array:
    pre, post = link.kicks.shape
    delay = jnp.broadcast_to(link.delay[:, None], (pre, post)) if link.delay.ndim == 1 else link.delay
    # Where a wire ends nowhere it delivers nothing, whenever that is.
    return jnp.pad(delay, ((0, 0), (first, n - first - post)), constant_values=link.minimum)


def _side_by_side(component: Component) -> tuple[Array, Array | Lookup]:
    """The arrivals of all populations from outside."""
    dtype = component.dtype
    if len(component.neurons) == 1:
        (name,) = component.neurons
        arrivals = component.arrivals[name]
        nothing = jnp.zeros((arrivals.time.shape[0], component.size(name)), dtype)
        return arrivals.time, arrivals.kicks.get("current", nothing)
    parts, n = component.looked_up().arrivals, sum(component.size(name) for name in component.neurons)
    offsets = component.offsets()
    rows: dict[str, Any] = {
        name: part.kicks.get("current", jnp.zeros((part.time.shape[0], component.size(name)), dtype))
        for name, part in parts.items()
    }
    if not any(part.own_order for part in parts.values()):
        time = jnp.concatenate([part.time for part in parts.values()])
        order = st.argsort_times(time)
        kicks = jnp.concatenate([_widened(rows[name], offsets[name], n) for name in parts])
        return time[order], kicks[order]
    longest = max(part.time.shape[0] for part in parts.values())

    def filled(x, value):
        return jnp.pad(x, ((0, longest - x.shape[0]), (0, 0)), constant_values=value)

    def own(part: Arrivals, size: int):
        return part.time if part.own_order else jnp.broadcast_to(part.time[:, None], (part.time.shape[0], size))

    times = [filled(own(part, component.size(name)), jnp.inf) for name, part in parts.items()]
    return jnp.concatenate(times, axis=1), jnp.concatenate([filled(rows[name], 0.0) for name in parts], axis=1)
