"""Membranes: how the potential of one spike's neuron moves between arrivals, measured from rest.

Everything is elementwise. Constants are Python numbers, or arrays of the shape of what they are combined with.
"""

import abc
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array

import saltation as st


class AbstractMembrane(eqx.Module):
    """A potential `v` and a current `i` that both start at 0, and the threshold `theta` at which a spike is sent."""

    theta: eqx.AbstractVar[Any]

    @abc.abstractmethod
    def flow(self, v: Array, i: Array, u: Array, drive: Any) -> tuple[Array, Array]:
        """`v` and `i` after `u >= 0` without an arrival."""

    @abc.abstractmethod
    def hits(self, v: Array, i: Array, duration: Array, drive: Any) -> Array:
        """Whether `v` rises through `theta` in `(0, duration]`; takes no root."""

    @abc.abstractmethod
    def root(self, v: Array, i: Array, duration: Array, hit: Array, drive: Any) -> Array:
        """When it does so, where `hit` holds."""

    @abc.abstractmethod
    def kernel(self, u: Array) -> tuple[Array, Array]:
        """`kappa(u)`, the potential at `u >= 0` after a unit kick of the current, and what is left of the kick."""

    @abc.abstractmethod
    def step(self, u: Array) -> Array:
        """The potential at `u` under a unit current that is on since 0."""

    @abc.abstractmethod
    def slope(self, v: Array, i: Array) -> Array:
        """`dv/dt`."""


class Leaky(AbstractMembrane):
    """`tau_mem dv/dt = -v + i + drive`, `tau_syn di/dt = -i`."""

    tau_mem: Any
    tau_syn: Any
    theta: Any

    def flow(self, v, i, u, drive):
        return st.lif_flow(v, i, u, drive, self.tau_mem, self.tau_syn)

    def hits(self, v, i, duration, drive):
        return st.lif_hits(v, i, duration, drive, self.theta, self.tau_mem, self.tau_syn)

    def root(self, v, i, duration, hit, drive):
        return st.lif_root(v, i, duration, hit, drive, self.theta, self.tau_mem, self.tau_syn)

    def kernel(self, u):
        if isinstance(self.tau_mem, int | float) and isinstance(self.tau_syn, int | float):
            if self.tau_mem == 2 * self.tau_syn:
                x = jnp.exp(-u / self.tau_mem)
                return x - x * x, x * x
        return st.psp_kernel(u, self.tau_mem, self.tau_syn), jnp.exp(-u / self.tau_syn)

    def step(self, u):
        return -jnp.expm1(-u / self.tau_mem)

    def slope(self, v, i):
        return (i - v) / self.tau_mem


class LeakFree(AbstractMembrane):
    """`c_mem dv/dt = i + drive`, `tau_syn di/dt = -i`: a current's charge is kept for good."""

    c_mem: Any
    tau_syn: Any
    theta: Any

    def flow(self, v, i, u, drive):
        return st.if_flow(v, i, u, drive, self.c_mem, self.tau_syn)

    def hits(self, v, i, duration, drive):
        return st.if_hits(v, i, duration, drive, self.theta, self.c_mem, self.tau_syn)

    def root(self, v, i, duration, hit, drive):
        return st.if_root(v, i, duration, hit, drive, self.theta, self.c_mem, self.tau_syn)

    def kernel(self, u):
        gone = jnp.expm1(-u / self.tau_syn)
        return -gone * (self.tau_syn / self.c_mem), 1.0 + gone

    def step(self, u):
        return u / self.c_mem

    def slope(self, v, i):
        return i / self.c_mem


def membrane_of(constants: st.LIFDynamics, size: int, dtype) -> AbstractMembrane:
    """The membrane of a population of `size` neurons; constants that are arrays become `[size]`."""

    def flat(value):
        if isinstance(value, int | float):
            return value
        return jnp.broadcast_to(jnp.asarray(value).astype(dtype).reshape(-1), (size,))

    tau_mem, tau_syn = flat(constants.tau_mem), flat(constants.tau_syn)
    theta = flat(constants.v_threshold - constants.v_leak)
    if constants.g_leak == 0.0:
        return LeakFree(tau_mem, tau_syn, theta)
    if constants.g_leak == 1.0:
        return Leaky(tau_mem, tau_syn, theta)
    # A potential in units of `1 / g_leak` has a leak of 1.
    return Leaky(tau_mem / constants.g_leak, tau_syn, theta * constants.g_leak)


def over_rows(tree: Any) -> Any:
    """Arrays `[n]` as they combine with arrays `[rows, n]`."""
    return jax.tree.map(lambda x: x[None] if eqx.is_array(x) and x.ndim == 1 else x, tree)
