"""One cell of the Goursat problem `d2k / ds dt = p k`, solved by its power series in both directions."""

import math
from functools import partial
from typing import Any, TypeAlias

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

# The derivatives of the kernel along an edge, at its start: one array over lanes for each, never one with an axis of
# derivatives, which would cost a CPU several times as much.
Edge: TypeAlias = tuple[Float[Array, "*lanes"], ...]


def solve_cell(bottom: Edge, left: Edge, p: Float[Array, "*lanes"], terms: int) -> tuple[Edge, Edge]:
    """The kernel on the top and on the right edge of a cell, from that on its bottom and its left edge.

    An edge holds `b_m = d^m k / ds^m` at its start, so that `k(s) = sum_m b_m s^m / m!`. With
    `k(s, t) = sum_mn c_mn s^m t^n` the equation says `c_(m+1)(n+1) = p c_mn / ((m+1) (n+1))`, hence

        top_m   = sum_(q <= m) bottom_(m-q) p^q / q!  +  p^m sum_(r >= 1) left_r / (r+m)!
        right_n = sum_(q <= n) left_(n-q) p^q / q!    +  p^n sum_(r >= 1) bottom_r / (r+n)!

    **Arguments:** `terms`: how many powers of `p` are kept.

    The equation is that of Salvi et al., "The signature kernel is the solution of a Goursat PDE",
    2021; finite differences, which they use, are wrong by percents where paths jump.
    """
    return _solve(bottom, left, p, terms)  # pyright: ignore


@partial(jax.custom_vjp, nondiff_argnums=(3,))
def _solve(bottom, left, p, terms):
    w = _powers(p, terms)
    top = tuple(_near(bottom, w, m) + _far(left, w, m) for m in range(len(bottom)))
    right = tuple(_near(left, w, n) + _far(bottom, w, n) for n in range(len(left)))
    return top, right


def _solve_forward(bottom, left, p, terms):
    return _solve(bottom, left, p, terms), (bottom, left, p)


def _solve_backward(terms, residuals, cotangents):
    bottom, left, p = residuals
    top_bar, right_bar = cotangents
    w = _powers(p, terms)
    bottom_bar = tuple(_near_bar(top_bar, w, m) + _far_bar(right_bar, w, m) for m in range(len(bottom)))
    left_bar = tuple(_near_bar(right_bar, w, n) + _far_bar(top_bar, w, n) for n in range(len(left)))
    p_bar = _slope(bottom, left, top_bar, w) + _slope(left, bottom, right_bar, w)
    return bottom_bar, left_bar, p_bar


_solve.defvjp(_solve_forward, _solve_backward)


def _powers(p: Array, terms: int) -> list[Array]:
    powers = [jnp.ones_like(p)]
    for _ in range(1, terms):
        powers.append(powers[-1] * p)
    return powers


def _sum(parts: list[Array], like: Array) -> Array:
    return sum(parts[1:], parts[0]) if parts else jnp.zeros_like(like)


def _near(edge: Edge, w: list[Array], m: int) -> Array:
    """`sum_q edge_(m-q) p^q / q!`: the edge itself, carried across the cell."""
    parts = [edge[m - q] * (w[q] * (1 / math.factorial(q))) for q in range(1, min(m + 1, len(w)))]
    return _sum([edge[m], *parts], edge[0])


def _far(edge: Edge, w: list[Array], m: int) -> Array:
    """`p^m sum_(r >= 1) edge_r / (r+m)!`: what comes in through the other edge."""
    if m >= len(w):
        return jnp.zeros_like(w[0])
    return w[m] * _sum([edge[r] * (1 / math.factorial(r + m)) for r in range(1, len(edge))], w[0])


def _near_bar(bar: Edge, w: list[Array], m: int) -> Array:
    return _sum([bar[m + q] * (w[q] * (1 / math.factorial(q))) for q in range(min(len(bar) - m, len(w)))], w[0])


def _far_bar(bar: Edge, w: list[Array], r: int) -> Array:
    if r == 0:
        return jnp.zeros_like(w[0])
    return _sum([bar[m] * (w[m] * (1 / math.factorial(r + m))) for m in range(min(len(bar), len(w)))], w[0])


def _slope(near: Edge, far: Edge, bar: Edge, w: list[Array]) -> Array:
    """The cotangent of `p` through one of the two results."""
    parts = []
    for m in range(1, len(bar)):
        slopes = [near[m - q] * (w[q - 1] * (1 / math.factorial(q - 1))) for q in range(1, min(m + 1, len(w)))]
        if m < len(w):
            incoming = _sum([far[r] * (1 / math.factorial(r + m)) for r in range(1, len(far))], w[0])
            slopes.append(w[m - 1] * (m * incoming))
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

    **Arguments:** `order`: how many derivatives an edge holds; `terms`: how many powers of the increment count.
    """

    order: int = eqx.field(static=True)
    terms: int = eqx.field(static=True)

    def unit(self, lanes: tuple[int, ...], dtype: Any) -> Edge:
        return unit_edge(self.order, lanes, dtype)

    def __call__(self, bottom: Edge, left: Edge, p: Array) -> tuple[Edge, Edge]:
        return solve_cell(bottom, left, p, self.terms)

    def end(self, top: Edge) -> Array:
        return end_of(top)
