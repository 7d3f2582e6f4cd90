"""Flow: one step of a population between events, by its closed form or by a Runge-Kutta formula.

A step is a function of its duration, so that an event may end it anywhere, and `rate` is the derivative of the
*computed* step by its duration: the slope that an event time's derivative needs.
"""

import abc
import functools
from typing import Any, ClassVar, NamedTuple

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array

import saltation as st

State = Any

_GROSS = 0.1  # an error of a fixed step that is no longer a matter of accuracy, absolute and relative
_STRAIGHT = 0.1  # a bend of the way to the guard, with which it is still expected to be reached
_NEAR = 100.0  # of the root of rounding: where a spike may lie beside the end of a step, as a part of its length


class Attempt(NamedTuple):
    """A tried step of a population of `n`."""

    end: State
    slope: State  # the vector field there
    rise: Array  # [n], the slope of the guard there
    error: Array  # [], over the tolerance: at most 1 is good enough, `inf` if the state stopped being finite
    crossing: Array  # [n], when the guard rises through zero, since the start of the step; `inf` if it does not
    located: Array  # [n], bool: that is where the guard's line from the end of the step leads, to rounding
    approach: Array  # [n], how long that line takes to the guard, below zero if it has passed; `inf` if it may never


class AbstractFlow(eqx.Module):
    """How the population of one neuron model moves between events.

    A numerical flow may have to try a step again. `step` is the length that its steps have, `None` where the error
    alone decides.
    """

    is_numerical: eqx.AbstractClassVar[bool]
    step: eqx.AbstractVar[float | None]

    @abc.abstractmethod
    def propagate(self, neuron: st.AbstractNeuron, t: Array, state: State, h: Array, drive: Array) -> State:
        """The state after a step of duration `h`."""

    @abc.abstractmethod
    def rate(self, neuron: st.AbstractNeuron, t: Array, state: State, h: Array, drive: Array) -> State:
        """The derivative of `propagate` by `h`."""


class ClosedFormFlow(AbstractFlow):
    """The neuron's own exact solution: a step of any duration, and its crossing."""

    is_numerical: ClassVar[bool] = False
    step: float | None = eqx.field(static=True, default=None)

    def propagate(self, neuron, t, state, h, drive):
        return _closed_form(neuron).flow(state, h, drive)

    def rate(self, neuron, t, state, h, drive):
        return neuron.vector_field(t + h, self.propagate(neuron, t, state, h, drive), drive)

    def crossing(self, neuron: st.AbstractNeuron, state: State, h: Array, drive: Array) -> Array:
        """When the guard first rises through zero within a step of duration `h`, `[n]`; `inf` if it does not."""
        return _closed_form(neuron).crossing(state, h, drive)


class RungeKuttaFlow(AbstractFlow):
    """An explicit Runge-Kutta formula, given by the tableau of a diffrax solver.

    A crossing is looked for on the cubic that matches the guard and its slope at both ends of the step, interior peaks
    included. The caller then tries the step that ends there, and goes the little that is left along the vector field:
    so a located time satisfies the guard of the computed flow itself and not of the cubic.
    """

    is_numerical: ClassVar[bool] = True
    a: tuple[tuple[float, ...], ...] = eqx.field(static=True)
    b: tuple[float, ...] = eqx.field(static=True)
    b_error: tuple[float, ...] | None = eqx.field(static=True)
    c: tuple[float, ...] = eqx.field(static=True)
    last_is_end: bool = eqx.field(static=True)
    order: int = eqx.field(static=True)
    step: float | None = eqx.field(static=True)
    rtol: float = eqx.field(static=True)
    atol: float = eqx.field(static=True)

    @classmethod
    def of(cls, solver: Any, *, step: float | None, rtol: float, atol: float) -> "RungeKuttaFlow":
        """From a diffrax solver, such as `diffrax.Tsit5()`; the tolerances are those of adaptive steps.

        **Raises:** `ValueError` for one that is not an explicit Runge-Kutta method, or that estimates no error where
        adaptive steps are asked for.
        """
        if isinstance(solver, diffrax.Euler):
            a: tuple[tuple[float, ...], ...] = ((),)
            b, b_error, c, last_is_end, order = (1.0,), None, (0.0,), False, 1
        elif isinstance(solver, diffrax.AbstractERK):
            tableau: Any = solver.tableau
            a = ((), *(tuple(float(x) for x in row) for row in tableau.a_lower))
            b, b_error = (tuple(float(x) for x in row) for row in (tableau.b_sol, tableau.b_error))
            c = (float(tableau.c1), *(float(x) for x in tableau.c))
            last_is_end, order = bool(tableau.ssal), int(solver.order(None))  # pyright: ignore
        else:
            raise ValueError(
                f"ODE got solver={solver!r}; expected an explicit Runge-Kutta solver of diffrax, such as "
                "diffrax.Tsit5(), Dopri5(), Dopri8(), Bosh3(), Heun(), Midpoint(), Ralston() or Euler(). Implicit ones "
                "are not needed: between two spikes these neurons are not stiff, and near a spike the step adapts."
            )
        if step is None and b_error is None:
            raise ValueError(
                f"ODE got solver={solver!r} without a step; it has no error estimate to adapt the step by. Give a "
                "fixed step=..., or use diffrax.Tsit5()."
            )
        if step is not None:
            # A fixed step is as accurate as its length makes it, except where it is simply wrong: steps that jump over
            # an upstroke would find spikes that are not there.
            rtol = atol = _GROSS
        return cls(
            step=step,
            a=a,
            b=b,
            b_error=b_error,
            c=c,
            last_is_end=last_is_end,
            order=order,
            rtol=float(rtol),
            atol=float(atol),
        )

    def propagate(self, neuron, t, state, h, drive):
        return self._stages(neuron, t, state, h, drive)[0]

    def rate(self, neuron, t, state, h, drive):
        return jax.jvp(lambda h: self.propagate(neuron, t, state, h, drive), (h,), (jnp.ones_like(h),))[1]

    def attempt(self, neuron: st.AbstractNeuron, t: Array, state: State, h: Array, drive: Array) -> Attempt:
        """Try a step: where it ends, how accurate it is, and whether the guard rises through zero within it."""
        end, slopes = self._stages(neuron, t, state, h, drive)
        end_slope = slopes[-1] if self.last_is_end else neuron.vector_field(t + h, end, drive)
        guard, rise = jax.jvp(neuron.guard, (state,), (slopes[0],))
        end_guard, end_rise = jax.jvp(neuron.guard, (end,), (end_slope,))
        crossing = _cubic_crossing(guard, rise, end_guard, end_rise, h)
        rising = (guard < 0) & (end_rise > 0)
        # On from the end of the step, on a line with the cubic's curvature there.
        steep = 1.0 / jnp.where(rising, end_rise, 1.0)
        line = -end_guard * steep
        q, r = _cubic(guard, rise, end_guard, end_rise, h)
        whole = jnp.where(h > 0, h, 1.0)
        part, steep = line / whole, steep / whole
        bend = part * (q + 3.0 * r) * steep
        approach = line * (1.0 - bend)
        # To rounding: as close in time as the clock resolves, with as much as this leaves out.
        resolution = resolution_at(t + h)
        off = jnp.abs(approach)
        missing = off * (2.0 * bend * bend + part * part * jnp.abs(r * steep))
        near = (off <= _NEAR * jnp.finfo(h.dtype).eps ** 0.5 * h) & (missing <= resolution)
        located = rising & near & ~(crossing < h - 2.0 * off - resolution)
        # What the clock does not resolve from the end of the step is there.
        there = (rising & (off <= resolution)) | (jnp.isfinite(crossing) & (h <= resolution))
        coming = rising & (end_guard < 0) & (jnp.abs(bend) < _STRAIGHT)
        approach = jnp.where(located | coming, approach, jnp.inf)
        approach = jnp.where(there & ~located, 0.0, approach)
        error = self._error(state, end, slopes, end_slope, h)
        return Attempt(end, end_slope, end_rise, error, crossing, located | there, approach)

    def _stages(self, neuron, t, state, h, drive):
        """The end of the step, and the slopes at its stages."""
        slopes = []
        for weights, node in zip(self.a, self.c, strict=True):
            at = state if not slopes else _advance(state, slopes, weights, h)
            slopes.append(neuron.vector_field(t + node * h, at, drive))
        # Where the last stage is the end of the step, its state needs no second sum.
        end = at if self.last_is_end else _advance(state, slopes, self.b, h)
        return end, slopes

    def _error(self, state, end, slopes, end_slope, h):
        weights = self.b_error
        if weights is None:
            # Without an estimate of its own: how far the trapezoidal rule would end from Euler's step.
            estimate = jax.tree.map(lambda first, last: 0.5 * h * (last - first), slopes[0], end_slope)
        else:
            estimate = jax.tree.map(lambda *k: h * _weighted(weights, k), *slopes)
        errors = jax.tree.map(
            lambda y, z, e: jnp.abs(e) / (self.atol + self.rtol * jnp.maximum(jnp.abs(y), jnp.abs(z))),
            state,
            end,
            estimate,
        )
        # Over the variables first: one reduction over the neurons, not one for each.
        finite = functools.reduce(jnp.logical_and, [jnp.isfinite(leaf) for leaf in jax.tree.leaves(end)])
        worst = functools.reduce(jnp.maximum, jax.tree.leaves(errors))
        return jnp.max(jnp.where(finite & jnp.isfinite(worst), worst, jnp.inf))


def resolution_at(t: Array) -> Array:
    """What is equal to rounding: as close in time as a clock resolves at `t`."""
    return 4 * jnp.finfo(t.dtype).eps * t


def _closed_form(neuron: st.AbstractNeuron) -> st.ClosedForm:
    closed = neuron.closed_form()
    assert closed is not None
    return closed


def _advance(state: State, slopes: list[State], weights: tuple[float, ...], h: Array) -> State:
    return jax.tree.map(lambda y, *k: y + h * _weighted(weights, k), state, *slopes)


def _weighted(weights: tuple[float, ...], slopes: tuple[Array, ...]) -> Array:
    return sum(weight * slope for weight, slope in zip(weights, slopes, strict=False) if weight != 0.0)  # pyright: ignore


def _cubic(g0: Array, d0: Array, g1: Array, d1: Array, h: Array) -> tuple[Array, Array]:
    """The cubic Hermite interpolant `g0 + s (h d0 + s (q + s r))`, in `s = u / h`: its `q` and `r`."""
    return 3.0 * (g1 - g0) - h * (2.0 * d0 + d1), 2.0 * (g0 - g1) + h * (d0 + d1)


def _cubic_crossing(g0: Array, d0: Array, g1: Array, d1: Array, h: Array) -> Array:
    """The first root of the cubic Hermite interpolant on `(0, h]` that is reached from below, `inf` if there is none.

    An estimate is enough: the step that ends there is tried next.
    """
    p = h * d0
    q, r = _cubic(g0, d0, g1, d1, h)

    def value(s):
        return g0 + s * (p + s * (q + s * r))

    # The interior maximum, where the derivative p + 2 q s + 3 r s^2 falls through zero.
    discriminant = q * q - 3.0 * p * r
    root = jnp.sqrt(jnp.maximum(discriminant, 0.0))
    # -(q + root) / (3 r), in the form that stays accurate for small r; that root has a falling derivative.
    denominator = root - q
    top = jnp.where(denominator == 0, -1.0, p / jnp.where(denominator == 0, 1.0, denominator))
    peaked = (discriminant > 0) & (top > 0) & (top < 1)
    below = g0 < 0
    over_peak = below & peaked & (value(jnp.where(peaked, top, 0.0)) >= 0)
    hit = over_peak | (below & (g1 >= 0))
    low = jnp.zeros_like(g0)
    high = jnp.where(over_peak, top, 1.0)
    # From the chord, or from the middle of the way up to a peak.
    s = jnp.where(over_peak, 0.5 * top, g0 / jnp.where(hit & ~over_peak, g0 - g1, -1.0))
    # Each has twice as many digits as the one before.
    for _ in range(2 if jnp.finfo(s.dtype).bits < 64 else 3):
        v = value(s)
        low, high = jnp.where(v < 0, s, low), jnp.where(v < 0, high, s)
        slope = p + s * (2.0 * q + 3.0 * s * r)
        newton = s - v / jnp.where(slope > 0, slope, jnp.inf)
        s = jnp.where((newton >= low) & (newton <= high) & (slope > 0), newton, 0.5 * (low + high))
    return jnp.where(hit, h * s, jnp.inf)
