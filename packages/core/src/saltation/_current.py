"""Currents: stimuli that are constant or piecewise constant in time."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float

from ._floats import as_floats


class Current(eqx.Module):
    """A stimulus of `n` units that is constant, or changes at given times.

    **Arguments:**

    - `value`: `[n]` for a constant current, or `[S, n]`: the value from `start[s]` on.
    - `start`: `[S]`, ascending; the current is zero before `start[0]`. Left out for a constant current.

    **Raises:** `ValueError` for shapes that do not fit, or known values that are not finite or not ascending.

    ```python
    Current(jnp.array([1.5, 0.0]))                                        # constant
    Current(jnp.array([[1.5], [0.0]]), start=jnp.array([0.0, 10.0]))      # a pulse of 10
    ```
    """

    value: Float[Array, "*batch_and_steps n"]
    start: Float[Array, "*batch S"] | None

    def __init__(self, value, start=None):
        value = as_floats(value)
        if start is None and value.ndim != 1:
            raise ValueError(
                f"Current got a value of shape {value.shape} and no start; expected [n] for a constant current, "
                "or [S, n] with start[S]."
            )
        if start is not None:
            start = jnp.asarray(start, dtype=value.dtype)
            if value.ndim != 2 or start.shape != value.shape[:1]:
                raise ValueError(
                    f"Current got a value of shape {value.shape} and start of shape {start.shape}; expected [S, n] and "
                    "[S]."
                )
        _check(value, start)
        self.value = value
        self.start = start

    @property
    def size(self) -> int:
        return self.value.shape[-1]


def _check(value: Array, start: Array | None) -> None:
    if not isinstance(value, Tracer) and not np.isfinite(np.asarray(value)).all():
        raise ValueError("Current got a value that is not finite; expected finite numbers.")
    if start is not None and not isinstance(start, Tracer):
        times = np.asarray(start)
        if not np.isfinite(times).all() or (times < 0).any() or (np.diff(times) < 0).any():
            raise ValueError(f"Current got start = {times}; expected finite, ascending times >= 0.")
