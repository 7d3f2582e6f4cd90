"""What a run would cost on neuromorphic hardware: spikes, and the synaptic events that they set off."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

import saltation as st

from ._keys import SCORING, stream
from ._run import Run


def energy_counts(run: Run) -> dict[str, Any]:
    """Means over the test split, a sample: the counts that an estimate of energy multiplies with a cost each.

    **Returns:** `spikes` by population, inputs among them, and `synaptic_events` by connection, in the network's order:
    a spike counts once for every target that its synapses reach with a weight that is not zero. Each has a `total`.
    """
    network, samples = run.model.network, len(run.test.target)
    if not samples:
        return {"spikes": {}, "synaptic_events": {}}
    solved = max(samples - sum(run.test.failed.values()), 1)
    counts = {name: np.asarray(count, np.float64) / solved for name, count in run.test.spike_count.items()}
    counts |= _input_counts(run)
    spikes = {name: float(counts[name].sum()) for name in (*network.inputs, *network.neurons) if name in counts}
    events: dict[str, float] = {}
    for connection in network.connections:
        if connection.source in counts:
            name = f"{connection.source} -> {connection.target}"
            fan_out = np.asarray(_fan_out(st.resolved(_linear(connection.synapse), key=run.sample_key)))
            events[name] = events.get(name, 0.0) + float(counts[connection.source] @ fan_out)
    return {
        "spikes": {**spikes, "total": sum(spikes.values())},
        "synaptic_events": {**events, "total": sum(events.values())},
    }


def _input_counts(run: Run) -> dict[str, np.ndarray]:
    """Spikes of each input unit, a sample; an input that is a current sends none."""
    experiment, inputs = run.experiment, run.dataset.test.inputs
    size = experiment.batch_size

    @jax.jit
    def count(batch: Array, keys: Array) -> dict[str, Array]:
        stimulus = jax.vmap(experiment.encoder)(batch, keys)
        return {
            name: jnp.sum(jax.vmap(st.Spikes.count)(value), axis=0)
            for name, value in stimulus.items()
            if isinstance(value, st.Spikes)
        }

    total: dict[str, np.ndarray] = {}
    for start in range(0, len(inputs), size):
        batch = inputs[start : start + size]
        keys = jax.random.split(jax.random.fold_in(stream(run.task.seed, SCORING), start), len(batch))
        for name, found in count(jnp.asarray(batch), keys).items():
            total[name] = total.get(name, 0) + np.asarray(found, np.int64)
    return {name: found / len(inputs) for name, found in total.items()}


def _linear(synapse: st.AbstractSynapse) -> st.AbstractSynapse:
    """What a spike goes through: the constant of a normalisation is no event."""
    return synapse.parts()[0] if isinstance(synapse, st.Normalised) else synapse


def _fan_out(synapse: st.AbstractSynapse) -> Array:
    """How many targets a spike of each source reaches, `[pre]`."""
    # One source after the other: all kicks at once would not fit for convolutions.
    sources = jnp.arange(synapse.sizes()[0], dtype=jnp.int32)
    return jax.jit(lambda i: jax.lax.map(lambda source: jnp.count_nonzero(synapse.kick(source)), i))(sources)
