"""What a solver is, and what all of them share."""

import abc
from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

Vector = Float[Array, " n"]


class Solved(NamedTuple):
    """What a solver found.

    - `value`: `[n]`.
    - `residual`: the norm of what is left over that of the right-hand side (for a fixed point: its root mean square).
    - `steps`: how many evaluations it took, of this sample alone.
    - `converged`: whether the residual is within the tolerance.
    """

    value: Float[Array, " n"]
    residual: Float[Array, ""]
    steps: Int[Array, ""]
    converged: Bool[Array, ""]


class AbstractSolver(eqx.Module):
    """Solves `v = J^T v + g`, the adjoint equation of a fixed point."""

    @abc.abstractmethod
    def solve(self, transposed: Callable[[Vector], Vector], cotangent: Vector) -> Solved:
        """`v`, for `transposed(v) = J^T v` and `cotangent = g`; each sample to its own tolerance."""


class AbstractFixedPointSolver(AbstractSolver):
    """Solves `z = F(z)` as well, by iteration."""

    @abc.abstractmethod
    def fixed_point(self, function: Callable[[Vector], Vector], start: Vector) -> Solved:
        """`z`, from `start`, until the root mean square of `F(z) - z` is within the tolerance."""


def norm(x: Vector) -> Float[Array, ""]:
    """The Euclidean norm."""
    return jnp.sqrt(jnp.sum(x * x))


def default_tolerance(rtol: float | None, dtype) -> float:
    """The tolerance, near what `dtype` resolves if none is given."""
    return float(jnp.finfo(dtype).eps) ** 0.75 if rtol is None else rtol


def check_settings(owner: str, rtol: float | None, max_steps: int) -> None:
    """Raise `ValueError` for a tolerance or a number of steps that is not positive."""
    if rtol is not None and not 0 < rtol < 1:
        raise ValueError(f"{owner} got rtol={rtol}; expected a number between 0 and 1, or None for the precision.")
    if max_steps < 1:
        raise ValueError(f"{owner} got max_steps={max_steps}; expected at least 1.")
