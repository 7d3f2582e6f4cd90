"""Losses: pure functions of one sample's read-out and its label."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from ._network import Network
from ._solution import Solution
from ._synapse import Dense


def first_spike_cross_entropy(
    times: Float[Array, " classes"],
    label: Int[Array, ""],
    *,
    temperature: float,
    silent: float,
    early: float = 0.0,
    early_scale: float = 1.0,
) -> Float[Array, ""]:
    """Cross-entropy of the first spike times: the label's neuron shall spike first, by a margin.

    `log sum_n exp(-t_n / temperature) + t_label / temperature + early exp(t_label / early_scale)`.
    With `temperature = 0.2 tau_syn`, `early = 0.005`, `early_scale = tau_syn` it is the loss of Göltz et al., Nature
    Machine Intelligence 2021.

    **Arguments:**

    - `times`: first spike time of each output neuron, `inf` where silent.
    - `temperature`, `early_scale`: in the unit of time.
    - `silent`: the time that a silent neuron counts as, usually `t1` or later: the others still get a gradient.
    - `early`: strength of the pull towards an early spike of the label's neuron.
    """
    finite = jnp.isfinite(times)
    filled = jnp.where(finite, jnp.where(finite, times, 0.0), silent)
    mine = filled[label]
    loss = jax.nn.logsumexp(-filled / temperature) + mine / temperature
    return loss + early * jnp.exp(jnp.minimum(mine, silent) / early_scale) if early else loss


def first_spike_mse(
    times: Float[Array, " classes"], label: Int[Array, ""], *, target: float, other: float, silent: float
) -> Float[Array, ""]:
    """Half the squared distance of first spike times to `target` for the label's neuron and `other` for the rest."""
    finite = jnp.isfinite(times)
    filled = jnp.where(finite, jnp.where(finite, times, 0.0), silent)
    wanted = jnp.where(jnp.arange(times.shape[0]) == label, target, other)
    return 0.5 * jnp.sum((filled - wanted.astype(filled.dtype)) ** 2)


def state_cross_entropy(
    scores: Float[Array, " classes"], label: Int[Array, ""], *, gain: float = 1.0
) -> Float[Array, ""]:
    """Cross-entropy of the softmax of `gain * scores`, for membrane potentials and linear read-outs."""
    return -jax.nn.log_softmax(gain * scores)[label]


def rate_cross_entropy(
    rates: Float[Array, " classes"], label: Int[Array, ""], *, gain: float = 1.0
) -> Float[Array, ""]:
    """Cross-entropy of the softmax of `gain * rates`, for methods whose rates are differentiable."""
    return -jax.nn.log_softmax(gain * rates)[label]


def keep_firing(network: Network, solution: Solution, *, strength: float, drive: float) -> Float[Array, ""]:
    """A pull on the incoming weights of silent neurons, which an exact gradient says nothing about.

    For each neuron that stays silent in this sample, `strength max(0, 1 - sum_i w_ij / drive)` over the size of its
    population. It is a bias: where it is not zero, the gradient is no longer that of the loss alone.

    **Arguments:** `drive`: the sum of incoming weights beyond which nothing pulls, in the unit of the weights; twice or
    three times what it takes to reach the threshold is a good choice.
    """
    assert solution.spikes is not None, "keep_firing needs Save(spikes=True)."
    total = jnp.zeros(())
    for name, neuron in network.neurons.items():
        silent = solution.spikes[name].count() == 0
        weights = [c.synapse.weight for _, c in network.incoming(name) if isinstance(c.synapse, Dense)]
        if weights:
            missing = jnp.maximum(1.0 - sum(jnp.sum(weight, axis=0) for weight in weights) / drive, 0.0)
            total = total.astype(missing.dtype) + jnp.sum(jnp.where(silent, missing, 0.0)) / neuron.size
    return strength * total
