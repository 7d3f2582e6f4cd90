"""Whether a network's feedback contracts, which guarantees one equilibrium that every iteration finds."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

import saltation as st

from ._operator_norm import operator_norm


class Contraction(NamedTuple):
    """Norms of feedback.

    - `norms`: the operator norm of each connection over the least threshold of its target, by the connection's number.
    - `bound`: by the last population of each stage that feeds back: the factor by which one sweep shrinks distances, at
      most. Below 1 the equilibrium is unique, and `Picard` converges at that rate or faster.
    """

    norms: dict[int, Float[Array, ""]]
    bound: dict[str, Float[Array, ""]]

    @property
    def contracts(self) -> bool:
        """Whether every bound is below 1."""
        return all(bool(bound < 1) for bound in self.bound.values())


def contraction(network: st.Network) -> Contraction:
    """How much the feedback of a network contracts, at most.

    With `n_lk` the norms of the connections between the layers of a stage, over the thresholds, distances of rates
    obey `d_l <= sum_k n_lk d_k`. The bound is the spectral radius of that matrix; of `L` layers in a circle it is the
    `L`-th root of the product of their norms, so that it is below 1 where the product is. It is sufficient, not
    necessary: the clip at 0 and 1 usually saves more.

    ```python
    assert contraction(network).contracts
    ```
    """
    norms: dict[int, Array] = {}
    bounds = {}
    for stage in network.stages():
        if not stage.cyclic:
            continue
        names = stage.populations
        matrix = jnp.zeros((len(names), len(names)))
        for row, name in enumerate(names):
            dynamics = network.neurons[name].rate()
            if dynamics is None:
                raise st.UnsupportedError(
                    f"contraction got the neurons {name!r} without a rate equation; expected IF or LIF with "
                    "tau_syn=None, reset_mode='subtract'."
                )
            for position, connection in network.incoming(name):
                if connection.source in names:
                    norm = operator_norm(connection.synapse) / jnp.min(jnp.asarray(dynamics.v_threshold))
                    norms[position] = norm
                    column = names.index(connection.source)
                    # Several connections between two layers add up.
                    matrix = matrix.at[row, column].add(norm.astype(matrix.dtype))
        bounds[names[-1]] = _spectral_radius(matrix)
    return Contraction(norms, bounds)


def _spectral_radius(matrix: Float[Array, "n n"]) -> Float[Array, ""]:
    """Of a small matrix without negative entries: |M^k|^(1/k) by repeated squaring, each time scaled to size 1."""

    def square(_, carry):
        power, log_scale = carry
        power = power @ power
        size = jnp.maximum(jnp.max(power), jnp.finfo(power.dtype).tiny)
        return power / size, 2 * log_scale + jnp.log(size)

    size = jnp.maximum(jnp.max(matrix), jnp.finfo(matrix.dtype).tiny)
    squarings = 20
    power, log_scale = jax.lax.fori_loop(0, squarings, square, (matrix / size, jnp.log(size)))
    return jnp.where(jnp.max(power) > 0, jnp.exp(log_scale / 2.0**squarings), 0.0)
