"""The input of a system: currents as a charge for each step, spike trains as counts in each step."""

from typing import Any

import jax.numpy as jnp
from jaxtyping import Array, Float

import saltation as st

from ._system import Input, Rates, weights_of_steps


def input_of(
    network: st.Network, stimulus: st.Stimulus, *, step: float, steps: int, leak: float, dtype: Any
) -> tuple[Input, dict[str, st.Statistics]]:
    """The input, and new statistics of normalisations on what constant currents bring.

    **Raises:** `UnsupportedError` for a current that changes.
    """
    drive: Rates = {name: jnp.zeros(neuron.size, dtype) for name, neuron in network.neurons.items()}
    updates = {}
    for position, connection in enumerate(network.connections):
        source, synapse = stimulus.get(connection.source), connection.synapse
        if isinstance(source, st.Current):
            if source.start is not None:
                raise st.UnsupportedError(
                    f"Equilibrium got a current for {connection.source!r} that changes in time, for which there is no "
                    "equilibrium. Give it a constant one, Current(value[n]), or use the method 'ode'."
                )
            if isinstance(synapse, st.Normalised) and not synapse.inference:
                synapse, updates[str(position)] = synapse.measured(source.value)
            arriving = synapse.apply(source.value)
        elif isinstance(synapse, st.Normalised):
            arriving = synapse.parts()[1]
        else:
            continue
        drive[connection.target] = drive[connection.target] + step * arriving
    trains = {name: value for name, value in stimulus.items() if isinstance(value, st.Spikes)}
    counts = {name: _counts(train, step, steps, dtype) for name, train in trains.items()}
    weights = weights_of_steps(steps, leak, dtype)
    return Input(drive, counts, {name: weights @ count for name, count in counts.items()}), updates


def measured_between(network: st.Network, rates: Rates) -> dict[str, st.Statistics]:
    """New statistics of normalisations between neurons, and of input spikes, at these rates.

    Inside a loop, statistics of the batch would change the equations that the loop solves: there they are constants.
    """
    updates = {}
    for position, connection in enumerate(network.connections):
        synapse = connection.synapse
        if isinstance(synapse, st.Normalised) and not synapse.inference and connection.source in rates:
            updates[str(position)] = synapse.measured(rates[connection.source])[1]
    return updates


def _counts(train: st.Spikes, step: float, steps: int, dtype: Any) -> Float[Array, "steps n"]:
    """Spikes of each unit in each step; step `k` is the time after `k step` up to and including `(k + 1) step`."""
    inside = jnp.isfinite(train.time) & (train.index >= 0)
    # A multiple of the step is its end, also where the division rounds up.
    place = jnp.ceil(jnp.where(inside, train.time, 0.0) / step - 1e-4)
    place = jnp.where(inside & (place <= steps), jnp.maximum(place - 1, 0), steps).astype(jnp.int32)
    empty = jnp.zeros((steps, train.size), dtype)
    # Padding and what comes after the end fall outside, and are dropped.
    counts = empty.at[place, jnp.maximum(train.index, 0)].add(jnp.ones((), dtype), mode="drop")
    message = (
        "Equilibrium counts input spikes in steps, and a count has no derivative by their times. Differentiate by "
        "weights, or by a current."
    )
    return st.not_differentiable(counts, message, depends_on=train.time)
