"""One tried step of a search: how long it is, where it ends, and who crosses the threshold there."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array

import saltation as st

from ._carry import Carry
from ._component import Component
from ._fence import apart
from ._flow import Attempt, resolution_at
from ._held import moved
from ._next import join, upcoming

_SAFETY, _SHRINK, _GROW = 0.9, 0.2, 5.0
_HALF, _RECOVER = 0.5, 2.0  # of fixed steps
_TRIES = 2  # in an iteration; the samples of a batch wait for each other


class _Control(NamedTuple):
    h_free: Array
    h_trial: Array
    diverged: Array


class _Step(NamedTuple):
    h: Array
    crossed: Array  # [all neurons], who spikes at its end
    accepted: Array
    reached: Array  # whether it ends at the next event that was known
    control: _Control
    state: dict[str, Any]
    rise: dict[str, Array]  # the slope of each guard there


def closed_step(component: Component, carry: Carry, remaining: Array, instant: Array, running: Array):
    """A step to the next event, and who crosses the threshold there: the exact flow is never rejected."""
    if component.observed is None:
        crossing = join(_crossings(component, carry, remaining, running))
    else:
        crossing = join([upcoming(component.observed[name], carry.count[name]) - carry.t for name in component.neurons])
    first = jnp.min(crossing)
    spike = (first <= remaining) & ~instant
    h = jnp.where(spike, jnp.maximum(first, 0.0), remaining)
    crossed = spike & (crossing <= h + resolution_at(carry.t + h))
    control = _Control(carry.h_free, carry.h_trial, jnp.zeros((), bool))
    yes = jnp.ones((), bool)
    return h, crossed, yes, yes, control


def numerical_step(component: Component, carry: Carry, remaining: Array, instant: Array, running: Array):
    """A step of the length that the error control, the next event and an expected crossing allow.

    One that is rejected, or has a crossing inside, is tried again at once where neurons share a clock: they stop so
    often that most steps are. Of neurons with a clock each it would make all wait for a few.
    """
    if carry.due.shape[0] == 1:
        return _try(component, carry, remaining, instant, running)

    def tried(loop):
        i, h_free, h_trial, _ = loop
        step = _try(component, carry._replace(h_free=h_free, h_trial=h_trial), remaining, instant, running)
        h_free = jnp.where(step.accepted, h_free, step.control.h_free)
        h_trial = jnp.where(step.accepted, h_trial, step.control.h_trial)
        return i + 1, h_free, h_trial, step

    def again(loop):
        i, _, _, step = loop
        return (i < _TRIES) & st.anywhere(~step.accepted & carry.going)

    no = jnp.zeros((), bool)
    control = _Control(carry.h_free, carry.h_trial, no)
    untried = _Step(carry.h_free, carry.due, no, no, control, carry.state, carry.min_slope)
    return lax.while_loop(again, tried, (jnp.zeros((), jnp.int32), carry.h_free, carry.h_trial, untried))[-1]


def _try(component: Component, carry: Carry, remaining: Array, instant: Array, running: Array) -> _Step:
    h = jnp.minimum(_even(remaining, carry.h_free), carry.h_trial)
    attempts = _attempts(component, carry, h, running)
    error = jnp.max(jnp.stack([attempt.error for attempt in attempts]))
    crossing = join([attempt.crossing for attempt in attempts])
    approach = join([attempt.approach for attempt in attempts])
    resolution = resolution_at(carry.t + h)

    good = (error <= 1) | instant
    located = join([attempt.located for attempt in attempts]) & (h + approach <= remaining + resolution)
    when = jnp.where(located, h + approach, crossing)
    first = jnp.min(when)
    crossed = located & (when <= first + resolution)
    spike = good & jnp.any(crossed) & ~instant
    inside = good & jnp.isfinite(jnp.min(crossing)) & ~spike & ~instant
    accepted = good & ~inside
    reached = accepted & (h >= remaining)

    # A crossing inside the step, or one that is expected next: try the step that ends there.
    h_trial = jnp.where(inside, jnp.min(crossing), jnp.where(spike | ~accepted | reached, jnp.inf, jnp.min(approach)))
    control = _control(component, carry, h, h_trial, error, good, ~(instant | inside))
    # A step that ends beside a spike goes on to it, or back.
    left = jnp.where(spike, jnp.minimum(first, remaining) - h, 0.0)
    state = {
        name: jax.tree.map(lambda x, slope: jnp.where(spike, x + left * slope, x), attempt.end, attempt.slope)
        for name, attempt in zip(component.neurons, attempts, strict=True)
    }
    rise = {name: attempt.rise for name, attempt in zip(component.neurons, attempts, strict=True)}
    return _Step(h + left, spike & crossed, accepted, reached, control, state, rise)


def _even(remaining: Array, longest: Array) -> Array:
    """The first of equal steps that are as few as they can be, and no longer than `longest`."""
    return remaining / jnp.maximum(jnp.ceil(remaining / longest), 1.0)


def replayed_step(component: Component, carry: Carry, remaining: Array, running: Array):
    """A step of the length that the error control, the next event and the next observed spike allow."""
    assert component.observed is not None
    due = join([upcoming(component.observed[name], carry.count[name]) - carry.t for name in component.neurons])
    first = jnp.min(due)
    target = jnp.minimum(remaining, jnp.maximum(first, 0.0))
    h = _even(target, carry.h_free)
    attempts = _attempts(component, carry, h, running)
    error = jnp.max(jnp.stack([attempt.error for attempt in attempts]))
    good = error <= 1
    spike = good & (first <= remaining) & (h >= target)
    control = _control(component, carry, h, carry.h_trial, error, good, jnp.ones((), bool))
    state = {name: attempt.end for name, attempt in zip(component.neurons, attempts, strict=True)}
    return h, spike & (due <= h), good, good & (h >= remaining), control, state


def _control(component: Component, carry: Carry, h, h_trial, error, good, tells) -> _Control:
    """The step-size control after a step of `h`, which `tells` something of the next one or not."""
    order = min(flow.order for flow in component.flows.values())  # pyright: ignore
    step = next(iter(component.flows.values())).step
    if step is None:
        factor = jnp.clip(_SAFETY * jnp.maximum(error, 1e-10) ** (-1.0 / order), _SHRINK, _GROW)
        suggested = h * jnp.where(jnp.isfinite(error), factor, _SHRINK)
        # A step that something else has cut short says nothing against the long one.
        grown = jnp.where(h < carry.h_free, jnp.maximum(carry.h_free, suggested), suggested)
        h_free = jnp.where(good, grown, suggested)
    else:
        # A fixed step that runs away is tried again shorter: there may be a crossing on the way.
        h_free = jnp.where(good, jnp.minimum(_RECOVER * carry.h_free, step), _HALF * h)
    h_free = jnp.where(tells, h_free, carry.h_free)
    smallest = component.t1 * jnp.finfo(h.dtype).eps ** 2
    diverged = ~jnp.isfinite(error) & (h < smallest) & (h > 0) & carry.going
    return _Control(h_free.astype(h.dtype), h_trial.astype(h.dtype), diverged)


def _crossings(component: Component, carry: Carry, h: Array, running: Array) -> list[Array]:
    def crossing(name, neuron):
        flow: Any = component.flows[name]
        return flow.crossing(neuron, carry.state[name], h, carry.drive[name])

    everyone = component.neurons.items()
    return apart(running, lambda: [crossing(name, neuron) for name, neuron in everyone])


def _attempts(component: Component, carry: Carry, h: Array, running: Array) -> list[Attempt]:
    neurons = moved(component.neurons, None if carry.waiting is None else carry.waiting.held)

    def attempt(name, neuron):
        flow: Any = component.flows[name]
        return flow.attempt(neuron, carry.t, carry.state[name], h, carry.drive[name])

    return apart(running, lambda: [attempt(name, neuron) for name, neuron in neurons.items()])
