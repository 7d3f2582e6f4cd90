"""Schemes: how a population moves inside a cell, and where in it a guard reaches zero."""

import abc
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, PyTree

import saltation as st

_ITERATIONS = 8


class AbstractScheme(eqx.Module):
    """A scheme; all functions are elementwise over a population.

    `noise` is a state-like tree, `None` where there is none: the increment of the rest of the cell.
    """

    @abc.abstractmethod
    def crossing(
        self, neuron: st.AbstractNeuron, t: Array, state: PyTree, current: Array, noise: PyTree, left: Array
    ) -> tuple[Array, Array]:
        """How long until each guard reaches zero, `inf` if not within `left`; and the guard's slope there."""

    @abc.abstractmethod
    def advance(
        self,
        neuron: st.AbstractNeuron,
        t: Array,
        state: PyTree,
        current: Array,
        noise: PyTree,
        left: Array,
        duration: Array,
        fraction: Array,
    ) -> PyTree:
        """The state after `duration`, in which `fraction` of the noise is used."""


class Euler(AbstractScheme):
    """Euler-Maruyama: drift and noise are constant inside a cell, but for what events change.

    A guard that is linear in the state then crosses zero at a time in closed form, `-guard / slope`.
    """

    def crossing(
        self, neuron: st.AbstractNeuron, t: Array, state: PyTree, current: Array, noise: PyTree, left: Array
    ) -> tuple[Array, Array]:
        field = neuron.vector_field(t, state, current)
        guard, slope = jax.jvp(neuron.guard, (state,), (field,))
        # Compared without a division, so that no quotient overflows where there is no crossing.
        hit = (slope > 0) & (-guard <= slope * left)
        return jnp.where(hit, _not_before_now(-guard / jnp.where(hit, slope, 1.0)), jnp.inf), slope

    def advance(
        self,
        neuron: st.AbstractNeuron,
        t: Array,
        state: PyTree,
        current: Array,
        noise: PyTree,
        left: Array,
        duration: Array,
        fraction: Array,
    ) -> PyTree:
        field = neuron.vector_field(t, state, current)
        moved = jax.tree.map(lambda x, dx: x + duration * dx, state, field)
        if noise is None:
            return moved
        dynamics = neuron.noise()
        assert dynamics is not None
        spread = dynamics.diffusion(state)
        return jax.tree.map(
            lambda x, dw, sd: x if dw is None else x + sd * dw * fraction, moved, noise, spread, is_leaf=_is_none
        )


class PiecewiseLinear(AbstractScheme):
    """Noise that is linear inside a cell, solved exactly: the neuron's closed form under a constant forcing.

    The driving path then has a derivative in a cell, so that both rules of differentiation are the exact one.
    """

    def crossing(
        self, neuron: st.AbstractNeuron, t: Array, state: PyTree, current: Array, noise: PyTree, left: Array
    ) -> tuple[Array, Array]:
        def guard_at(duration, state, current, neuron):
            forcing = self._forcing(neuron, state, noise, left)
            flow = _flow(neuron)
            reached = flow(state, duration, current, forcing)
            field = jax.tree.map(jnp.add, neuron.vector_field(t, reached, current), forcing)
            return jax.jvp(neuron.guard, (reached,), (field,))

        frozen = lax.stop_gradient((state, current, eqx.filter(neuron, eqx.is_array)))
        fixed = eqx.combine(frozen[2], neuron)
        start = neuron.guard(frozen[0])
        end = jnp.broadcast_to(lax.stop_gradient(left), start.shape)
        value, _ = guard_at(end, frozen[0], frozen[1], fixed)
        hit = value >= 0

        def newton(_, bracket):
            low, high, at = bracket
            value, slope = guard_at(at, frozen[0], frozen[1], fixed)
            low, high = jnp.where(value < 0, at, low), jnp.where(value < 0, high, at)
            following = at - value / jnp.where(slope > 0, slope, 1.0)
            inside = (slope > 0) & (following >= low) & (following <= high)
            return low, high, jnp.where(inside, following, 0.5 * (low + high))

        rise = jnp.where(hit & (value > start), value - start, 1.0)
        first = jnp.clip(jnp.where(hit, -start / rise, 0.0), 0.0, 1.0) * end
        _, _, at = lax.fori_loop(0, _ITERATIONS, newton, (jnp.zeros_like(end), end, first))
        value, slope = guard_at(at, state, current, neuron)
        steep = lax.stop_gradient(jnp.where(hit, slope, 1.0))
        # The search carries no gradient; this step does, by the implicit function theorem.
        time = at - value / steep
        return jnp.where(hit, _not_before_now(jnp.where(hit, time, 0.0)), jnp.inf), slope

    def advance(
        self,
        neuron: st.AbstractNeuron,
        t: Array,
        state: PyTree,
        current: Array,
        noise: PyTree,
        left: Array,
        duration: Array,
        fraction: Array,
    ) -> PyTree:
        return _flow(neuron)(state, duration, current, self._forcing(neuron, state, noise, left))

    def _forcing(self, neuron: st.AbstractNeuron, state: PyTree, noise: PyTree, left: Array) -> PyTree:
        if noise is None:
            return jax.tree.map(jnp.zeros_like, state)
        dynamics = neuron.noise()
        assert dynamics is not None
        spread = dynamics.diffusion(state)
        # `noise` holds the slope of the path in this cell, which no event changes.
        return jax.tree.map(
            lambda sd, slope: jnp.zeros_like(sd) if slope is None else sd * slope, spread, noise, is_leaf=_is_none
        )


SCHEMES: dict[str, AbstractScheme] = {"euler": Euler(), "piecewise_linear": PiecewiseLinear()}


def _not_before_now(time: Array) -> Array:
    # Two guards may reach zero together: by rounding the second one is past it when the first has been served. It
    # spikes now, with the derivative of its own crossing.
    return time - lax.stop_gradient(jnp.minimum(time, 0.0))


def _flow(neuron: st.AbstractNeuron) -> Any:
    dynamics = neuron.noise()
    if dynamics is not None and dynamics.forced_flow is not None:
        return dynamics.forced_flow
    # Without noise there is no forcing.
    closed = neuron.closed_form()
    assert closed is not None
    return lambda state, duration, current, forcing: closed.flow(state, duration, current)


def _is_none(x: Any) -> bool:
    return x is None
