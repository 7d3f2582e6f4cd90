"""At most one spike a trial."""

import dataclasses
from typing import Any, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray

import saltation as st


class AtMostOnceState(NamedTuple):
    """`inner`: the wrapped neuron's state; `spiked`: 1 after its spike, 0 before."""

    inner: Any
    spiked: Array

    @property
    def v(self) -> Array:
        """The membrane potential of the wrapped neuron."""
        return self.inner.v

    @property
    def i(self) -> Array:
        """The synaptic current of the wrapped neuron."""
        return self.inner.i


class AtMostOnce(st.AbstractNeuron):
    """A neuron that spikes at most once a trial; after its spike it is reset and goes on without another one.

    **Arguments:** `inner`: the neuron, of any kind.

    **Raises:** `ValueError` for anything else.

    It keeps the inner neuron's closed form, noise and, if it is a leaky integrate-and-fire neuron, its
    constants; a firing rate makes no sense for it. Networks that code by the time of the first spike consist
    of such neurons: Göltz et al., Nature Machine Intelligence 3 (2021).

    ```python
    hidden = AtMostOnce(LIF(30, tau_mem=20.0, tau_syn=10.0))
    ```
    """

    inner: st.AbstractNeuron

    def __check_init__(self):
        if not isinstance(self.inner, st.AbstractNeuron):
            raise ValueError(f"AtMostOnce got {self.inner!r}; expected a neuron, such as AtMostOnce(LIF(30)).")

    @property
    def shape(self) -> tuple[int, ...]:  # pyright: ignore
        """The inner neuron's shape."""
        return self.inner.shape

    def with_shape(self, shape: int | tuple[int, ...]) -> "AtMostOnce":
        return dataclasses.replace(self, inner=self.inner.with_shape(shape))

    def init(self, *, key: PRNGKeyArray | None = None) -> AtMostOnceState:
        inner = self.inner.init(key=key)
        return AtMostOnceState(inner, jnp.zeros_like(self.inner.guard(inner)))

    def vector_field(self, t: Array, state: AtMostOnceState, current: Array) -> AtMostOnceState:
        d_inner = self.inner.vector_field(t, state.inner, current)
        return AtMostOnceState(d_inner, jnp.zeros_like(state.spiked))

    def guard(self, state: AtMostOnceState) -> Array:
        return jnp.where(state.spiked > 0, -1.0, self.inner.guard(state.inner))

    def reset(self, state: AtMostOnceState, *, key: PRNGKeyArray | None = None) -> AtMostOnceState:
        return AtMostOnceState(self.inner.reset(state.inner, key=key), jnp.ones_like(state.spiked))

    def receive(self, state: AtMostOnceState, kick: Array, port: str) -> AtMostOnceState:
        return AtMostOnceState(self.inner.receive(state.inner, kick, port), state.spiked)

    def next_timer(self, state: AtMostOnceState) -> Array:
        return self.inner.next_timer(state.inner)

    def on_timer(self, state: AtMostOnceState) -> AtMostOnceState:
        return AtMostOnceState(self.inner.on_timer(state.inner), state.spiked)

    def observe(self, state: AtMostOnceState) -> Array:
        return self.inner.observe(state.inner)

    def lif(self) -> st.LIFDynamics | None:
        inner = self.inner.lif()
        if inner is None:
            return None

        def write(state: AtMostOnceState, v: Array, i: Array) -> AtMostOnceState:
            return AtMostOnceState(inner.write(state.inner, v, i), state.spiked)

        return inner._replace(at_most_once=True, write=write)

    def closed_form(self) -> st.ClosedForm | None:
        inner = self.inner.closed_form()
        if inner is None:
            return None

        def flow(state: AtMostOnceState, duration: Array, current: Array) -> AtMostOnceState:
            return AtMostOnceState(inner.flow(state.inner, duration, current), state.spiked)

        def crossing(state: AtMostOnceState, duration: Array, current: Array) -> Array:
            return jnp.where(state.spiked > 0, jnp.inf, inner.crossing(state.inner, duration, current))

        return st.ClosedForm(flow, crossing)

    def rate(self) -> None:
        return None

    def noise(self) -> st.NoiseDynamics | None:
        inner = self.inner.noise()
        if inner is None:
            return None

        def diffusion(state: AtMostOnceState) -> AtMostOnceState:
            return AtMostOnceState(inner.diffusion(state.inner), jnp.zeros_like(state.spiked))

        arm_inner = inner.arm
        if arm_inner is None:
            return st.NoiseDynamics(diffusion)

        def arm(state: AtMostOnceState, log_u: Array) -> AtMostOnceState:
            return AtMostOnceState(arm_inner(state.inner, log_u), state.spiked)

        return st.NoiseDynamics(diffusion, arm)
