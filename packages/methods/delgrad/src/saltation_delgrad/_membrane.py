"""Membranes: how the potential of one spike's neuron moves between arrivals, measured from rest.

Everything is elementwise. Constants are Python numbers, or arrays of the shape of what they are combined with.
"""

import abc
from typing import Any, ClassVar, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array

import saltation as st

from ._root import lambert_root, newton_root, quadratic_root


class Form(NamedTuple):
    """The closed form of a membrane, for the native kernel: its number there, and the constants."""

    kind: int
    tau_mem: float
    tau_syn: float


class AbstractMembrane(eqx.Module):
    """A potential `v` and a current `i` that both start at 0, and the threshold `theta` at which a spike is sent."""

    theta: eqx.AbstractVar[Any]

    @abc.abstractmethod
    def form(self) -> Form | None:
        """The closed form, `None` where time constants are arrays."""

    @abc.abstractmethod
    def flow(self, v: Array, i: Array, u: Array, drive: Any) -> tuple[Array, Array]:
        """`v` and `i` after `u >= 0` without an arrival."""

    @abc.abstractmethod
    def peaks(self, v: Array, i: Array, drive: Any) -> Array:
        """Whether the next maximum of `v`, where it has one ahead, is at `theta` or above; takes no root."""

    @abc.abstractmethod
    def root(self, v: Array, i: Array, duration: Array, hit: Array, drive: Any) -> Array:
        """When `v` first rises through `theta`, where `hit` says that it does so in `(0, duration]`."""

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

    DOUBLE: ClassVar[int] = 0
    EQUAL: ClassVar[int] = 1
    OTHER: ClassVar[int] = 2

    def form(self):
        if not (isinstance(self.tau_mem, int | float) and isinstance(self.tau_syn, int | float)):
            return None
        kinds = {2 * self.tau_syn: self.DOUBLE, self.tau_syn: self.EQUAL}
        return Form(kinds.get(self.tau_mem, self.OTHER), float(self.tau_mem), float(self.tau_syn))

    def flow(self, v, i, u, drive):
        return st.lif_flow(v, i, u, drive, self.tau_mem, self.tau_syn)

    def peaks(self, v, i, drive):
        w, theta = v - drive, self.theta - drive
        kind = None if (form := self.form()) is None else form.kind
        if kind == self.DOUBLE:
            # v = (a - i x) x with x = exp(-u / tau_mem), a = w + i, has the maximum a^2 / (4 i).
            return (w + i) ** 2 >= 4.0 * i * theta
        if kind == self.EQUAL:
            # The maximum is at u = tau (1 - w / i), and is i exp(w / i - 1).
            usual = (i > 0) & (theta > 0)
            ratio = jnp.where(usual, i, 1.0) / jnp.where(usual, theta, 1.0)
            return ~usual | (w + i * (jnp.log(ratio) - 1.0) >= 0)
        v_peak, _ = self.flow(v, i, self._peak(w, i), drive)
        return v_peak >= self.theta

    def root(self, v, i, duration, hit, drive):
        w, theta = v - drive, self.theta - drive
        kind = None if (form := self.form()) is None else form.kind
        if kind == self.DOUBLE:
            return jnp.clip(quadratic_root(w, i, theta, hit, self.tau_mem), 0.0, duration)
        usual = jnp.zeros_like(hit)
        if kind == self.EQUAL:
            usual = (i > 0) & (theta > 0)
        v_end, i_end = self.flow(v, i, duration, drive)
        turns = (i > w) & (i_end < v_end - drive)
        high = jnp.where(turns, jnp.minimum(self._peak(w, i), duration), duration)

        def motion(u):
            v_u, i_u = self.flow(v, i, u, drive)
            slope = self.slope(v_u, i_u + drive)
            return v_u - self.theta, slope, (-i_u / self.tau_syn - slope) / self.tau_mem

        found = newton_root(motion, high, hit & ~usual)
        if kind == self.EQUAL:
            found = jnp.where(usual, self.tau_mem * lambert_root(w, i, theta, usual), found)
        return jnp.clip(found, 0.0, duration)

    def kernel(self, u):
        form = self.form()
        if form is not None and form.kind == self.DOUBLE:
            x = jnp.exp(-u / self.tau_mem)
            return x - x * x, x * x
        return st.psp_kernel(u, self.tau_mem, self.tau_syn), jnp.exp(-u / self.tau_syn)

    def step(self, u):
        return -jnp.expm1(-u / self.tau_mem)

    def slope(self, v, i):
        return (i - v) / self.tau_mem

    def _peak(self, w: Array, i: Array) -> Array:
        """When `v` has its maximum, if it has one ahead; else some time that is not negative."""
        ratio = 1.0 - w / jnp.where(i == 0, 1.0, i)
        delta = jnp.asarray(1 / self.tau_syn - 1 / self.tau_mem, w.dtype)
        equal = delta == 0
        inside = jnp.maximum(-delta * self.tau_syn * ratio, -1.0 + jnp.finfo(w.dtype).eps)
        unequal = -jnp.log1p(inside) / jnp.where(equal, 1.0, delta)
        return jnp.maximum(jnp.where(equal, self.tau_syn * ratio, unequal), 0.0)


class LeakFree(AbstractMembrane):
    """`c_mem dv/dt = i + drive`, `tau_syn di/dt = -i`: a current's charge is kept for good."""

    c_mem: Any
    tau_syn: Any
    theta: Any

    KIND: ClassVar[int] = 3

    def form(self):
        if not (isinstance(self.c_mem, int | float) and isinstance(self.tau_syn, int | float)):
            return None
        return Form(self.KIND, float(self.c_mem), float(self.tau_syn))

    def flow(self, v, i, u, drive):
        return st.if_flow(v, i, u, drive, self.c_mem, self.tau_syn)

    def peaks(self, v, i, drive):
        v_peak, _ = self.flow(v, i, self._peak(i, drive), drive)
        return v_peak >= self.theta

    def root(self, v, i, duration, hit, drive):
        # Without a current from outside, v = v + i (tau_syn / c_mem) (1 - exp(-u / tau_syn)).
        reach = i * (self.tau_syn / self.c_mem)
        gone = -(self.theta - v) / jnp.where(reach == 0, 1.0, reach)
        alone = -self.tau_syn * jnp.log1p(jnp.where(gone > -1.0, gone, 0.0))
        undriven = jnp.asarray(drive) == 0
        v_end, i_end = self.flow(v, i, duration, drive)
        turns = (i + drive > 0) & (i_end + drive < 0)
        high = jnp.where(turns, jnp.minimum(self._peak(i, drive), duration), duration)

        def motion(u):
            v_u, i_u = self.flow(v, i, u, drive)
            return v_u - self.theta, self.slope(v_u, i_u + drive), -i_u / self.tau_syn / self.c_mem

        driven = newton_root(motion, high, hit & ~undriven) if eqx.is_array(drive) else alone
        return jnp.clip(jnp.where(undriven, alone, driven), 0.0, duration)

    def kernel(self, u):
        gone = jnp.expm1(-u / self.tau_syn)
        return -gone * (self.tau_syn / self.c_mem), 1.0 + gone

    def step(self, u):
        return u / self.c_mem

    def slope(self, v, i):
        return i / self.c_mem

    def _peak(self, i: Array, drive: Any) -> Array:
        """When `i + drive` falls through 0, if it does; else some time that is not negative."""
        ratio = -i / jnp.where(jnp.asarray(drive) == 0, 1.0, drive)
        return self.tau_syn * jnp.log(jnp.maximum(ratio, 1.0))


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


def over_rows(tree: Any, axes: int = 1) -> Any:
    """Arrays `[n]` as they combine with arrays that have as many `axes` in front of that of the neurons."""
    widen = lambda x: x.reshape(*[1] * axes, -1) if eqx.is_array(x) and x.ndim == 1 else x  # noqa: E731
    return jax.tree.map(widen, tree)
