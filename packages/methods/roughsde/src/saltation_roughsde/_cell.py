"""One cell of the Goursat problem `d2k / ds dt = p k`, solved by its power series in both directions."""

import math
from functools import partial
from typing import Any, TypeAlias

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ._order import Series

# The derivatives of the kernel along an edge, at its start: one array over lanes for each, never one with an axis of
# derivatives, which would cost a CPU several times as much.
Edge: TypeAlias = tuple[Float[Array, "*lanes"], ...]


def solve_cell(bottom: Edge, left: Edge, p: Float[Array, "*lanes"], series: Series) -> tuple[Edge, Edge]:
    """The kernel on the top and on the right edge of a cell, from that on its bottom and its left edge.

    An edge holds `b_m = d^m k / ds^m` at its start, so that `k(s) = sum_m b_m s^m / m!`. With
    `k(s, t) = sum_mn c_mn s^m t^n` the equation says `c_(m+1)(n+1) = p c_mn / ((m+1) (n+1))`, hence

        top_m   = sum_(q <= m) bottom_(m-q) p^q / q!  +  p^m sum_(r >= 1) left_r / (r+m)!
        right_n = sum_(q <= n) left_(n-q) p^q / q!    +  p^n sum_(r >= 1) bottom_r / (r+n)!

    **Arguments:** `series`: which of these terms count.

    The equation is that of Salvi et al., "The signature kernel is the solution of a Goursat PDE",
    2021; finite differences, which they use, are wrong by percents where paths jump.
    """
    return _solve(bottom, left, p, series)  # pyright: ignore


@partial(jax.custom_vjp, nondiff_argnums=(3,))
def _solve(bottom, left, p, series):
    w = _powers(p, series)
    return _across(bottom, left, w, series), _across(left, bottom, w, series)


def _solve_forward(bottom, left, p, series):
    return _solve(bottom, left, p, series), (bottom, left, p)


def _solve_backward(series, residuals, cotangents):
    bottom, left, p = residuals
    top_bar, right_bar = cotangents
    w = _powers(p, series)
    bottom_bar = _across_bar(top_bar, right_bar, w, series)
    left_bar = _across_bar(right_bar, top_bar, w, series)
    p_bar = _slope(bottom, left, top_bar, w, series) + _slope(left, bottom, right_bar, w, series)
    return bottom_bar, left_bar, p_bar


_solve.defvjp(_solve_forward, _solve_backward)


def _powers(p: Array, series: Series) -> list[Array]:
    highest = max((q for powers in series.near for q in powers), default=0)
    highest = max(highest, *(m for m, derivatives in enumerate(series.far) if derivatives))
    powers = [jnp.ones_like(p)]
    for _ in range(highest):
        powers.append(powers[-1] * p)
    return powers


def _sum(parts: list[Array], like: Array) -> Array:
    return sum(parts[1:], parts[0]) if parts else jnp.zeros_like(like)


def _across(edge: Edge, crossing: Edge, w: list[Array], series: Series) -> Edge:
    """The edge carried across the cell, and what comes in through the edge that crosses it."""
    carried = []
    for m in range(series.order):
        parts = [edge[m], *[edge[m - q] * (w[q] * (1 / math.factorial(q))) for q in series.near[m]]]
        if series.far[m]:
            incoming = _incoming(crossing, m, series)
            parts.append(w[m] * incoming if m else incoming)
        carried.append(_sum(parts, edge[0]))
    return tuple(carried)


def _incoming(crossing: Edge, m: int, series: Series) -> Array:
    return _sum([crossing[r] * (1 / math.factorial(r + m)) for r in series.far[m]], crossing[0])


def _across_bar(bar: Edge, crossed_bar: Edge, w: list[Array], series: Series) -> Edge:
    """The cotangent of an edge, from that of the opposite one and that of the one that leaves by its end."""
    bars = []
    scaled = [crossed_bar[m] * w[m] if m else crossed_bar[m] for m in range(series.order) if series.far[m]]
    for r in range(series.order):
        parts = [bar[r]]
        for m in range(r + 1, series.order):
            if m - r in series.near[m]:
                parts.append(bar[m] * (w[m - r] * (1 / math.factorial(m - r))))
        parts += [scaled[m] * (1 / math.factorial(r + m)) for m in range(len(scaled)) if r in series.far[m]]
        bars.append(_sum(parts, bar[0]))
    return tuple(bars)


def _slope(near: Edge, far: Edge, bar: Edge, w: list[Array], series: Series) -> Array:
    """The cotangent of `p` through one of the two results."""
    parts = []
    for m in range(1, series.order):
        slopes = [near[m - q] * (w[q - 1] * (1 / math.factorial(q - 1))) for q in series.near[m]]
        if series.far[m]:
            slopes.append(w[m - 1] * (m * _incoming(far, m, series)))
        if slopes:
            parts.append(bar[m] * _sum(slopes, w[0]))
    return _sum(parts, w[0])


def pass_cell(bottom: Edge, left: Edge) -> tuple[Edge, Edge]:
    """`solve_cell` for the increment 0: what is added along one edge is added along all of the opposite one."""
    return (bottom[0] + _rise(left), *bottom[1:]), (left[0] + _rise(bottom), *left[1:])


def end_of(edge: Edge) -> Array:
    """The kernel at the end of an edge: `sum_m edge_m / m!`."""
    return edge[0] + _rise(edge)


def _rise(edge: Edge) -> Array:
    return _sum([edge[m] * (1 / math.factorial(m)) for m in range(1, len(edge))], edge[0])


def unit_edge(order: int, lanes: tuple[int, ...], dtype: Any) -> Edge:
    """The edge on the axes, where the kernel is 1."""
    return (jnp.ones(lanes, dtype), *[jnp.zeros(lanes, dtype) for _ in range(order - 1)])


class SeriesCell(eqx.Module):
    """The cell of two straight segments; its increment is one number.

    **Arguments:** `series`: the terms that count.
    """

    series: Series = eqx.field(static=True)

    def unit(self, lanes: tuple[int, ...], dtype: Any) -> Edge:
        return unit_edge(self.series.order, lanes, dtype)

    def __call__(self, bottom: Edge, left: Edge, p: Array) -> tuple[Edge, Edge]:
        return solve_cell(bottom, left, p, self.series)

    def end(self, top: Edge) -> Array:
        return end_of(top)
