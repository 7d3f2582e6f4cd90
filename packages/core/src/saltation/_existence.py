"""A term for spikes that do not exist: how far silent neurons stay below their threshold."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ._membrane_readouts import largest
from ._network import Network
from ._solution import Solution


def existence(
    network: Network, solution: Solution, *, strength: float, populations: Sequence[str] | None = None
) -> Float[Array, ""]:
    """A pull of silent neurons towards their threshold, by the gradient of how near they came; a regulariser.

    For each neuron that stays silent in this sample, the least distance of its guard from 0 at the saved times, as a
    share of the distance at the start: `strength max_t(guard) / guard(start)`, over the size of its population. Unlike
    `keep_firing` it moves all parameters, delays and earlier layers included, along the exact gradient of the potential
    at its peak.

    It is a bias: the loss need not want these spikes. Where no neuron is silent it is zero, and so is its gradient. A
    neuron that nothing reaches has no gradient from it either, so layers come alive one after the other.

    **Arguments:**

    - `strength`: in the unit of the loss; small against it.
    - `populations`: which ones; all of them unless named. Leave out read-out neurons that are not to spike.

    **Raises:** `ValueError` for a population that does not exist, or a solution without states: it needs
    `Save(states_at=...)`, at times close enough to find the peaks.
    """
    if solution.states is None or solution.spikes is None:
        raise ValueError(
            "existence got a solution without states or spikes; expected save=Save(states_at=times), times close "
            "enough to find the peaks of the potential."
        )
    names = list(network.neurons) if populations is None else list(populations)
    missing = [name for name in names if name not in network.neurons]
    if missing:
        raise ValueError(f"existence got the populations {missing}; expected some of {list(network.neurons)}.")
    total = jnp.zeros(())
    for name in names:
        neuron = network.neurons[name]
        guard = jax.vmap(neuron.guard)(solution.states[name])
        start = jax.tree.map(lambda x, dtype=guard.dtype: x.astype(dtype), neuron.init())
        share = (largest(guard) / jax.lax.stop_gradient(neuron.guard(start))).reshape(-1)
        silent = solution.spikes[name].count() == 0
        # A guard above 0 without a spike is one that was there from the start.
        pulled = jnp.where(silent & (share > 0), share, 0.0)
        total = total.astype(pulled.dtype) + jnp.sum(pulled) / neuron.size
    return strength * total
