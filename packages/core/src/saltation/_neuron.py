"""Neurons: flow, guard and jump of a population."""

import abc
import dataclasses
import math
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float, PRNGKeyArray, PyTree

from ._traits import ClosedForm, LIFDynamics, NoiseDynamics, RateDynamics

State = PyTree[Float[Array, "..."]]


def population_shape(shape: int | tuple[int, ...]) -> tuple[int, ...]:
    """A population's shape as a tuple; `()` for a prototype that `saltation.feedforward` broadcasts to a size."""
    return (int(shape),) if isinstance(shape, int) else tuple(int(side) for side in shape)


class AbstractNeuron(eqx.Module):
    """A population of neurons: a hybrid dynamical system, elementwise over the population.

    A state is a small `NamedTuple` (or `eqx.Module`) whose leaves are float arrays of the population's shape: one array
    for each variable, never one array with an axis of variables. Every parameter is a Python number (fixed, known when
    traced), an array of shape `()`, or an array of the population's shape (both trainable).

    Methods hand in states of any shape, for example of one neuron: do not use `self.shape` outside `init`.
    """

    shape: eqx.AbstractVar[tuple[int, ...]]

    @abc.abstractmethod
    def with_shape(self, shape: int | tuple[int, ...]) -> "AbstractNeuron":
        """The same neuron as a population of another shape."""

    @abc.abstractmethod
    def init(self, *, key: PRNGKeyArray | None = None) -> State:
        """The state at time 0, leaves of `self.shape`."""

    @abc.abstractmethod
    def vector_field(self, t: Array, state: State, current: Array) -> State:
        """The time derivative of each leaf of `state`, under an external `current` (0 where there is none)."""

    @abc.abstractmethod
    def guard(self, state: State) -> Array:
        """Rises through 0 where the neuron spikes."""

    @abc.abstractmethod
    def reset(self, state: State, *, key: PRNGKeyArray | None = None) -> State:
        """The state just after a spike."""

    @abc.abstractmethod
    def receive(self, state: State, kick: Array, port: str) -> State:
        """The state just after a spike of weight `kick` arrived at `port`.

        Linear in `kick`, and the sum of two kicks is one after the other. Raises `ValueError` for an unknown port.
        """

    @abc.abstractmethod
    def next_timer(self, state: State) -> Array:
        """How long until an event that the neuron scheduled for itself; `inf` if there is none."""

    @abc.abstractmethod
    def on_timer(self, state: State) -> State:
        """The state just after that event."""

    @abc.abstractmethod
    def observe(self, state: State) -> Array:
        """What an electrode sees: the membrane potential."""

    @abc.abstractmethod
    def lif(self) -> LIFDynamics | None:
        """The constants of a current-based leaky integrate-and-fire neuron, if it is one."""

    @abc.abstractmethod
    def closed_form(self) -> ClosedForm | None:
        """The exact flow between events, if there is one."""

    @abc.abstractmethod
    def rate(self) -> RateDynamics | None:
        """The constants that a rate at equilibrium needs, if it has them."""

    @abc.abstractmethod
    def noise(self) -> NoiseDynamics | None:
        """The noise that drives it, if it is stochastic."""

    @property
    def size(self) -> int:
        """How many neurons the population has."""
        return math.prod(self.shape)


class AbstractODENeuron(AbstractNeuron):
    """A neuron that is an ordinary differential equation and nothing more: no timers, no traits.

    The short way to a neuron of your own: state a frozen `NamedTuple` for its state, its parameters, and `init`,
    `vector_field`, `guard`, `reset`, `receive`, `observe`. It has a field `shape`:

    ```python
    class State(NamedTuple):
        v: Array

    class Leaky(st.AbstractODENeuron):
        shape: tuple[int, ...] = eqx.field(converter=st.population_shape, static=True, default=())
        tau_mem: float | Array = 20.0

        def init(self, *, key=None):
            return State(jnp.zeros(self.shape))
        def vector_field(self, t, state, current):
            return State((current - state.v) / self.tau_mem)
        def guard(self, state):
            return state.v - 1.0
        def reset(self, state, *, key=None):
            return State(jnp.zeros_like(state.v))
        def receive(self, state, kick, port):
            return State(state.v + kick)
        def observe(self, state):
            return state.v
    ```
    """

    def with_shape(self, shape: int | tuple[int, ...]) -> "AbstractODENeuron":
        return dataclasses.replace(self, shape=shape)

    def next_timer(self, state: State) -> Array:
        return jnp.full_like(self.guard(state), jnp.inf)

    def on_timer(self, state: State) -> State:
        return state

    def lif(self) -> LIFDynamics | None:
        return None

    def closed_form(self) -> ClosedForm | None:
        return None

    def rate(self) -> RateDynamics | None:
        return None

    def noise(self) -> NoiseDynamics | None:
        return None


def check_positive(owner: str, **values: Any) -> None:
    """Raise `ValueError` for a parameter that must be positive and is known not to be."""
    _check(owner, values, lambda value: value > 0, "a positive number")


def check_finite(owner: str, **values: Any) -> None:
    """Raise `ValueError` for a parameter that is known not to be finite."""
    _check(owner, values, lambda value: value == value, "a finite number")


def check_below(owner: str, low_name: str, low: Any, high_name: str, high: Any) -> None:
    """Raise `ValueError` for two parameters of which the first is known not to be below the second."""
    if _known(low) and _known(high) and not (np.asarray(low) < np.asarray(high)).all():
        raise ValueError(f"{owner} got {low_name} = {low} and {high_name} = {high}; expected {low_name} < {high_name}.")


def _known(value: Any) -> bool:
    # Not traced values, nor the placeholders that JAX's transformations put into modules.
    return isinstance(value, int | float | jax.Array | np.ndarray) and not isinstance(value, Tracer)


def _check(owner: str, values: dict[str, Any], holds, expected: str) -> None:
    for name, value in values.items():
        if not _known(value):
            continue
        array = np.asarray(value)
        if not (np.isfinite(array) & holds(array)).all():
            raise ValueError(f"{owner} got {name} = {value}; expected {expected}.")
