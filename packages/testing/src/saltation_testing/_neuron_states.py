"""States that a neuron may meet: at rest, on its way, at its threshold, just after a spike."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from saltation import AbstractNeuron

_STEPS = 4000
_LEVELS = (1.0, 3.0, 10.0, 100.0, 1e3, 1e4)


def states_of(neuron: AbstractNeuron, port: str, duration: float) -> dict[str, Any]:
    """States by name, every leaf of the population's shape.

    A drive that is strong enough to make every unit spike within `duration` is looked for by trial.
    """
    level, threshold = _driven(neuron, port, duration)
    rng = np.random.default_rng(0)
    states = {"at the start": neuron.init(), "at the threshold": threshold, "after a spike": neuron.reset(threshold)}
    for name, sign in (("excited", 0.3), ("inhibited", -0.3)):
        kick = jnp.asarray(sign * level * rng.uniform(0.2, 1.0, neuron.shape))
        start = neuron.receive(neuron.init(), kick, port)
        states[name] = _flow(neuron, start, jnp.zeros(neuron.shape), 0.3 * duration, 400)
    return states


def currents_of(neuron: AbstractNeuron) -> jax.Array:
    """Some current for each unit."""
    return jnp.asarray(np.random.default_rng(1).normal(size=neuron.shape))


def _driven(neuron: AbstractNeuron, port: str, duration: float) -> tuple[float, Any]:
    """The least tried drive that makes every unit spike, and the states where it does."""
    for level in _LEVELS:
        drive = jnp.full(neuron.shape, level)
        before, after = _last_before_threshold(neuron, port, drive, duration)
        if bool(jnp.all(neuron.guard(after) >= 0)):
            return level, _at_threshold(neuron, before, after)
    raise AssertionError(
        f"{type(neuron).__name__}: neither kicks at {port!r} nor a current of up to {_LEVELS[-1]:g} make every unit spike "
        f"within {duration}. Set the suite's `duration` and `ports` so that they do."
    )


@eqx.filter_jit
def _last_before_threshold(neuron: AbstractNeuron, port: str, drive: jax.Array, duration: float) -> tuple[Any, Any]:
    step = duration / _STEPS
    start = neuron.init()

    def advance(carry, _):
        before, after = carry
        crossed = neuron.guard(after) >= 0
        following = _euler(neuron, after, drive, step)
        keep = lambda old, new: jnp.where(crossed, old, new)  # noqa: E731
        return (jax.tree.map(keep, before, after), jax.tree.map(keep, after, following)), None

    return lax.scan(advance, (start, neuron.receive(start, drive, port)), None, length=_STEPS)[0]


@eqx.filter_jit
def _at_threshold(neuron: AbstractNeuron, before: Any, after: Any) -> Any:
    """Between the two, by bisection on a straight line."""

    def between(fraction):
        return jax.tree.map(lambda a, b: jnp.where(a == b, a, a + fraction * (b - a)), before, after)

    def halve(_, bracket):
        low, high = bracket
        middle = 0.5 * (low + high)
        above = neuron.guard(between(middle)) >= 0
        return jnp.where(above, low, middle), jnp.where(above, middle, high)

    _, high = lax.fori_loop(0, 60, halve, (jnp.zeros(neuron.shape), jnp.ones(neuron.shape)))
    return between(high)


@eqx.filter_jit
def _flow(neuron: AbstractNeuron, state: Any, current: jax.Array, duration: float, steps: int) -> Any:
    return lax.scan(lambda s, _: (_euler(neuron, s, current, duration / steps), None), state, None, length=steps)[0]


def _euler(neuron: AbstractNeuron, state: Any, current: jax.Array, step: float) -> Any:
    slope = neuron.vector_field(jnp.zeros((), current.dtype), state, current)
    return jax.tree.map(lambda x, dx: x + step * dx, state, slope)
