"""A quadratic neuron that a constant drive makes fire."""

import jax.numpy as jnp
from jaxtyping import Array

from ._parameters import Parameter


def beyond_rheobase(owner: str, v_rest: Parameter, v_crit: Parameter, drive: float | Array) -> tuple[Parameter, Array]:
    """`m` and `w` with which `(v - v_rest) (v - v_crit) + drive` is `(v - m)^2 + w^2`.

    Raises `ValueError` for a drive that is known not to make the neuron fire.
    """
    square = drive - 0.25 * (v_crit - v_rest) ** 2
    if isinstance(square, int | float) and square <= 0:
        raise ValueError(
            f"{owner}.time_to_spike got drive={drive}; expected more than (v_crit - v_rest)^2 / 4 = {drive - square}, "
            "below which it does not fire."
        )
    return 0.5 * (v_rest + v_crit), jnp.sqrt(square)
