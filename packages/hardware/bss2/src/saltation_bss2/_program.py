"""A network on the emulated chip."""

import dataclasses
from typing import Any

import numpy as np

import saltation as st

from ._calibration import Calibration
from ._chip import Chip
from ._circuits import Circuits
from ._configuration import Configuration, configure, within_range
from ._effects import Effects
from ._membrane import Recording
from ._noise import Levels
from ._placement import Placement
from ._trial import HEALTH, Measurement, Trial
from ._units import Units


@dataclasses.dataclass(frozen=True)
class BSS2Program(st.AbstractProgram):
    """A network that has been placed on a chip. Programs with equal fields are equal.

    The health report counts, for each sample: spikes that were `dropped` on their way to the host, input spikes lost on
    the link (`lost_inputs`), second spikes of neurons that should spike once (`repeated`, which other neurons see and
    the host leaves out), spikes beyond the room for them (`overflow`; such a sample has `failed`), and for the whole
    network `saturated_weights`, `clipped_delays` and `clipped_biases`.
    """

    placement: Placement
    chip: Chip
    calibration: Calibration | None
    effects: Effects
    levels: Levels
    units: Units
    max_spikes: int

    @property
    def health_fields(self) -> tuple[str, ...]:
        return HEALTH

    @property
    def measured_delays(self) -> tuple[int, ...]:
        return tuple(wire.position for wire in self.placement.wires if wire.pairs is not None)

    @property
    def circuits(self) -> Circuits:
        """The circuits of the chip as they are."""
        return Circuits.of(self.chip, self.calibration, self.effects)

    def configure(self, parameters: st.Network) -> Configuration:
        """The hardware values of a network's parameters."""
        return configure(_as_parts(parameters), self.placement, self.units, self.effects, self.circuits)

    def within_range(self, network: st.Network) -> st.Network:
        """The network with the weights that saturate moved to the end of their range: on the chip it is the same.

        Put a network through this before it is trained on in the loop. What reaches a neuron of the chip is less than
        its model's weights sum to, so `keep_firing` takes neurons that the chip leaves silent for well driven. Delays
        stay as they are.
        """
        return within_range(network, self.placement, self.units)

    def run(self, parameters: st.Network, stimuli: dict[str, Any], key: np.ndarray | None) -> st.Observation:
        found = self.measure(parameters, stimuli, key)
        return st.Observation(found.spikes, found.health, found.delays)

    def measure(
        self,
        parameters: st.Network,
        stimuli: dict[str, Any],
        key: np.ndarray | None,
        recording: Recording | None = None,
    ) -> Measurement:
        """Run a batch, and record membrane samples on the way.

        **Arguments:** as `run`; `recording`: of which population.

        **Raises:** `ValueError` without a key, if the chip has noise; `UnsupportedError` for a recording of a
        population that is not there.
        """
        if recording is not None:
            recording.check([population.name for population in self.placement.populations])
        trial = Trial(
            self.configure(parameters),
            stimuli,
            key,
            recording,
            placement=self.placement,
            circuits=self.circuits,
            effects=self.effects,
            levels=self.levels,
            units=self.units,
            max_spikes=self.max_spikes,
        )
        for population in self.placement.populations:
            trial.run(population)
        return trial.report()


def _as_parts(network: st.Network) -> st.Network:
    """The network with values for delays, also where it was built by hand."""
    connections = [
        connection
        if connection.delay is None or isinstance(connection.delay, st.DelayParts)
        else dataclasses.replace(
            connection,
            delay=st.DelayParts.of(connection.delay, network.size(connection.source), network.size(connection.target)),
        )
        for connection in network.connections
    ]
    return st.Network(network.inputs, network.neurons, connections, network.outputs)
