"""A configuration: the values of a network's parameters on the hardware, and what did not fit into their range."""

import dataclasses

import equinox as eqx
import jax.numpy as jnp
import numpy as np

import saltation as st

from . import _facts as facts
from ._circuits import Circuits
from ._effects import Effects
from ._placement import Placement, Wire
from ._units import Units


@dataclasses.dataclass(frozen=True, eq=False)
class Configuration:
    """Hardware values by the position of a connection.

    - `weights`: signed whole numbers `[source, copy, target]`, -63 to 63; the sign says which row of a pair.
    - `delays`: settings of the delaying pairs `[source]` in microseconds, 8.25 to 33.25; of inputs, which the host
      delays, microseconds.
    - `biases`: constant currents onto each target, `[input, target]`, in thresholds.
    - `saturated_weights`, `clipped_delays`, `clipped_biases`: how many were beyond their range.
    """

    weights: dict[int, np.ndarray]
    delays: dict[int, np.ndarray]
    biases: dict[int, np.ndarray]
    saturated_weights: int
    clipped_delays: int
    clipped_biases: int


# A bias current takes its neuron up to four thresholds above the leak, either way.
BIAS_RANGE = 4.0


def configure(
    network: st.Network, placement: Placement, units: Units, effects: Effects, circuits: Circuits
) -> Configuration:
    """Translate the parameters of a network, given as NumPy arrays and `DelayParts`, into hardware values."""
    weights, delays, biases = {}, {}, {}
    saturated, clipped_delays, clipped_biases = 0, 0, 0
    thresholds = {population.name: population.threshold for population in placement.populations}
    for wire in placement.wires:
        connection = network.connections[wire.position]
        matrix = _matrix(connection.synapse) / thresholds[wire.target]
        if wire.kind == "bias":
            biases[wire.position] = matrix
        else:
            found, beyond = _weights(matrix * units.weight_scale, wire.copies, effects)
            weights[wire.position] = found
            saturated += beyond
        if connection.delay is not None:
            assert isinstance(connection.delay, st.DelayParts)
            value = connection.delay.source
            delay = units.to_chip(np.zeros(wire.size) if value is None else np.asarray(value, float))
            if wire.pairs is not None:
                delay, beyond = _setting(delay, wire, effects, circuits)
                clipped_delays += beyond
            delays[wire.position] = delay
    return Configuration(weights, delays, biases, saturated, clipped_delays, clipped_biases)


def within_range(network: st.Network, placement: Placement, units: Units) -> st.Network:
    """The network with weights that the rows of its synapses can hold; constant currents stay as they are."""
    thresholds = {population.name: population.threshold for population in placement.populations}
    connections = list(network.connections)
    for wire in placement.wires:
        if wire.kind == "bias":
            continue
        connection = connections[wire.position]
        limit = thresholds[wire.target] * facts.MAX_WEIGHT * wire.copies / units.weight_scale
        connections[wire.position] = dataclasses.replace(connection, synapse=_clipped(connection.synapse, limit))
    return st.Network(network.inputs, network.neurons, connections, network.outputs)


def _clipped(synapse: st.AbstractSynapse, limit: float) -> st.AbstractSynapse:
    assert isinstance(synapse, st.Dense | st.OneToOne)
    if isinstance(synapse, st.OneToOne) and isinstance(synapse.weight, int | float):
        return st.OneToOne(synapse.size, min(max(synapse.weight, -limit), limit))
    return eqx.tree_at(lambda synapse: synapse.weight, synapse, jnp.clip(synapse.weight, -limit, limit))


def bias_current(value: np.ndarray, effects: Effects) -> tuple[np.ndarray, np.ndarray]:
    """Bias currents as the chip can set them, and which were beyond their range."""
    beyond = np.abs(value) > BIAS_RANGE
    if effects.saturation:
        value = np.clip(value, -BIAS_RANGE, BIAS_RANGE)
    if effects.quantisation:
        value = np.round(value * (facts.BIAS_LEVELS / BIAS_RANGE)) * (BIAS_RANGE / facts.BIAS_LEVELS)
    return value, beyond & effects.saturation


def _matrix(synapse: st.AbstractSynapse) -> np.ndarray:
    """Weights `[pre, post]`; NaN, which the method reports, is none."""
    assert isinstance(synapse, st.Dense | st.OneToOne)
    weight = np.nan_to_num(np.asarray(synapse.weight, float), posinf=np.inf, neginf=-np.inf)
    if isinstance(synapse, st.OneToOne):
        return np.diag(np.broadcast_to(weight, (synapse.size,)))
    return weight


def _weights(wanted: np.ndarray, copies: int, effects: Effects) -> tuple[np.ndarray, int]:
    """Hardware weights `[source, copy, target]`, shared as evenly as whole numbers can be, and how many saturate."""
    total, limit = np.abs(wanted), float(facts.MAX_WEIGHT * copies)
    beyond = int(np.sum(total > limit + 0.5)) if effects.saturation else 0
    if effects.saturation:
        total = np.minimum(total, limit)
    if not effects.quantisation:
        shares = np.broadcast_to(total[:, None] / copies, (len(total), copies, total.shape[1]))
    else:
        whole = np.round(total)
        # The first copies take what does not divide.
        shares = np.floor((whole[:, None] + (copies - 1 - np.arange(copies))[None, :, None]) / copies)
    return np.sign(wanted)[:, None] * shares, beyond


def _setting(delay: np.ndarray, wire: Wire, effects: Effects, circuits: Circuits) -> tuple[np.ndarray, int]:
    """Settings of the pairs that delay by the shortest delay and `delay`, and how many had to be clipped."""
    assert wire.pairs is not None
    pairs = slice(wire.pairs, wire.pairs + wire.size)
    setting = (facts.SHORTEST_DELAY + delay - circuits.known_offset[pairs]) / circuits.known_slope[pairs]
    low, high = facts.SHORTEST_DELAY, facts.LONGEST_DELAY
    beyond = (setting < low - facts.DELAY_STEP / 2) | (setting > high + facts.DELAY_STEP / 2)
    if effects.quantisation:
        setting = low + np.round((setting - low) / facts.DELAY_STEP) * facts.DELAY_STEP
    if effects.saturation:
        return np.clip(setting, low, high), int(beyond.sum())
    return setting, 0
