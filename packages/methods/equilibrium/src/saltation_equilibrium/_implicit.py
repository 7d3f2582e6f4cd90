"""Implicit differentiation: the gradient through rates that satisfy their equations."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from ._equations import feeding, pack, sweep, unpack
from ._report import report
from ._simulate import Simulated
from ._solver import AbstractFixedPointSolver, AbstractSolver, Solved
from ._system import Input, Layer, Rates, System, detached, external


class Settings(NamedTuple):
    """How a fixed point is found and differentiated; `polish`: whether to go from the simulated rates to it."""

    forward: AbstractFixedPointSolver
    backward: AbstractSolver
    polish: bool
    probe: bool
    policy: str


class Settled(NamedTuple):
    """Rates `[n]` by population that are differentiable, and how well they satisfy their equations.

    - `residual`: the largest `|a - f(a)|` by population.
    - `forward`, `adjoint`: of the solvers, by the last population of each stage that feeds back.
    """

    rates: Rates
    residual: dict[str, Float[Array, ""]]
    forward: dict[str, Solved]
    adjoint: dict[str, Solved]
    converged: Bool[Array, ""]


def settle(system: System, given: Input, observed: Rates, settings: Settings) -> Settled:
    """Rates with the implicit derivative: at the `observed` ones, or at the fixed point that they lead to.

    With `D` the slope of the clip and `J = D W` the Jacobian of one sweep, `da = (1 - J)^-1 D (dW a + d drive)`.
    """
    rates: Rates = {}
    residuals, forward, adjoint = {}, {}, {}
    good = jnp.asarray(True)
    for names in system.stages:
        stage = system.stage(names)
        outer = {layer.name: external(layer, given, rates) for layer in stage}
        point = {name: observed[name] for name in names}
        if settings.polish:
            point, solved = _polish(detached(stage), detached(outer), point, settings)
            if solved is not None:
                forward[names[-1]], good = solved, good & solved.converged
        out, mapped = sweep(stage, outer, detached(point), detached(point))
        residuals.update({name: jnp.max(jnp.abs(mapped[name] - point[name])) for name in names})
        feed = feeding(stage)
        if feed:
            linearised = _Linearised(*detached((stage, outer, point)))
            z = unpack(_implicit(pack(out, feed), linearised, settings), point, feed)
            if settings.probe:
                ones = jnp.ones_like(pack(point, feed))
                adjoint[names[-1]] = settings.backward.solve(linearised.transposed(), ones)
            # What feeds back is z itself; the layers between see it.
            out = {**sweep(stage, outer, z, detached(point))[0], **z}
        rates.update(out)
    return Settled(rates, *jax.lax.stop_gradient((residuals, forward, adjoint, good)))


class _Linearised(eqx.Module):
    """A stage at a point."""

    stage: tuple[Layer, ...]
    outer: Rates
    point: Rates

    def transposed(self):
        """`v -> J^T v` for the rates of the layers that feed back, as one vector."""
        names = feeding(self.stage)

        def function(z: Array) -> Array:
            return pack(sweep(self.stage, self.outer, unpack(z, self.point, names), self.point)[0], names)

        _, pull = jax.vjp(function, pack(self.point, names))
        return lambda v: pull(v)[0]


def _implicit(value: Float[Array, " n"], linearised: _Linearised, settings: Settings) -> Float[Array, " n"]:
    """`value`, which is one application of `F` at its fixed point, with the derivative of the fixed point.

    Only the adjoint solve has a rule of its own. The gradients of weights come from the application of `F` itself, so
    that under `vmap` they are one product for the whole batch and never a matrix for each sample.
    """
    arrays, static = eqx.partition(linearised, eqx.is_array)

    @jax.custom_vjp
    def identity(value, arrays):
        return value

    def forward(value, arrays):
        return value, arrays

    def backward(arrays, cotangent):
        solved = settings.backward.solve(eqx.combine(arrays, static).transposed(), cotangent)
        return report(solved, what="the backward pass", policy=settings.policy), None

    identity.defvjp(forward, backward)
    return identity(value, arrays)


def _polish(stage: tuple[Layer, ...], outer: Rates, start: Rates, settings: Settings) -> tuple[Rates, Solved | None]:
    """The fixed point of a stage, by iteration from `start` if it feeds back."""
    feed = feeding(stage)
    if not feed:
        return sweep(stage, outer, {})[0], None

    def function(z: Array) -> Array:
        return pack(sweep(stage, outer, unpack(z, start, feed))[0], feed)

    solved = settings.forward.fixed_point(function, pack(detached(start), feed))
    z = report(solved, what="the fixed point", policy=settings.policy)
    return sweep(stage, outer, unpack(z, start, feed))[0], solved


def simulated_distance(simulated: Simulated, rates: Rates) -> dict[str, Float[Array, ""]]:
    """How far the simulated rates are from these, the largest difference by population."""
    return {name: jnp.max(jnp.abs(simulated.rates[name] - rates[name])) for name in rates}
