"""Parameters of neurons: fixed numbers or trainable arrays."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Float

Parameter = float | int | Float[Array, "..."]


def as_parameter(value: Any) -> Any:
    """A NumPy scalar as the Python number that it stands for, any array as a float array of JAX.

    Equinox counts a NumPy scalar as an array: `np.float64(20)` would be trained by accident. Raises
    `ValueError` for text and for lists, which it would take for a part of the structure.
    """
    if isinstance(value, str | list | tuple | dict):
        raise ValueError(f"A neuron got the parameter {value!r}; expected a number or an array (to train it).")
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray | jax.Array) and not jnp.issubdtype(value.dtype, jnp.inexact):
        return jnp.asarray(value, jnp.result_type(float))
    return jnp.asarray(value) if isinstance(value, np.ndarray) else value


def check_reset_mode(owner: str, mode: str) -> None:
    """Raise `ValueError` for an unknown way to reset."""
    if mode not in ("value", "subtract"):
        raise ValueError(
            f"{owner} got reset_mode={mode!r}; expected 'value' (v = v_reset) or 'subtract' "
            "(v falls by v_threshold - v_reset)."
        )


def filled(owner: str, shape: tuple[int, ...], **values: ArrayLike) -> tuple[Array, ...]:
    """Values as arrays of a population's shape; `ValueError` for one that has another."""
    found = []
    for name, value in values.items():
        if jnp.shape(value) not in ((), shape):
            raise ValueError(
                f"{owner}.at got {name} of shape {jnp.shape(value)}; expected () or {shape}, the population's."
            )
        found.append(jnp.zeros(shape) + value)
    return tuple(found)
