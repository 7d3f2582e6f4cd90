"""A component: populations that are solved together, with everything that reaches them from outside."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

import saltation as st

from ._flow import AbstractFlow


class Lookup(eqx.Module):
    """What each of `N` spikes delivers, as its unit: the rows `[N, n]` are put together where they are needed.

    Of a wide layer, those of a batch would fill the memory.
    """

    synapse: st.AbstractSynapse
    index: Int[Array, " N"]

    def rows(self) -> Float[Array, "N n"]:
        return jax.vmap(self.synapse.kick)(self.index)


class Arrivals(eqx.Module):
    """What reaches a population of `n` from outside its component, in order of time.

    - `time`: `[N]`, or `[N, n]` where each neuron has its own order (dendritic and synaptic delays); `inf` for none.
    - `kicks`: `[N, n]` for each port, or how to look them up.
    - `steps`: `[N, n]` changes of the external current, `None` if it is constant.
    """

    time: Float[Array, "N *n"]
    kicks: dict[str, Float[Array, "N n"] | Lookup]
    steps: Float[Array, "N n"] | None

    @property
    def own_order(self) -> bool:
        return self.time.ndim == 2


class Link(eqx.Module):
    """A connection inside a component: `kicks[pre, post]`, and its delay `[pre]` or `[pre, post]`.

    No delay is below `minimum`, a number. Where it is not `delayed`, all are known to be zero.
    """

    source: str = eqx.field(static=True)
    target: str = eqx.field(static=True)
    port: str = eqx.field(static=True)
    kicks: Float[Array, "pre post"]
    delay: Float[Array, "pre *post"]
    minimum: float = eqx.field(static=True, default=0.0)
    delayed: bool = eqx.field(static=True, default=True)


class Component(eqx.Module):
    """Populations that share a clock.

    - `state`, `drive`: each population's state and external current at time 0, arrays of `[n]`.
    - `samples`: times `[S]` at which states are kept.
    - `observed`: spike times `[n, max_spikes]` that are given, in order; `None` if they are to be found.
    - `slope_floor`: the least slope of a guard that the derivative of a spike time is taken with.
    """

    neurons: dict[str, st.AbstractNeuron]
    flows: dict[str, AbstractFlow]
    state: dict[str, Any]
    drive: dict[str, Float[Array, " n"]]
    arrivals: dict[str, Arrivals]
    links: tuple[Link, ...]
    samples: Float[Array, " S"]
    t1: float = eqx.field(static=True)
    max_spikes: int = eqx.field(static=True)
    observed: dict[str, Float[Array, "n K"]] | None = None
    slope_floor: float = eqx.field(static=True, default=0.0)

    @property
    def closed(self) -> bool:
        """Whether every population has a closed form; then no step is ever rejected."""
        return not any(flow.is_numerical for flow in self.flows.values())

    @property
    def alone(self) -> bool:
        """Whether it is one neuron, to which nothing of its own returns."""
        return not self.links and sum(self.size(name) for name in self.neurons) == 1

    @property
    def dtype(self):
        return self.samples.dtype

    def looked_up(self) -> "Component":
        """The same, with all kicks as arrays."""
        arrivals = {
            name: Arrivals(
                each.time,
                {
                    port: kicks.rows().astype(self.dtype) if isinstance(kicks, Lookup) else kicks
                    for port, kicks in each.kicks.items()
                },
                each.steps,
            )
            for name, each in self.arrivals.items()
        }
        return eqx.tree_at(lambda c: c.arrivals, self, arrivals)

    def schedules(self, name: str) -> bool:
        """Whether the population's neurons may schedule events of their own."""
        return type(self.neurons[name]).next_timer is not st.AbstractODENeuron.next_timer

    def size(self, name: str) -> int:
        return self.drive[name].shape[0]

    def event_bound(self) -> int:
        """No solution has more events than this."""
        bound = 1 + self.samples.shape[0]
        for name, arrivals in self.arrivals.items():
            bound += arrivals.time.size
            events = 2 if self.schedules(name) else 1  # each spike may schedule one timer
            bound += events * self.size(name) * self.max_spikes
        for link in self.links:
            bound += link.delay.size * self.max_spikes
        return bound

    def offsets(self) -> dict[str, int]:
        """Where each population's neurons start in a flat numbering of all neurons."""
        offsets, total = {}, 0
        for name in self.neurons:
            offsets[name] = total
            total += self.size(name)
        return offsets


def split_lanes(component: Component) -> tuple[Component, Component]:
    """A component without links as components of one neuron each, side by side.

    **Returns:** the arrays that each neuron has of its own, with a leading axis over neurons (`[n]` becomes `[n, 1]`),
    and everything else, to be combined by `eqx.combine` under `jax.vmap`.
    """
    (name,) = component.neurons
    arrivals = component.arrivals[name]

    def own(x):
        return jnp.moveaxis(x, -1, 0)[..., None]

    def own_if_vector(x):
        return own(x) if eqx.is_array(x) and x.ndim > 0 else x

    # Not by `Arrivals(...)`: it is one lane's, and has the axis over neurons until `vmap` takes it away.
    lanes = jax.tree.map(own, eqx.tree_at(lambda a: a.time, arrivals, None))
    time = jnp.moveaxis(arrivals.time, 1, 0) if arrivals.own_order else arrivals.time
    wide = eqx.tree_at(
        lambda c: (c.neurons, c.state, c.drive, c.arrivals, c.observed),
        component,
        (
            jax.tree.map(own_if_vector, component.neurons),
            jax.tree.map(own, component.state),
            jax.tree.map(own, component.drive),
            {name: eqx.tree_at(lambda a: a.time, lanes, time, is_leaf=lambda x: x is None)},
            None if component.observed is None else {name: component.observed[name][:, None, :]},
        ),
        is_leaf=lambda x: x is None,
    )
    mask = jax.tree.map(eqx.is_array, wide)
    mask = eqx.tree_at(
        lambda c: (c.neurons, c.samples, c.arrivals[name].time),
        mask,
        (
            jax.tree.map(lambda x: eqx.is_array(x) and x.ndim > 0, wide.neurons),
            False,
            arrivals.own_order,
        ),
    )
    return eqx.partition(wide, mask)
