"""Picard iteration, which for the adjoint equation is the Neumann series."""

from collections.abc import Callable

import equinox as eqx
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

import saltation as st

from ._solver import AbstractFixedPointSolver, Solved, Vector, check_settings, default_tolerance, norm


class Picard(AbstractFixedPointSolver):
    """`z <- z + damping (F(z) - z)`; undamped and for the adjoint: the sum of `(J^T)^k g`, the Neumann series.

    It converges where the feedback contracts. A `damping` below 1 helps against rotations; the solution is the same.

    **Arguments:** `rtol`: tolerance (`None`: near what the precision resolves); `max_steps`; `damping` in (0, 1].

    **Raises:** `ValueError` for settings out of range.
    """

    rtol: float | None = eqx.field(static=True, default=None)
    max_steps: int = eqx.field(static=True, default=200)
    damping: float = eqx.field(static=True, default=1.0)

    def __check_init__(self):
        check_settings("Picard", self.rtol, self.max_steps)
        if not 0 < self.damping <= 1:
            raise ValueError(f"Picard got damping={self.damping}; expected a number in (0, 1].")

    def solve(self, transposed: Callable[[Vector], Vector], cotangent: Vector) -> Solved:
        scale = norm(cotangent)
        return self._iterate(lambda v: transposed(v) + cotangent, cotangent, scale)

    def fixed_point(self, function: Callable[[Vector], Vector], start: Vector) -> Solved:
        return self._iterate(function, start, jnp.asarray(start.shape[0] ** 0.5, start.dtype))

    def _iterate(self, function: Callable[[Vector], Vector], start: Vector, scale: Float[Array, ""]) -> Solved:
        tolerance = default_tolerance(self.rtol, start.dtype)

        def step(carry):
            z, _, own, count = carry
            change = function(z) - z
            residual = norm(change)
            going = residual > tolerance * scale
            return z + self.damping * change, residual, own + going.astype(jnp.int32), count + 1

        def unfinished(carry):
            _, residual, _, count = carry
            # Further steps do finished samples no harm, and a loop with one condition for all is faster.
            return st.anywhere(residual > tolerance * scale) & (count < self.max_steps)

        zero = jnp.zeros((), jnp.int32)
        z, residual, own, _ = lax.while_loop(unfinished, step, (start, jnp.full_like(scale, jnp.inf), zero, zero))
        relative = residual / jnp.where(scale > 0, scale, 1.0)
        return Solved(z, relative, own + 1, residual <= tolerance * scale)
