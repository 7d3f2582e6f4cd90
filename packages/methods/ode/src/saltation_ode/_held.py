"""Neurons that wait: where a replay's spike was observed after the model's own flow has run away.

A quadratic or exponential neuron reaches infinity in finite time. One that is observed to spike later than that is held
on the way there: its guard stays what it is and everything else of its state goes on. At the spike `-dg / (dg/dt)` is
then how the time moves at which it got there.
"""

import functools
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array

import saltation as st

from ._component import Component

# A straight line from the threshold takes as long as the neuron has been above it; one that runs away is ever steeper.
_STEEP = 20.0


class Waiting(NamedTuple):
    """Who waits, dictionaries by population."""

    since: dict[str, Array]  # [n], when the guard was last below zero
    held: dict[str, Array]  # [n], bools


class Held(st.AbstractODENeuron):
    """A neuron whose flow does not move its guard where `held`, `[n]`."""

    neuron: st.AbstractNeuron
    held: Array
    shape: tuple[int, ...] = eqx.field(converter=st.population_shape, static=True, default=())

    def init(self, *, key=None):
        return self.neuron.init(key=key)

    def vector_field(self, t, state, current):
        flow = self.neuron.vector_field(t, state, current)
        guard, gradient = jax.vjp(self.neuron.guard, state)
        (normal,) = gradient(jnp.ones_like(guard))
        along = _dot(normal, flow) / jnp.where(self.held, _dot(normal, normal), 1.0)
        return jax.tree.map(lambda f, g: jnp.where(self.held, f - along * g, f), flow, normal)

    def guard(self, state):
        return self.neuron.guard(state)

    def reset(self, state, *, key=None):
        return self.neuron.reset(state, key=key)

    def receive(self, state, kick, port):
        return self.neuron.receive(state, kick, port)

    def observe(self, state):
        return self.neuron.observe(state)


def start_waiting(component: Component) -> Waiting | None:
    """At the start of a replay step by step; `None` where nobody ever waits."""
    if component.observed is None or component.closed:
        return None
    nothing = {name: jnp.zeros(component.size(name), component.dtype) for name in component.neurons}
    return Waiting(nothing, {name: jnp.zeros(component.size(name), bool) for name in component.neurons})


def moved(neurons: dict[str, Any], held: dict[str, Array] | None) -> dict[str, Any]:
    """The neurons as they flow, with who is `held`."""
    return neurons if held is None else {name: Held(neuron=neuron, held=held[name]) for name, neuron in neurons.items()}


def wait(component: Component, waiting: Waiting, t: Array, state, drive, h_free: Array) -> Waiting:
    """Who waits from `t` on: who is above the threshold and ever steeper, or moves faster than the clock resolves."""
    since, held = {}, {}
    for name, neuron in component.neurons.items():
        flow = neuron.vector_field(t, state[name], drive[name])
        guard, slope = jax.jvp(neuron.guard, (state[name],), (flow,))
        since[name] = jnp.where(guard < 0, t, waiting.since[name])
        away = (slope * (t - since[name]) > _STEEP * guard) | (h_free < 16 * jnp.finfo(t.dtype).eps * t)
        held[name] = waiting.held[name] | ((guard >= 0) & (slope > 0) & away)
    return Waiting(since, held)


def _dot(one, other) -> Array:
    return functools.reduce(jnp.add, jax.tree.leaves(jax.tree.map(jnp.multiply, one, other)))
