"""A layer of neurons that spike at most once: what reaches it, and the function that gives its spike times."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from ._membrane import AbstractMembrane
from ._primitive import Setup, spike_times


class Layer(eqx.Module):
    """`n` neurons, the units that send to them, and the `N` arrivals that reach them, in any order.

    - `time`: `[N]`, when each arrival is sent; `inf` for none, and so is a NaN.
    - `source`: `[N]`, from which of the `S` units it comes; -1 for none. `None` where arrival `k` is that of unit `k`.
    - `weight`: `[S, n]`, what it adds to each neuron's current.
    - `delay`: `[S, n]`, by how much it is late at each neuron, `None` for nothing.
    - `drive`: `[n]`, a constant current, `None` for nothing.
    - `ordered`: the arrivals are known to ascend.
    - `axonal`: `[S]`, by how much all that a unit sends is late, `None` for nothing.
    - `dendritic`: `[n]`, by how much each neuron's own spike is late, `None` for nothing; not with observed spikes.

    Weights and delays belong to units, not to arrivals: the samples of a batch share them, and so does their gradient.
    """

    membrane: AbstractMembrane
    time: Float[Array, " N"]
    source: Int[Array, " N"] | None
    weight: Float[Array, "S n"]
    delay: Float[Array, "S n"] | None
    drive: Float[Array, " n"] | None
    ordered: bool = eqx.field(static=True)
    axonal: Float[Array, " S"] | None = None
    dendritic: Float[Array, " n"] | None = None

    def kicks(self, source: Array) -> Array:
        """What arrivals from `source`, `[K]` or `[K, n]`, add to each neuron's current, `[K, n]`."""
        return _look_up(self.weight, source)

    def lateness(self, source: Array) -> Array:
        """By how much arrivals from `source`, `[K]`, are late, `[K, n]`."""
        assert self.delay is not None
        return _look_up(self.delay, source)


def first_spikes(
    layer: Layer, *, t1: float, observed: Array | None = None, gradient_limit: float | None = None, kernel: str = "auto"
) -> tuple[Float[Array, " n"], Float[Array, " n"]]:
    """The first spike times `[n]` up to `t1`, `inf` for none, and the slope there, which has no derivative.

    With `kappa` the response to a unit kick and `v'` the slope,

        dT/dw_i = -kappa(T - t_i) / v'(T),    dT/dt_i = w_i kappa'(T - t_i) / v'(T),

    and for every other parameter `dT/dp = -(dv/dp - dtheta/dp) / v'(T)`: one formula for every ratio of the time
    constants, for spikes that were found and for `observed` ones (Göltz et al., Nature Communications 2025). Where `v'`
    is not positive there is no gradient. Reverse mode only.
    """
    arrays, fixed = eqx.partition(layer, eqx.is_array)
    leaves, structure = jax.tree.flatten(arrays)
    constants, rest = jax.tree.flatten(fixed)
    setup = Setup(
        structure=structure,
        rest=rest,
        constants=tuple(constants),
        t1=t1,
        limit=gradient_limit,
        observed=observed is not None,
        kernel=kernel,
    )
    given = [] if observed is None else [jax.lax.stop_gradient(observed)]
    return spike_times(leaves + given, setup)


def _look_up(matrix: Array, source: Array) -> Any:
    if source.ndim == 1:
        return matrix.at[source].get(mode="fill", fill_value=0.0, wrap_negative_indices=False)
    own = jnp.arange(matrix.shape[1], dtype=source.dtype)[None, :]
    return matrix.at[source, own].get(mode="fill", fill_value=0.0, wrap_negative_indices=False)
