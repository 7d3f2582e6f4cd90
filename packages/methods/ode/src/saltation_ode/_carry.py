"""What a search carries from one iteration to the next."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array

from ._component import Component
from ._held import Waiting, start_waiting


class Carry(NamedTuple):
    t: Array
    state: dict[str, Any]
    drive: dict[str, Array]
    armed: dict[str, Array]
    due: Array  # [all neurons], whose own crossing is at this instant, beside that of a neuron that has spiked
    count: dict[str, Array]
    times: dict[str, Array]
    iteration: dict[str, Array]
    min_slope: dict[str, Array]
    flat: dict[str, Array]
    arrived: dict[str, Array]
    delivered: tuple[Array, ...]
    sampled: Array
    samples_taken: Array
    samples: dict[str, Any] | None
    h_free: Array  # what the step-size control would take
    h_trial: Array  # where a crossing is expected, `inf` if none is
    going: Array  # whether there is more to find
    waiting: Waiting | None  # in a replay step by step
    diverged: Array
    guard_at_start: Array  # whether a neuron is at or above its threshold at the start, or after a reset


def start(component: Component, first_step: float, keep: bool) -> Carry:
    dtype = component.dtype
    no, zero = jnp.zeros((), bool), jnp.zeros((), dtype)
    room = {name: (component.size(name), component.max_spikes) for name in component.neurons}
    armed = {name: neuron.guard(component.state[name]) < 0 for name, neuron in component.neurons.items()}
    above = jnp.any(jnp.stack([jnp.any(~a) for a in armed.values()]))
    number = component.samples.shape[0]
    return Carry(
        t=zero,
        state=component.state,
        drive=component.drive,
        armed=armed,
        due=jnp.zeros(sum(component.size(name) for name in component.neurons), bool),
        count={name: jnp.zeros(n, jnp.int32) for name, (n, _) in room.items()},
        times={name: jnp.full(shape, jnp.inf, dtype) for name, shape in room.items()},
        iteration={name: jnp.zeros(shape, jnp.int32) for name, shape in room.items()},
        min_slope={name: jnp.full(n, jnp.inf, dtype) for name, (n, _) in room.items()},
        flat={name: jnp.zeros(n, jnp.int32) for name, (n, _) in room.items()},
        arrived={name: jnp.zeros(arrivals.time.shape[1:], jnp.int32) for name, arrivals in component.arrivals.items()},
        delivered=tuple(jnp.zeros(link.delay.shape, jnp.int32) for link in component.links),
        sampled=jnp.zeros(component.samples.shape, jnp.int32),
        samples_taken=jnp.zeros((), jnp.int32),
        samples=None if keep else jax.tree.map(lambda x: jnp.zeros((number, *x.shape), x.dtype), component.state),
        h_free=jnp.full((), first_step, dtype),
        h_trial=jnp.full((), jnp.inf, dtype),
        going=~no,
        waiting=start_waiting(component),
        diverged=no,
        guard_at_start=above,
    )
