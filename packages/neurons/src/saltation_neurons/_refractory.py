"""An absolute refractory period."""

import dataclasses
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray

import saltation as st

from ._membrane import hold, potential_fields, variables
from ._parameters import Parameter, as_parameter


class RefractoryState(NamedTuple):
    """`inner`: the neuron's own state; `since`: time since its spike or time 0; `held`: 1 while clamped."""

    inner: Any
    since: Array
    held: Array

    @property
    def v(self) -> Array:
        """The membrane potential of the wrapped neuron."""
        return self.inner.v

    @property
    def i(self) -> Array:
        """The synaptic current of the wrapped neuron."""
        return self.inner.i


class Refractory(st.AbstractNeuron):
    """A neuron with an absolute refractory period: after a spike, `v` is clamped at its reset value.

    Its other variables go on meanwhile: synaptic and adaptation currents evolve and receive kicks. Kicks that
    would go to `v` itself (delta synapses) are dropped in that time.

    **Arguments:**

    - `inner`: the neuron, of any kind whose state is a `NamedTuple` with a field `v`, or with a property `membrane`
      that names the fields that make up its potential.
    - `t_refractory`: for how long, in the network's unit of time: a Python number (fixed), or an array `[]`
      or of the population's shape (trainable: the end of the period is an event with a derivative).

    **Raises:** `ValueError` for a period that is not positive or an `inner` that is not a neuron; `init`
    does for a state without a potential.

    It keeps the inner neuron's noise, and its closed form if the neuron consists of `v` and a synaptic
    current `i` alone (further variables could depend on the clamped `v`).

    ```python
    hidden = Refractory(LIF(30, tau_mem=20.0), 2.0)
    ```
    """

    inner: st.AbstractNeuron
    t_refractory: Parameter = eqx.field(converter=as_parameter)

    def __check_init__(self):
        if not isinstance(self.inner, st.AbstractNeuron):
            raise ValueError(f"Refractory got {self.inner!r}; expected a neuron, such as Refractory(LIF(30), 2.0).")
        st.check_positive("Refractory", t_refractory=self.t_refractory)

    @property
    def shape(self) -> tuple[int, ...]:  # pyright: ignore
        """The inner neuron's shape."""
        return self.inner.shape

    def with_shape(self, shape: int | tuple[int, ...]) -> "Refractory":
        return dataclasses.replace(self, inner=self.inner.with_shape(shape))

    def init(self, *, key: PRNGKeyArray | None = None) -> RefractoryState:
        inner = self.inner.init(key=key)
        potential_fields(inner)
        zero = jnp.zeros_like(self.inner.observe(inner))
        return RefractoryState(inner, zero, zero)

    def vector_field(self, t: Array, state: RefractoryState, current: Array) -> RefractoryState:
        d_inner = self.inner.vector_field(t, state.inner, current)
        d_inner = hold(state.held, jax.tree.map(jnp.zeros_like, d_inner), d_inner)
        return RefractoryState(d_inner, jnp.ones_like(state.since), jnp.zeros_like(state.held))

    def guard(self, state: RefractoryState) -> Array:
        return jnp.where(state.held > 0, -1.0, self.inner.guard(state.inner))

    def reset(self, state: RefractoryState, *, key: PRNGKeyArray | None = None) -> RefractoryState:
        inner = self.inner.reset(state.inner, key=key)
        return RefractoryState(inner, jnp.zeros_like(state.since), jnp.ones_like(state.held))

    def receive(self, state: RefractoryState, kick: Array, port: str) -> RefractoryState:
        return state._replace(inner=hold(state.held, state.inner, self.inner.receive(state.inner, kick, port)))

    def next_timer(self, state: RefractoryState) -> Array:
        return jnp.minimum(self._release(state), self.inner.next_timer(state.inner))

    def on_timer(self, state: RefractoryState) -> RefractoryState:
        release, inner_timer = self._release(state), self.inner.next_timer(state.inner)
        inner_due = (inner_timer <= release) & (inner_timer < jnp.inf)
        fired = self.inner.on_timer(state.inner)
        inner = jax.tree.map(lambda new, old: jnp.where(inner_due, new, old), fired, state.inner)
        return RefractoryState(inner, state.since, jnp.where(release <= inner_timer, 0.0, state.held))

    def observe(self, state: RefractoryState) -> Array:
        return self.inner.observe(state.inner)

    def lif(self) -> None:
        return None

    def closed_form(self) -> st.ClosedForm | None:
        inner = self.inner.closed_form()
        if inner is None or variables(eqx.filter_eval_shape(self.inner.init)) != {"v", "i"}:
            return None

        def flow(state: RefractoryState, duration: Array, current: Array) -> RefractoryState:
            after = hold(state.held, state.inner, inner.flow(state.inner, duration, current))
            return RefractoryState(after, state.since + duration, state.held)

        def crossing(state: RefractoryState, duration: Array, current: Array) -> Array:
            return jnp.where(state.held > 0, jnp.inf, inner.crossing(state.inner, duration, current))

        return st.ClosedForm(flow, crossing)

    def rate(self) -> None:
        return None

    def noise(self) -> st.NoiseDynamics | None:
        inner = self.inner.noise()
        if inner is None:
            return None

        def diffusion(state: RefractoryState) -> RefractoryState:
            spread = inner.diffusion(state.inner)
            spread = hold(state.held, jax.tree.map(jnp.zeros_like, spread), spread)
            return RefractoryState(spread, jnp.zeros_like(state.since), jnp.zeros_like(state.held))

        arm_inner = inner.arm
        if arm_inner is None:
            return st.NoiseDynamics(diffusion)

        def arm(state: RefractoryState, log_u: Array) -> RefractoryState:
            return RefractoryState(arm_inner(state.inner, log_u), state.since, state.held)

        return st.NoiseDynamics(diffusion, arm)

    def _release(self, state: RefractoryState) -> Array:
        """How long until the clamp opens; `inf` if it is not closed."""
        return jnp.where(state.held > 0, self.t_refractory - state.since, jnp.inf)
