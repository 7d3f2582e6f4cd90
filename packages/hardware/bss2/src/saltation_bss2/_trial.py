"""One run of a network on the emulated chip, population by population."""

from typing import Any, NamedTuple

import numpy as np

import saltation as st

from . import _facts as facts
from ._circuits import Circuits
from ._configuration import Configuration, bias_current
from ._effects import Effects
from ._layer import Activity, Arrivals, Layer, simulate
from ._membrane import Recording, digitise
from ._noise import Levels, lost_in_bursts, lost_on_link, membrane_noise, stream
from ._placement import Placement, Population, Wire
from ._units import Units

HEALTH = (
    "failed",
    "dropped",
    "lost_inputs",
    "repeated",
    "overflow",
    "saturated_weights",
    "clipped_delays",
    "clipped_biases",
)


class Measurement(NamedTuple):
    """What one run of a batch gives.

    - `spikes`, `health`, `delays`: as in `st.Observation`; times in the model's unit.
    - `membrane`: ADC values `[batch, neuron, sample]`, and `sample_times` in the model's unit; `None` if not recorded.
    - `configuration`: the hardware values it ran with.
    """

    spikes: dict[str, st.Spikes]
    health: dict[str, np.ndarray]
    delays: dict[int, np.ndarray]
    membrane: np.ndarray | None
    sample_times: np.ndarray | None
    configuration: Configuration


class Trial:
    """One run: what every population has sent so far, in microseconds since its time began."""

    def __init__(
        self,
        configuration: Configuration,
        stimuli: dict[str, Any],
        key: np.ndarray | None,
        recording: Recording | None,
        *,
        placement: Placement,
        circuits: Circuits,
        effects: Effects,
        levels: Levels,
        units: Units,
        max_spikes: int,
    ) -> None:
        self.configuration, self.stimuli, self.key, self.recording = configuration, stimuli, key, recording
        self.placement, self.circuits, self.effects, self.levels = placement, circuits, effects, levels
        self.units, self.max_spikes = units, max_spikes
        first = next(iter(stimuli.values()))
        self.batch = len(first.time if isinstance(first, st.Spikes) else first.value)
        self.health = {name: np.zeros(self.batch) for name in HEALTH}
        self.sent: dict[str, tuple[np.ndarray, np.ndarray]] = {
            name: self._send(name, given) for name, given in stimuli.items() if isinstance(given, st.Spikes)
        }
        self.late: dict[int, np.ndarray] = {}
        self.emitted: dict[str, np.ndarray] = {}
        self.delays: dict[int, np.ndarray] = {}
        self.reported: dict[str, np.ndarray] = {}
        self.membrane: tuple[np.ndarray, np.ndarray] | None = None

    def run(self, population: Population) -> None:
        """Simulate a population, and the pairs that delay its spikes."""
        layer = self._layer(population)
        noise = None
        if self.effects.membrane_noise:
            std = self.levels.membrane / facts.CADC_PER_THRESHOLD
            noise = membrane_noise(self._random("membrane", population.name), std, layer.tau_mem, self.batch)
        times = None
        if self.recording is not None and self.recording.population == population.name:
            times = self.recording.times(self.placement.end)
        activity = simulate(layer, self._arrivals(population), end=self.placement.end, noise=noise, samples=times)
        if times is not None:
            self.membrane = digitise(activity.potential), self.units.to_model(times)
        self.emitted[population.name] = self._jittered(activity.times, population.name)
        self.reported[population.name] = self._report(population, activity)
        for wire in self.placement.wires:
            if wire.source == population.name and wire.pairs is not None:
                self._delay(wire)

    def report(self) -> Measurement:
        """All that the host gets."""
        spikes = {}
        for population in self.placement.populations:
            time, index = _train(self.units.to_model(self.reported[population.name]))
            spikes[population.name] = st.Spikes(time, index, population.size)
        for name in ("saturated_weights", "clipped_delays"):
            self.health[name] += getattr(self.configuration, name)
        self.health["failed"] += self.health["overflow"] > 0
        membrane, sample_times = self.membrane or (None, None)
        return Measurement(spikes, self.health, self.delays, membrane, sample_times, self.configuration)

    def _random(self, *names: str | int) -> np.random.Generator:
        return stream(self.key, *names)

    def _send(self, name: str, given: st.Spikes) -> tuple[np.ndarray, np.ndarray]:
        """Input spikes as they reach the chip: times `[batch, N]`, `inf` for those that do not, and their units."""
        index = np.asarray(given.index)
        time = self.units.to_chip(np.asarray(given.time, float))
        # A NaN is the method's to report.
        time = np.where(np.isnan(time) | (index < 0), np.inf, time)
        if self.effects.input_loss:
            lost = lost_on_link(self._random("input_loss", name), time, self.levels.input_loss)
            self.health["lost_inputs"] += lost.sum(axis=1)
            time = np.where(lost, np.inf, time)
        return time, index

    def _layer(self, population: Population) -> Layer:
        mine, circuits = slice(population.first, population.first + population.size), self.circuits
        threshold = circuits.threshold[mine]
        if self.effects.drift:
            moved = self._random("drift", population.name).standard_normal(population.size)
            threshold = threshold + self.levels.drift * moved
        held = self.effects.refractory
        room = self.max_spikes
        if population.once and held:
            room = 1 + int(self.placement.end / population.refractory)
        return Layer(
            tau_mem=population.tau_mem * circuits.tau_mem[mine],
            tau_syn=population.tau_syn * circuits.tau_syn[mine],
            threshold=threshold,
            reset=np.full(population.size, population.reset),
            drive=self._drive(population),
            refractory=population.refractory if held else 0.0,
            once=population.once and not held,
            room=room,
        )

    def _drive(self, population: Population) -> np.ndarray:
        """Constant currents `[n]`, in thresholds."""
        mine = slice(population.first, population.first + population.size)
        total = np.zeros(population.size)
        for wire in self.placement.into(population.name):
            if wire.kind == "bias":
                given = np.asarray(self.stimuli[wire.source].value, float)
                if (given != given[:1]).any():
                    raise ValueError(
                        f"the chip got currents of {wire.source!r} that differ between samples of a batch, and bias "
                        "currents are set once for a batch; use the same for all, or spikes."
                    )
                total = total + given[0] @ self.configuration.biases[wire.position]
        current, beyond = bias_current(total, self.effects)
        self.health["clipped_biases"] += beyond.sum()
        return current * self.circuits.bias[mine]

    def _arrivals(self, population: Population) -> Arrivals:
        times, rows, kicks, first = [np.zeros((self.batch, 0))], [np.zeros((self.batch, 0), int)], [], 0
        for wire in self.placement.into(population.name):
            if wire.kind == "bias":
                continue
            time, index = self._on_the_way(wire)
            if self.effects.stamps and wire.kind == "input":
                time = np.where(np.isfinite(time), np.round(time / facts.STAMP) * facts.STAMP, np.inf)
            times.append(time)
            rows.append(np.where(np.isfinite(time), index, 0) + first)
            kicks.append(self._kicks(wire, population))
            first += wire.size
        table = np.concatenate([np.zeros((0, population.size)), *kicks])
        return Arrivals(np.concatenate(times, axis=1), np.concatenate(rows, axis=1), table)

    def _on_the_way(self, wire: Wire) -> tuple[np.ndarray, np.ndarray]:
        """When the spikes of a wire's sources reach its targets, `[batch, N]`, and whose they are."""
        if wire.kind == "axon":
            dense = self.late.get(wire.position)
            if dense is None:
                dense = self.emitted[wire.source]
            index = np.broadcast_to(np.arange(dense.shape[1])[:, None], dense.shape)
            return dense.reshape(self.batch, -1), index.reshape(self.batch, -1)
        time, index = self.sent[wire.source]
        if wire.position in self.configuration.delays:
            time = time + self.configuration.delays[wire.position][np.maximum(index, 0)]
        return time, index

    def _kicks(self, wire: Wire, population: Population) -> np.ndarray:
        """What a spike of each source adds to the current of each target, `[source, target]`, in thresholds."""
        weights = self.configuration.weights[wire.position]
        total = np.zeros((wire.size, population.size))
        circuit = np.arange(population.first, population.first + population.size)
        hemisphere, column = circuit // facts.COLUMNS, circuit % facts.COLUMNS
        for sign, part in enumerate((np.maximum(weights, 0.0), np.minimum(weights, 0.0))):
            rows = wire.rows(sign)
            synapse = self.circuits.synapse[hemisphere, rows[:, :, None], column]
            total += np.sum(part * synapse, axis=1) * self.circuits.gain[sign][circuit]
        return total / self.units.weight_scale

    def _jittered(self, times: np.ndarray, *names: str | int) -> np.ndarray:
        if not self.effects.jitter:
            return times
        moved = self.levels.jitter * self._random("jitter", *names).standard_t(3, times.shape)
        return np.sort(np.where(np.isfinite(times), np.maximum(times + moved, 0.0), np.inf), axis=-1)

    def _delay(self, wire: Wire) -> None:
        """Spikes behind delaying pairs, in the time of their targets, and how late the host measures them to be."""
        assert wire.pairs is not None
        circuits, pairs = self.circuits, slice(wire.pairs, wire.pairs + wire.size)
        setting = self.configuration.delays[wire.position]
        law = circuits.delay_slope[pairs] * setting + circuits.delay_offset[pairs]
        emitted = self.emitted[wire.source] + law[:, None] - facts.SHORTEST_DELAY
        self.late[wire.position] = np.maximum(self._jittered(emitted, wire.source, wire.position), 0.0)
        seen = self._stamped(self.late[wire.position])[:, :, 0]
        sent = self._stamped(self.emitted[wire.source])[:, :, 0]
        lost = self._lost(pairs, "delay", wire.position) | ~np.isfinite(seen)
        self.health["dropped"] += (lost & np.isfinite(seen)).sum(axis=1)
        measured = np.maximum(seen - np.where(np.isfinite(sent), sent, 0.0), 0.0)
        unknown = lost | ~np.isfinite(self.reported[wire.source][:, :, 0])
        self.delays[wire.position] = self.units.to_model(np.where(unknown, np.inf, measured))

    def _report(self, population: Population, activity: Activity) -> np.ndarray:
        """Times that the host reads, `[batch, n, max_spikes]`, in microseconds."""
        pairs = slice(population.first, population.first + population.size)
        times = self.emitted[population.name]
        if population.once:
            self.health["repeated"] += np.isfinite(times[:, :, 1:]).sum(axis=(1, 2))
        else:
            self.health["overflow"] += activity.overflow.sum(axis=1)
        times = times[:, :, : self.max_spikes]
        lost = self._lost(pairs, "spikes", population.name)[:, :, None] & np.isfinite(times)
        self.health["dropped"] += lost.sum(axis=(1, 2))
        times = self._stamped(np.where(lost, np.inf, times))
        return np.where(times <= self.placement.end, times, np.inf)

    def _lost(self, circuits: slice, *names: str | int) -> np.ndarray:
        if not self.effects.loss:
            return np.zeros((self.batch, circuits.stop - circuits.start), bool)
        return lost_in_bursts(self._random("loss", *names), self.circuits.loss[circuits], self.levels.burst, self.batch)

    def _stamped(self, times: np.ndarray) -> np.ndarray:
        """Time stamps: late, on their grid, and without the lateness that a calibration knows of."""
        finite = np.isfinite(times)
        stamps = np.where(finite, times, 0.0) + self.circuits.lateness
        if self.effects.stamps:
            stamps = np.floor(stamps / facts.STAMP) * facts.STAMP
        return np.where(finite, np.maximum(stamps - self.circuits.known_lateness, 0.0), np.inf)


def _train(times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Times `[batch, n, k]` as trains: times `[batch, n * k]` in order, and the unit of each, -1 for none."""
    batch, n, k = times.shape
    flat = times.reshape(batch, n * k)
    order = np.argsort(flat, axis=1, kind="stable")
    time = np.take_along_axis(flat, order, axis=1)
    return time, np.where(np.isfinite(time), order // k, -1)
