"""Anderson acceleration."""

from collections.abc import Callable

import equinox as eqx
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

import saltation as st

from ._solver import AbstractFixedPointSolver, Solved, Vector, check_settings, default_tolerance, norm


class Anderson(AbstractFixedPointSolver):
    """Anderson's acceleration of `z <- F(z)`: the combination of the last iterates whose residuals cancel best.

    It needs fewer evaluations than `Picard`, and converges for many a feedback that does not contract.

    **Arguments:** `rtol`: tolerance (`None`: near what the precision resolves); `max_steps`; `memory`: how many
    iterates are combined.

    **Raises:** `ValueError` for settings out of range.

    Walker and Ni, SIAM Journal on Numerical Analysis 49 (2011).
    """

    rtol: float | None = eqx.field(static=True, default=None)
    max_steps: int = eqx.field(static=True, default=100)
    memory: int = eqx.field(static=True, default=5)

    def __check_init__(self):
        check_settings("Anderson", self.rtol, self.max_steps)
        if self.memory < 1:
            raise ValueError(f"Anderson got memory={self.memory}; expected at least 1.")

    def solve(self, transposed: Callable[[Vector], Vector], cotangent: Vector) -> Solved:
        return self._iterate(lambda v: transposed(v) + cotangent, cotangent, norm(cotangent))

    def fixed_point(self, function: Callable[[Vector], Vector], start: Vector) -> Solved:
        return self._iterate(function, start, jnp.asarray(start.shape[0] ** 0.5, start.dtype))

    def _iterate(self, function: Callable[[Vector], Vector], start: Vector, scale: Float[Array, ""]) -> Solved:
        tolerance = default_tolerance(self.rtol, start.dtype)
        rows = jnp.arange(self.memory, dtype=jnp.int32)

        def step(carry):
            z, last, differences, best, smallest, own, count = carry
            change = function(z) - z
            residual = norm(change)
            going = smallest > tolerance * scale
            better = residual < smallest
            best = jnp.where(better, z + change, best)
            smallest = jnp.where(better, residual, smallest)
            # Differences of iterates and of residuals, the oldest overwritten.
            slot = (count % self.memory) == rows
            dz, dr = differences
            new = (count > 0) & slot[:, None]
            dz = jnp.where(new, (z - last[0])[None], dz)
            dr = jnp.where(new, (change - last[1])[None], dr)
            following = z + change - (dz + dr).T @ _least_squares(dr, change)
            return following, (z, change), (dz, dr), best, smallest, own + going.astype(jnp.int32), count + 1

        def unfinished(carry):
            smallest, count = carry[4], carry[6]
            return st.anywhere(smallest > tolerance * scale) & (count < self.max_steps)

        zero = jnp.zeros((), jnp.int32)
        empty = jnp.zeros((self.memory, start.shape[0]), start.dtype)
        nothing = jnp.zeros_like(start)
        carry = (start, (nothing, nothing), (empty, empty), start, jnp.full_like(scale, jnp.inf), zero, zero)
        carry = lax.while_loop(unfinished, step, carry)
        best, smallest, own = carry[3:6]
        # A sample whose very first residual is not a number has never been better than infinity.
        relative = smallest / jnp.where(scale > 0, scale, 1.0)
        return Solved(best, relative, own, smallest <= tolerance * scale)


def _least_squares(rows: Float[Array, "memory n"], target: Vector) -> Float[Array, " memory"]:
    """The `c` of least norm for which `rows^T c` is nearest to `target`; differences in size do not matter."""
    size = jnp.sqrt(jnp.sum(rows * rows, axis=1))
    unit = rows / jnp.where(size > 0, size, 1.0)[:, None]
    gram = unit @ unit.T
    # Rows that are nearly parallel, and those that are still empty, must not blow up.
    ridge = 10 * float(jnp.finfo(rows.dtype).eps)
    diagonal = jnp.diag(ridge + (size == 0).astype(rows.dtype))
    solution = jnp.linalg.solve(gram + diagonal, unit @ target)
    return solution / jnp.where(size > 0, size, 1.0)
