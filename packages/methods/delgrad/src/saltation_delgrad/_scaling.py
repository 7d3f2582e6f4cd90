"""Weight scaling: a remedy for neurons whose weights are too small to make them spike."""

from collections.abc import Mapping

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool

import saltation as st


class WeightScaling(st.AbstractRemedy):
    """Multiplies the weights into neurons that no sample of a batch makes spike, instead of a gradient step.

    What is added to all weights of a neuron drowns their differences, and neurons that woke up like that are much
    alike. Multiplied, they keep them: a network that was drawn too small wakes up as the one that was drawn larger.

    Only the first population in order of the layers with such a neuron is treated: those behind it may be silent for
    want of input. A neuron whose weights sum up to nothing or less is left alone, as scaling would not help it
    (`saltation.keep_firing` and `WeightBumping` would), and so is one that nothing helps up to `drive`.

    **Arguments:**

    - `factor`: of one step.
    - `drive`: the sum of incoming weights from which on a neuron is left alone, in the unit of the weights; several
      times what it takes to reach the threshold.

    **Raises:** `ValueError` for a factor of 1 or less, or a drive that is not positive.

    It is a bias: a step that it takes is not one of the loss.

    ```python
    experiment = dataclasses.replace(experiment, remedy=WeightScaling())
    ```
    """

    factor: float | int = eqx.field(static=True, default=1.1)
    drive: float | int = eqx.field(static=True, default=20.0)

    def __check_init__(self):
        if not self.factor > 1:
            raise ValueError(f"WeightScaling got factor={self.factor}; expected a number above 1.")
        if not self.drive > 0:
            raise ValueError(f"WeightScaling got drive={self.drive}; expected a positive number.")

    def init(self, network: st.Network) -> None:
        return None

    def apply(
        self, network: st.Network, silent: Mapping[str, Bool[Array, "batch n"]], memory: None
    ) -> tuple[st.Network, None, Bool[Array, ""]]:
        treated: dict[str, Array] = {}
        acts = jnp.zeros((), bool)
        for name in [name for stage in network.stages() for name in stage.populations]:
            weights = [c.synapse.weight for _, c in network.incoming(name) if isinstance(c.synapse, st.Dense)]
            total = sum(jnp.sum(weight, axis=0) for weight in weights)
            helped = jnp.all(silent[name], axis=0) & (total > 0) & (total < self.drive) & ~acts
            treated[name] = helped
            acts = acts | jnp.any(helped)

        def scaled(connection: st.Connection) -> Array:
            assert isinstance(connection.synapse, st.Dense)
            weight = connection.synapse.weight
            factor = jnp.where(treated[connection.target], self.factor, 1.0).astype(weight.dtype)
            return weight * factor[None, :]

        weights_of = lambda net: [c.synapse.weight for c in net.connections if isinstance(c.synapse, st.Dense)]  # noqa: E731
        new = [scaled(c) for c in network.connections if isinstance(c.synapse, st.Dense)]
        return eqx.tree_at(weights_of, network, new) if new else network, None, acts
