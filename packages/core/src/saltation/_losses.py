"""Losses: pure functions of one sample's read-out and its label."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from ._network import Network
from ._solution import Solution
from ._synapse import Dense

COST_OF_SILENCE = 100.0
"""What a sample costs in which the published rule finds no loss."""


def first_spike_cross_entropy(
    times: Float[Array, " classes"],
    label: Int[Array, ""],
    *,
    temperature: float,
    silent: float | str,
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
    - `silent`: the time that a silent neuron counts as, usually `t1` or later: the others still get a gradient. Or
      "constant", the published rule: a silent neuron has no part in the sum, and a sample whose label's neuron is
      silent costs 100 and has no gradient.
    - `early`: strength of the pull towards an early spike of the label's neuron.

    **Raises:** `ValueError` for another `silent`.
    """
    filled, finite = fill_silent(times, silent)
    # Not by an index, which the derivative would have to scatter.
    is_mine = jnp.arange(filled.shape[0], dtype=jnp.asarray(label).dtype) == label
    mine = jnp.sum(jnp.where(is_mine, filled, 0.0))
    # Where the label's neuron is silent the sum is not used, but it must not be empty: its derivative would be NaN.
    present = finite | ~finite[label] if silent == "constant" else jnp.ones_like(finite)
    loss = jax.nn.logsumexp(-filled / temperature, where=present) + mine / temperature
    if early:
        latest = mine if isinstance(silent, str) else jnp.minimum(mine, silent)
        loss = loss + early * jnp.exp(latest / early_scale)
    return jnp.where(finite[label], loss, COST_OF_SILENCE) if silent == "constant" else loss


def first_spike_mse(
    times: Float[Array, " classes"], label: Int[Array, ""], *, target: float, other: float, silent: float | str
) -> Float[Array, ""]:
    """Half the squared distance of the first spike times to `target` for the label's neuron and `other` for the rest.

    **Arguments:** `silent`: the time that a silent neuron counts as; or "constant", the published rule: a sample with a
    silent neuron costs 100 and has no gradient.
    """
    filled, finite = fill_silent(times, silent)
    wanted = jnp.where(jnp.arange(times.shape[0]) == label, target, other)
    loss = 0.5 * jnp.sum((filled - wanted.astype(filled.dtype)) ** 2)
    return jnp.where(jnp.all(finite), loss, COST_OF_SILENCE) if silent == "constant" else loss


def fill_silent(
    times: Float[Array, " classes"], silent: float | str
) -> tuple[Float[Array, " classes"], Bool[Array, " classes"]]:
    """Spike times with a finite number for silent neurons, and which ones spike; for losses.

    **Raises:** `ValueError` for a `silent` that is neither a number nor "constant".
    """
    if isinstance(silent, str) and silent != "constant":
        raise ValueError(f"got silent={silent!r}; expected the time that a silent neuron counts as, or 'constant'.")
    finite = jnp.isfinite(times)
    return jnp.where(finite, jnp.where(finite, times, 0.0), 0.0 if isinstance(silent, str) else silent), finite


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


def squared_error(output: Float[Array, " n"], target: Float[Array, "*n"], *, scale: float = 1.0) -> Float[Array, ""]:
    """The squared distance of an output to its target, `sum_n (output_n - target_n)^2 / scale^2`, to regress on.

    **Raises:** `ValueError` for a target that is not as many numbers as the output.
    """
    if target.size != output.size:
        raise ValueError(
            f"squared_error got {output.size} outputs and {target.size} targets; expected as many of each."
        )
    return jnp.sum((output - target.reshape(output.shape)) ** 2) / scale**2


def keep_firing(network: Network, solution: Solution, *, strength: float, drive: float) -> Float[Array, ""]:
    """A pull on the incoming weights of silent neurons, which an exact gradient says nothing about.

    For each neuron that stays silent in this sample, `strength max(0, 1 - sum_i w_ij / drive)` over the size of its
    population. It is a bias: where it is not zero, the gradient is no longer that of the loss alone.

    **Arguments:** `drive`: the sum of incoming weights beyond which nothing pulls, in the unit of the weights; twice or
    three times what it takes to reach the threshold is a good choice.
    """
    total = jnp.zeros(())
    for name, neuron in network.neurons.items():
        silent = solution.spike_count(name) == 0
        weights = [c.synapse.weight for _, c in network.incoming(name) if isinstance(c.synapse, Dense)]
        if weights:
            missing = jnp.maximum(1.0 - sum(jnp.sum(weight, axis=0) for weight in weights) / drive, 0.0)
            total = total.astype(missing.dtype) + jnp.sum(jnp.where(silent, missing, 0.0)) / neuron.size
    return strength * total
