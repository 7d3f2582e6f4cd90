"""A placement: which circuits and rows of the chip the populations and connections of a network have."""

import dataclasses

import numpy as np

from . import _facts as facts


@dataclasses.dataclass(frozen=True)
class Population:
    """Neurons on the chip, with their settings: times in microseconds, the reset in thresholds above the leak.

    `origin` is when its time begins: later by the shortest delay of a pair for each delayed layer before it.
    """

    name: str
    size: int
    first: int
    tau_mem: float
    tau_syn: float
    threshold: float
    reset: float
    once: bool
    refractory: float
    origin: float

    @property
    def circuits(self) -> range:
        """Its circuits, 0 to 511."""
        return range(self.first, self.first + self.size)


@dataclasses.dataclass(frozen=True)
class Wire:
    """A connection on the chip, by its position in the network.

    - `kind`: "input" (spikes from the host), "axon" (from neurons) or "bias" (a constant current, from the host).
    - `copies`: rows for each sign and source; `first_row` is the first of them.
    - `pairs`: the first of the circuits that delay its spikes, one for each source; `None` without a delay.
    """

    position: int
    source: str
    target: str
    kind: str
    size: int
    copies: int
    first_row: int
    pairs: int | None

    def rows(self, sign: int) -> np.ndarray:
        """The rows `[source, copy]` of one sign, 0 for excitatory and 1 for inhibitory ones."""
        number = np.arange(self.size * self.copies).reshape(self.size, self.copies)
        return self.first_row + 2 * number + sign


@dataclasses.dataclass(frozen=True)
class Placement:
    """Where everything is. `print(placement)` shows it, with how much of the chip is in use."""

    populations: tuple[Population, ...]
    wires: tuple[Wire, ...]
    end: float

    def into(self, name: str) -> list[Wire]:
        """The wires that end at a population."""
        return [wire for wire in self.wires if wire.target == name]

    @property
    def circuits_used(self) -> int:
        """Of 512, the delaying ones included."""
        pairs = sum(wire.size for wire in self.wires if wire.pairs is not None)
        return pairs + sum(population.size for population in self.populations)

    def rows_used(self, name: str) -> int:
        """Of the 256 rows that reach each neuron of a population."""
        return sum(2 * wire.size * wire.copies for wire in self.into(name) if wire.kind != "bias")

    @property
    def synapses_used(self) -> int:
        """Of 131072, those of the unused sign included."""
        return sum(self.rows_used(population.name) * population.size for population in self.populations)

    def __str__(self) -> str:
        lines = [f"{'':14}{'circuits':>12}{'rows':>12}{'fan-in':>9}{'tau_mem':>10}{'tau_syn':>9}"]
        for population in self.populations:
            name, rows = population.name, self.rows_used(population.name)
            where = f"{population.first}-{population.circuits[-1]}"
            span = f"0-{rows - 1}" if rows else "none"
            taus = f"{population.tau_mem:>7.4g} us{population.tau_syn:>6.4g} us"
            lines.append(f"{name:14}{where:>12}{span:>12}{rows // 2:>9}{taus}")
        for wire in self.wires:
            if wire.pairs is not None:
                where = f"{wire.pairs}-{wire.pairs + wire.size - 1}"
                lines.append(f"{'  delays':14}{where:>12}  of {wire.source} -> {wire.target}")
        lines.append(
            f"{self.circuits_used} of {facts.NEURONS} circuits, {self.synapses_used} of "
            f"{facts.NEURONS * facts.ROWS} synapses"
        )
        return "\n".join(lines)
