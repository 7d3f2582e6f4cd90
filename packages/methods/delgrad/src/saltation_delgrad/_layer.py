"""A layer of neurons that spike at most once: what reaches it, and the function that gives its spike times."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from ._membrane import AbstractMembrane, over_rows
from ._search import search


class Layer(eqx.Module):
    """`n` neurons and the `N` arrivals that reach them, in any order.

    - `time`: `[N]`, or `[N, n]` where neurons see one arrival at different times; `inf` for none.
    - `rows`: `[N, n]`, what each arrival adds to each neuron's current.
    - `shift`: `[n]`, by how much all arrivals of a neuron are late, `None` for nothing; only without a `drive`.
    - `drive`: `[n]`, a constant current, `None` for nothing.
    - `ordered`: `time` is known to ascend.
    """

    membrane: AbstractMembrane
    time: Float[Array, "N *n"]
    rows: Float[Array, "N n"]
    shift: Float[Array, " n"] | None
    drive: Float[Array, " n"] | None
    ordered: bool = eqx.field(static=True)


def first_spikes(
    layer: Layer, *, t1: float, observed: Array | None = None, gradient_limit: float | None = None
) -> tuple[Float[Array, " n"], Float[Array, " n"]]:
    """The first spike times `[n]` up to `t1`, `inf` for none, and the slope there, which has no derivative.

    With `kappa` the response to a unit kick and `v'` the slope,

        dT/dw_i = -kappa(T - t_i) / v'(T),    dT/dt_i = w_i kappa'(T - t_i) / v'(T),

    and for every other parameter `dT/dp = -(dv/dp - dtheta/dp) / v'(T)`: one formula for every ratio of the time
    constants, for spikes that were found and for `observed` ones (Göltz et al., Nature Communications 2025). Where `v'`
    is not positive there is no gradient. Reverse mode only.
    """
    arrays, static = eqx.partition(layer, eqx.is_inexact_array)

    @jax.custom_vjp
    def solve(arrays, observed):
        layer = eqx.combine(arrays, static)
        return search(layer, t1) if observed is None else (observed, slope_at(layer, observed))

    def forward(arrays, observed):
        times, slope = solve(arrays, observed)
        return (times, slope), (arrays, observed, times, slope)

    def backward(residuals, cotangents):
        arrays, observed, times, slope = residuals
        gradient = _pull_back(eqx.combine(arrays, static), times, slope, cotangents[0], gradient_limit)
        return gradient, None if observed is None else jnp.zeros_like(observed)

    solve.defvjp(forward, backward)
    times, slope = solve(arrays, observed)
    return times, lax.stop_gradient(slope)


def slope_at(layer: Layer, times: Array) -> Array:
    """The slope of the potential at given times `[n]`; `inf` where there is no spike."""
    fires = jnp.isfinite(times)
    own, before, u = _since_arrivals(layer, times, fires)
    kappa, left = over_rows(layer.membrane).kernel(u)
    v = jnp.sum(jnp.where(before, layer.rows * kappa, 0.0), axis=0)
    i = jnp.sum(jnp.where(before, layer.rows * left, 0.0), axis=0)
    if layer.drive is not None:
        v, i = v + layer.drive * layer.membrane.step(own), i + layer.drive
    return jnp.where(fires, layer.membrane.slope(v, i), jnp.inf)


def _since_arrivals(layer: Layer, times: Array, fires: Array) -> tuple[Array, Array, Array]:
    """Each neuron's own time of its spike `[n]`, which arrivals caused it, and how long before it, `[N, n]`."""
    own = times if layer.shift is None else times - layer.shift
    own = jnp.where(fires, own, 0.0)
    u = own[None, :] - (layer.time[:, None] if layer.time.ndim == 1 else layer.time)
    # An arrival at the spike itself comes after it.
    before = (u > 0) & fires[None, :]
    return own, before, jnp.where(before, u, 0.0)


def _pull_back(layer: Layer, times: Array, slope: Array, cotangent: Array, limit: float | None) -> Layer:
    """The gradient by everything in `layer`, from the one by the spike times."""
    fires = jnp.isfinite(times) & (slope > 0)
    force = jnp.where(fires, -cotangent / jnp.where(fires, slope, 1.0), 0.0)
    own, before, u = _since_arrivals(layer, times, fires)
    membrane = over_rows(layer.membrane)
    kappa, left = membrane.kernel(u)
    by_row = jnp.where(before, force[None, :] * kappa, 0.0)
    if limit is not None:
        steepest = jnp.max(jnp.abs(by_row), axis=0, initial=0.0)
        by_row = jnp.where((steepest <= limit)[None, :], by_row, 0.0)
    by_time = jnp.where(before, -force[None, :] * layer.rows * membrane.slope(kappa, left), 0.0)
    if layer.time.ndim == 1:
        by_time = jnp.sum(by_time, axis=1)

    constants, fixed = eqx.partition(layer.membrane, eqx.is_inexact_array)

    def excess(constants: Any) -> Array:
        membrane = eqx.combine(constants, fixed)
        v = jnp.sum(jnp.where(before, layer.rows * over_rows(membrane).kernel(u)[0], 0.0), axis=0)
        return v + (0.0 if layer.drive is None else layer.drive * membrane.step(own)) - membrane.theta

    by_constants = constants
    if jax.tree.leaves(constants):
        by_constants = jax.vjp(excess, constants)[1](force)[0]
    return Layer(
        membrane=by_constants,
        time=by_time,
        rows=by_row,
        shift=None if layer.shift is None else jnp.where(fires, cotangent, 0.0),
        drive=None if layer.drive is None else force * layer.membrane.step(own),
        ordered=layer.ordered,
    )
