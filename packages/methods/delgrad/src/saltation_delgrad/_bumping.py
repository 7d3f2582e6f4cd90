"""Weight bumping: the published remedy for neurons that have fallen silent."""

from collections.abc import Mapping
from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

import saltation as st


class Bumps(NamedTuple):
    """The memory of `WeightBumping`: how much was added last, and to which population, -1 for none."""

    size: Float[Array, ""]
    population: Int[Array, ""]


class WeightBumping(st.AbstractRemedy):
    """Raises all weights into silent neurons, instead of a gradient step, while too many are silent.

    When more than a given share of the (sample, neuron) pairs of a population is silent in a batch, `step` is added to
    all weights into those of its neurons that are silent in any sample; the step doubles each time the same population
    fails again. Only the first failing population in order of the layers is treated: those behind it may be silent for
    want of input.

    **Arguments:**

    - `step`: what is added at first, in the unit of the weights.
    - `hidden`, `outputs`: the share that may be silent.

    **Raises:** `ValueError` for a step or a share out of range.

    It is a bias: a step that it takes is not one of the loss. Göltz et al., Nature Machine Intelligence 2021.

    ```python
    experiment = dataclasses.replace(experiment, remedy=WeightBumping())
    ```
    """

    step: float | int = eqx.field(static=True, default=5e-4)
    hidden: float | int = eqx.field(static=True, default=0.3)
    outputs: float | int = eqx.field(static=True, default=0.0)

    def __check_init__(self):
        if not self.step > 0:
            raise ValueError(f"WeightBumping got step={self.step}; expected a positive number.")
        for name in ("hidden", "outputs"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"WeightBumping got {name}={getattr(self, name)}; expected a share, from 0 to 1.")

    def init(self, network: st.Network) -> Bumps:
        return Bumps(jnp.asarray(self.step, st.common_dtype(network)), jnp.asarray(-1, jnp.int32))

    def apply(
        self, network: st.Network, silent: Mapping[str, Bool[Array, "batch n"]], memory: Bumps
    ) -> tuple[st.Network, Bumps, Bool[Array, ""]]:
        names = [name for stage in network.stages() for name in stage.populations]
        allowed = [self.outputs if name in network.outputs else self.hidden for name in names]
        failing = jnp.stack([jnp.mean(silent[name]) > share for name, share in zip(names, allowed, strict=True)])
        acts = jnp.any(failing)
        population = jnp.where(acts, jnp.argmax(failing), -1).astype(jnp.int32)
        size = jnp.where(acts & (population == memory.population), 2.0 * memory.size, self.step)
        size = size.astype(memory.size.dtype)

        def raised(connection: st.Connection) -> Array:
            mine = jnp.any(silent[connection.target], axis=0) & (population == names.index(connection.target))
            assert isinstance(connection.synapse, st.Dense)
            weight = connection.synapse.weight
            return weight + jnp.where(mine, size, 0.0).astype(weight.dtype)[None, :]

        weights = lambda net: [c.synapse.weight for c in net.connections if isinstance(c.synapse, st.Dense)]  # noqa: E731
        new = [raised(c) for c in network.connections if isinstance(c.synapse, st.Dense)]
        changed = eqx.tree_at(weights, network, new) if new else network
        return changed, Bumps(size, population), acts
