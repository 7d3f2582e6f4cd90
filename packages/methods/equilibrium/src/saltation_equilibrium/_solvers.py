"""Solvers by name."""

import difflib
from typing import Any

from ._anderson import Anderson
from ._linear_solvers import GMRES, Dense, JacobianFree
from ._picard import Picard
from ._solver import AbstractSolver

SOLVERS: dict[str, type[AbstractSolver]] = {
    "neumann": Picard,
    "picard": Picard,
    "anderson": Anderson,
    "gmres": GMRES,
    "dense": Dense,
    "jacobian_free": JacobianFree,
}


def as_solver(solver: Any) -> AbstractSolver:
    """A solver, or the one of that name with its default settings.

    **Raises:** `ValueError` for an unknown name, with the nearest one, or for something else.
    """
    if isinstance(solver, AbstractSolver):
        return solver
    if isinstance(solver, str) and solver in SOLVERS:
        return SOLVERS[solver]()
    near = difflib.get_close_matches(str(solver), SOLVERS, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise ValueError(f"Equilibrium got the solver {solver!r}; expected one of {list(SOLVERS)}, or a solver.{hint}")
