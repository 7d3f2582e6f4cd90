"""Reports of solvers that did not converge: a warning with its numbers, once for a whole batch, or an error."""

import itertools
import warnings
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array

from ._solver import Solved

POLICIES = ("warn", "error", "ignore")


class NotConvergedWarning(UserWarning):
    """A solver that did not reach its tolerance: the rates or the gradient are less exact than asked for."""


def report(solved: Solved, *, what: str, policy: str) -> Array:
    """`solved.value`, after a warning or an error if it has not converged.

    **Arguments:** `what` was solved for, in words; `policy`: "warn", "error" or "ignore". Of a function that is called
    again and again the 1st, 2nd, 4th, 8th ... failure are shown.
    """
    if policy == "ignore":
        return solved.value
    if policy == "error":
        words = f"Equilibrium: {what} did not converge. {_ADVICE}"
        return eqx.error_if(solved.value, ~solved.converged, words)
    calls = itertools.count(1)

    def show(failed: Any, samples: Any, residual: Any, steps: Any) -> None:
        call = next(calls)
        if call & (call - 1):
            return
        warnings.warn(
            f"Equilibrium: {what} did not converge for {int(failed)} of {int(samples)} samples (residual "
            f"{float(residual):.1e} after {int(steps)} steps; failure {call} of this function). {_ADVICE}",
            NotConvergedWarning,
            stacklevel=2,
        )

    one = jnp.ones((), jnp.int32)
    failed = (~solved.converged).astype(jnp.int32)
    numbers = _over_batch(*lax.stop_gradient((failed, one, solved.residual, solved.steps)))
    lax.cond(numbers[0] > 0, lambda: jax.debug.callback(show, *numbers), lambda: None)
    return solved.value


_ADVICE = (
    "Raise max_steps, loosen rtol, take the solver 'gmres' or 'anderson', or keep the feedback contracting: see "
    "saltation_equilibrium.contraction."
)


@jax.custom_batching.custom_vmap
def _over_batch(failed: Array, samples: Array, residual: Array, steps: Array) -> tuple[Array, ...]:
    """Sums of the first two and maxima of the others, over whatever batch this is in."""
    return failed, samples, residual, steps


@_over_batch.def_vmap
def _reduced(axis_size, in_batched, failed, samples, residual, steps):
    add = lambda x, batched: jnp.sum(x, dtype=x.dtype) if batched else x * axis_size  # noqa: E731
    top = lambda x, batched: jnp.max(x) if batched else x  # noqa: E731
    values = (
        add(failed, in_batched[0]),
        add(samples, in_batched[1]),
        top(residual, in_batched[2]),
        top(steps, in_batched[3]),
    )
    return _over_batch(*values), (False,) * 4
