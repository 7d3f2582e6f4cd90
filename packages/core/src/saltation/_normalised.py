"""Normalisation of what a connection delivers, by statistics over a batch."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float, Int

from ._chain import Chain
from ._errors import UnsupportedError
from ._network import Network
from ._synapse import AbstractSynapse, OneToOne


class Statistics(eqx.Module):
    """Mean and variance of each channel, `[channels]`, as training last saw them; nothing trains them."""

    mean: Float[Array, "*batch channels"]
    variance: Float[Array, "*batch channels"]


class Normalised(AbstractSynapse):
    """What `inner` delivers, with mean and variance of each channel made `shift` and `gain^2`.

    `gain (inner(x) - mean) / sqrt(variance + epsilon) + shift`. A method that trains calls `measured` on what the
    connection carries, under `jax.vmap(..., axis_name="batch")`, and returns the new statistics in `Solution.updates`;
    `updated(network, updates)` is the network with them. Everything else goes by the stored ones.

    Between neurons the shift acts as a constant current, so this is an affine map: a single spike has no share of it,
    and `kick` raises.

    **Arguments:**

    - `inner`: the synapse.
    - `channels`: how many, the last axis of the target; one for each unit if left out.
    - `momentum`: the share of the old statistics that an update keeps; `epsilon`: added to the variance.
    - `axis_name`: of the batch; several, if devices share it, one of which is then theirs.
    - `inference`: whether to go by the stored statistics only.

    **Raises:** `ValueError` for channels that do not divide the targets.

    Ioffe and Szegedy, ICML 2015.
    """

    inner: AbstractSynapse
    gain: Float[Array, " channels"]
    shift: Float[Array, " channels"]
    statistics: Statistics
    momentum: float = eqx.field(static=True)
    epsilon: float = eqx.field(static=True)
    axis_name: str | tuple[str, ...] = eqx.field(static=True)
    inference: bool

    def __init__(
        self,
        inner: AbstractSynapse,
        channels: int | None = None,
        *,
        gain: float = 1.0,
        momentum: float = 0.9,
        epsilon: float = 1e-5,
        axis_name: str | tuple[str, ...] = "batch",
        inference: bool = False,
    ):
        post = inner.sizes()[1]
        channels = post if channels is None else int(channels)
        if channels < 1 or post % channels:
            raise ValueError(f"Normalised got channels={channels} for {post} targets; expected a divisor of them.")
        if not 0 <= momentum <= 1 or not epsilon > 0:
            raise ValueError(
                f"Normalised got momentum={momentum}, epsilon={epsilon}; expected a momentum in [0, 1], epsilon > 0."
            )
        self.inner = inner
        self.gain = jnp.full(channels, gain)
        self.shift = jnp.zeros(channels)
        self.statistics = Statistics(jnp.zeros(channels), jnp.ones(channels))
        self.momentum, self.epsilon, self.axis_name, self.inference = momentum, epsilon, axis_name, inference

    def sizes(self) -> tuple[int, int]:
        return self.inner.sizes()

    def parts(self) -> tuple[AbstractSynapse, Float[Array, " post"]]:
        """The linear part of the map, and its constant `[post]`."""
        scale = self.gain * lax.rsqrt(self.statistics.variance + self.epsilon)
        constant = self.shift - scale * self.statistics.mean
        return Chain(self.inner, OneToOne(self.sizes()[1], self._spread(scale))), self._spread(constant)

    def measured(self, rates: Float[Array, " pre"]) -> tuple["Normalised", Statistics]:
        """The same synapse with the statistics of this batch, through which it is differentiable, and the next ones.

        **Raises:** `ValueError` outside of `jax.vmap(..., axis_name=...)`.
        """
        values = self.inner.apply(rates).reshape(-1, self.gain.shape[0])
        try:
            mean = lax.pmean(jnp.mean(values, axis=0), self.axis_name)
            variance = lax.pmean(jnp.mean((values - mean[None]) ** 2, axis=0), self.axis_name)
        except NameError:
            raise ValueError(
                f"Normalised got one sample; expected a batch to take statistics over, jax.vmap(..., axis_name="
                f"{self.axis_name!r}). Use the stored statistics for evaluation: eqx.nn.inference_mode(network)."
            ) from None
        found = Statistics(mean, variance)
        keep = self.momentum
        following = jax.tree.map(lambda old, new: keep * old + (1 - keep) * new, self.statistics, found)
        return eqx.tree_at(lambda s: s.statistics, self, found), lax.stop_gradient(following)

    def apply(self, rates: Float[Array, " pre"]) -> Float[Array, " post"]:
        linear, constant = self.parts()
        return linear.apply(rates) + constant

    def kick(self, index: Int[Array, ""]) -> Float[Array, " post"]:
        raise UnsupportedError(
            "Normalised has a constant part, of which a single spike has no share, so it has no kick. Use a method "
            "that works with rates, such as 'equilibrium', or put its linear part, `parts()[0]`, into the network."
        )

    def _spread(self, values: Float[Array, " channels"]) -> Float[Array, " post"]:
        return jnp.tile(values, self.sizes()[1] // self.gain.shape[0])


def updated(network: Network, updates: dict[str, Any]) -> Network:
    """The network with the statistics that a solution returned in `updates`, by the number of the connection.

    Updates of a batch, which are the same for all its samples, may have a leading axis.
    """
    for position, statistics in updates.items():
        synapse: Any = network.connections[int(position)].synapse
        old = synapse.statistics
        new = jax.tree.map(lambda value, like: value.reshape(-1, *like.shape)[0], statistics, old)
        network = eqx.tree_at(lambda n, i=int(position): n.connections[i].synapse.statistics, network, new)
    return network


def normalised_over(network: Network, axis_name: str | tuple[str, ...]) -> Network:
    """The network with normalisations that take their statistics over these axes.

    ```python
    shared = st.normalised_over(network, ("batch", "devices"))  # under jax.vmap and jax.shard_map
    ```
    """

    def over(node: Any) -> Any:
        if not isinstance(node, Normalised):
            return node
        settings = {name: getattr(node, name) for name in ("momentum", "epsilon", "inference")}
        fresh = Normalised(node.inner, len(node.gain), axis_name=axis_name, **settings)
        values = lambda n: (n.gain, n.shift, n.statistics)  # noqa: E731
        return eqx.tree_at(values, fresh, values(node))

    return jax.tree.map(over, network, is_leaf=lambda node: isinstance(node, Normalised))


def statistics_of(tree: Any) -> Any:
    """A filter that is true for the statistics of normalisations, which solutions update and nothing trains."""
    is_statistics = lambda node: isinstance(node, Statistics)  # noqa: E731
    return jax.tree.map(lambda node: jax.tree.map(lambda _: is_statistics(node), node), tree, is_leaf=is_statistics)
