"""Solvers for the adjoint equation alone: GMRES, a dense factorisation, and none at all."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import lineax as lx

from ._solver import AbstractSolver, Solved, Vector, check_settings, default_tolerance, norm


class GMRES(AbstractSolver):
    """Lineax's GMRES: it needs no contraction, and at most as many steps as there are neurons.

    **Arguments:** `rtol`: tolerance (`None`: near what the precision resolves); `max_steps`; `restart`: after how many
    steps it forgets.

    **Raises:** `ValueError` for settings out of range.

    Saad and Schultz, SIAM Journal on Scientific and Statistical Computing 7 (1986).
    """

    rtol: float | None = eqx.field(static=True, default=None)
    max_steps: int = eqx.field(static=True, default=500)
    restart: int = eqx.field(static=True, default=20)

    def __check_init__(self):
        check_settings("GMRES", self.rtol, self.max_steps)
        if self.restart < 1:
            raise ValueError(f"GMRES got restart={self.restart}; expected at least 1.")

    def solve(self, transposed: Callable[[Vector], Vector], cotangent: Vector) -> Solved:
        tolerance = default_tolerance(self.rtol, cotangent.dtype)
        scale = norm(cotangent)
        safe = jnp.where(scale > 0, scale, 1.0)
        shape = jax.ShapeDtypeStruct(cotangent.shape, cotangent.dtype)
        operator = lx.FunctionLinearOperator(lambda v: v - transposed(v), shape)
        # Lineax tests each number by itself; ours is the norm, so it is asked for what surely implies it.
        target = 0.3 * tolerance / cotangent.shape[0] ** 0.5
        restart = min(self.restart, cotangent.shape[0])
        solver = lx.GMRES(
            rtol=target, atol=target, norm=lx.internal.max_norm, max_steps=self.max_steps, restart=restart
        )
        solution = lx.linear_solve(operator, cotangent / safe, solver, throw=False)
        value = solution.value * safe
        residual = norm(operator.mv(value) - cotangent) / safe
        return Solved(value, residual, jnp.asarray(solution.stats["num_steps"], jnp.int32), residual <= tolerance)


class Dense(AbstractSolver):
    """Builds the matrix `1 - J^T` of each sample and solves with it: exact, for up to some hundred neurons."""

    def solve(self, transposed: Callable[[Vector], Vector], cotangent: Vector) -> Solved:
        eye = jnp.eye(cotangent.shape[0], dtype=cotangent.dtype)
        # Row by row the images of unit vectors are the columns of J^T.
        matrix = eye - jax.vmap(transposed)(eye).T
        value = jnp.linalg.solve(matrix, cotangent)
        scale = norm(cotangent)
        residual = norm(matrix @ value - cotangent) / jnp.where(scale > 0, scale, 1.0)
        tolerance = default_tolerance(None, cotangent.dtype)
        return Solved(value, residual, jnp.asarray(cotangent.shape[0], jnp.int32), residual <= tolerance)


class JacobianFree(AbstractSolver):
    """Takes `v = g + J^T g + ... + (J^T)^terms g`: the cheapest, and a bias that it does not measure.

    **Arguments:** `terms`: how many beyond the first; none by default, the Jacobian-free backward pass.

    **Raises:** `ValueError` for fewer than 0.

    Fung et al., AAAI 2022.
    """

    terms: int = eqx.field(static=True, default=0)

    def __check_init__(self):
        if self.terms < 0:
            raise ValueError(f"JacobianFree got terms={self.terms}; expected 0 or more.")

    def solve(self, transposed: Callable[[Vector], Vector], cotangent: Vector) -> Solved:
        value = cotangent
        for _ in range(self.terms):
            value = transposed(value) + cotangent
        unknown = jnp.asarray(jnp.nan, cotangent.dtype)
        return Solved(value, unknown, jnp.asarray(self.terms, jnp.int32), jnp.asarray(True))
