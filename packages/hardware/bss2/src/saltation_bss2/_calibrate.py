"""The calibration routine: stimulate every circuit, look at its spikes alone, and fit bias corrections."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PRNGKeyArray

import saltation as st

from . import _facts as facts
from ._backend import BSS2Emulator
from ._calibration import Calibration
from ._chip import Chip
from ._effects import Effects
from ._layer import Arrivals, Layer, simulate
from ._noise import Levels

_START, _LEAD, _END = 1.0, 3.0, 60.0
_UNITS, _INHIBITORY_UNITS = 20, 4
# How many inhibitory inputs spike at the start, how many excitatory ones after a lead, how many more how much later.
_PATTERNS = (
    (0, 0, 0, 0.0),
    (0, 6, 0, 0.0),
    (0, 8, 0, 0.0),
    (0, 12, 0, 0.0),
    (0, 20, 0, 0.0),
    (0, 4, 6, 5.0),
    (0, 4, 6, 12.0),
    (2, 10, 0, 0.0),
    (4, 12, 0, 0.0),
    (4, 20, 0, 0.0),
    (4, 8, 12, 8.0),
)
_BIASES = (0.0, 0.5, 1.4, 2.5)
# What is known before: how far off circuits are (as a logarithm), how exact the median of a sharp spike time is (us),
# and how much less exact that of a flat crossing, for each microsecond by which it moves with a parameter's logarithm.
_PRIOR, _PRECISION, _FLATNESS = 0.1, 0.025, 0.02
# Delays at which the law of a pair is measured, in microseconds beyond the shortest.
_DELAYS = (2.0, 20.0)
# Pairs come right behind their population: with so many other neurons before it, and of such sizes, every circuit that
# can be a pair is one.
_PAIRED = (*((0, 2**k) for k in range(8)), (128, 128), (255, 128))


def calibrate(
    chip: Chip,
    *,
    key: PRNGKeyArray,
    tau_mem: float = 12.0,
    tau_syn: float = 6.0,
    repetitions: int = 20,
    effects: Effects = Effects(),
    levels: Levels = Levels(),
) -> Calibration:
    """Measure all circuits of a chip, and fit corrections that make them alike.

    Every circuit gets inputs of several strengths, early and late, and bias currents, and its first spikes are recorded
    by the host, with all noise and losses. A least-squares fit of the model to their medians gives the circuit's time
    constants and its gains relative to the threshold; the corrections are their inverses, in the 10 bits in which the
    chip stores biases. Delaying pairs are measured at two settings. Nothing is used that a user could not measure.

    **Arguments:**

    - `key`: of the noise.
    - `tau_mem`, `tau_syn`: the time constants at which it is done, in microseconds: those that networks will use.
    - `repetitions`: of each stimulus.
    - `effects`, `levels`: of the chip, as for `BSS2Emulator`.

    **Raises:** `UnsupportedError` for time constants that the chip does not have.

    ```python
    calibrate(Chip(3), key=jax.random.key(0)).save("chip3-calibration.npz")
    ```
    """
    backend = BSS2Emulator(chip, effects=effects, levels=levels)
    neurons, pairs = jax.random.split(key)
    measured = _measure_neurons(backend, (tau_mem, tau_syn), repetitions, neurons)
    fitted, lateness = _fit(measured, (tau_mem, tau_syn))
    slope, offset = _measure_pairs(backend, repetitions, pairs)
    corrections = [_in_bias_steps(1.0 / factor) for factor in fitted]
    return Calibration(chip.identity, *corrections, slope, offset, lateness)  # pyright: ignore


def _measure_neurons(
    backend: BSS2Emulator, taus: tuple[float, float], repetitions: int, key: PRNGKeyArray
) -> np.ndarray:
    """Median first spike times of each bias, pattern and circuit, `[bias, pattern, 512]`; `inf` for silence."""
    once = _neurons(facts.NEURONS, *taus)
    weights = np.ones((_UNITS + _INHIBITORY_UNITS, facts.NEURONS))
    weights[_UNITS:] = -1.0
    connections = [
        st.Connection("in", "circuits", st.Dense(jnp.asarray(weights))),
        st.Connection("bias", "circuits", st.Dense(jnp.ones((1, facts.NEURONS)))),
    ]
    network = st.Network({"in": len(weights), "bias": 1}, {"circuits": once}, connections, ["circuits"])
    dense = np.repeat(np.stack([_times(*pattern) for pattern in _PATTERNS]), repetitions, axis=0)
    trains = jax.vmap(st.Spikes.from_dense)(jnp.asarray(dense))
    found = []
    for number, bias in enumerate(_BIASES):
        current = st.Current(jnp.full(1, bias))
        one = {"in": st.Spikes.from_dense(jnp.asarray(dense[0])), "bias": current}
        program = backend.prepare(st.structure_of(network), st.structure_of(one), t1=_END, max_spikes=1)
        batch = {"in": trains, "bias": jax.vmap(st.Current)(jnp.full((len(dense), 1), bias))}
        spikes = program.measure(network, batch, _data(jax.random.fold_in(key, number))).spikes["circuits"]
        first = np.asarray(jax.vmap(st.Spikes.first)(spikes)).reshape(len(_PATTERNS), repetitions, facts.NEURONS)
        found.append(np.median(first, axis=1))
    return np.stack(found)


def _fit(measured: np.ndarray, taus: tuple[float, float]) -> tuple[np.ndarray, float]:
    """Factors `[5, 512]` (time constants, excitatory and inhibitory gain, bias) and by how much stamps are late."""
    logs, late = np.zeros((5, facts.NEURONS)), 0.0
    for turn in range(12):
        logs, residual = _improve(logs, measured - late, taus, robust=turn > 3)
        late += float(np.median(residual))
    return np.exp(logs), late


def _improve(
    logs: np.ndarray, measured: np.ndarray, taus: tuple[float, float], *, robust: bool
) -> tuple[np.ndarray, np.ndarray]:
    """One step of Gauss and Newton on the logarithms of the factors, of all circuits at once, and what is left over.

    A `robust` step leaves out what is far off: a spike that comes one input earlier or later than in the model.
    """
    step = 1e-4
    at = _predict(logs, taus)
    moved = [_predict(logs + step * np.eye(5)[k][:, None], taus) for k in range(5)]
    known = np.isfinite(measured) & np.isfinite(at) & np.all(np.isfinite(moved), axis=0)
    at, measured = np.where(known, at, 0.0), np.where(known, measured, 0.0)
    columns = [(np.where(known, m, 0.0) - at) / step for m in moved]
    # A flat crossing moves with everything, and with the noise most.
    weight = known / (_PRECISION + _FLATNESS * np.max(np.abs(columns), axis=0))
    error = (measured - at) * weight
    if robust:
        weight = weight / (1.0 + (error / 4.0) ** 2)
    jacobian = np.moveaxis((np.stack(columns, axis=-1) * weight[..., None]).reshape(-1, facts.NEURONS, 5), 1, 0)
    target = np.moveaxis(((measured - at) * weight).reshape(-1, facts.NEURONS), 1, 0)
    normal = np.swapaxes(jacobian, 1, 2) @ jacobian + np.eye(5) / _PRIOR**2
    toward = np.swapaxes(jacobian, 1, 2) @ target[..., None] - logs.T[..., None] / _PRIOR**2
    change = np.clip(np.linalg.solve(normal, toward)[..., 0].T, -0.1, 0.1)
    return logs + change, (measured - at)[weight > 0]


def _predict(logs: np.ndarray, taus: tuple[float, float]) -> np.ndarray:
    """What the model says about the measurement, for circuits with these factors."""
    tau_mem, tau_syn, excitatory, inhibitory, bias = np.exp(logs)
    kicks = np.concatenate([np.tile(excitatory, (_UNITS, 1)), np.tile(-inhibitory, (_INHIBITORY_UNITS, 1))])
    time = np.stack([_times(*pattern) for pattern in _PATTERNS])
    arrivals = Arrivals(time, np.broadcast_to(np.arange(len(kicks)), time.shape), kicks)
    found = []
    for current in _BIASES:
        layer = Layer(
            tau_mem=taus[0] * tau_mem,
            tau_syn=taus[1] * tau_syn,
            threshold=np.ones(facts.NEURONS),
            reset=np.zeros(facts.NEURONS),
            drive=current * bias,
            refractory=0.0,
            once=True,
            room=1,
        )
        found.append(simulate(layer, arrivals, end=_END).times[:, :, 0])
    return np.stack(found)


def _measure_pairs(backend: BSS2Emulator, repetitions: int, key: PRNGKeyArray) -> tuple[np.ndarray, np.ndarray]:
    """Slope and offset (microseconds) of each pair's law, `[512]`; those of pairs that no placement uses are ideal."""
    slope, offset = np.ones(facts.NEURONS), np.zeros(facts.NEURONS)
    for number, (others, size) in enumerate(_PAIRED):
        subkey = jax.random.fold_in(key, number)
        found = [_measure_delays(backend, others, size, delay, repetitions, subkey) for delay in _DELAYS]
        (pairs, low, short), (_, high, long) = found
        measured = np.isfinite(short) & np.isfinite(long)  # a pair whose spikes are all lost is not
        law = np.where(measured, long - np.where(measured, short, 0.0), 0.0) / (high - low)
        good = law > 0
        slope[pairs[good]] = law[good]
        offset[pairs[good]] = (facts.SHORTEST_DELAY + short - law * low)[good]
    return slope, offset


def _measure_delays(
    backend: BSS2Emulator, others: int, size: int, delay: float, repetitions: int, key: PRNGKeyArray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The pairs behind `size` neurons, which come after `others`; their settings, and their median delays."""
    neurons = {"sources": _neurons(size, 12.0, 6.0), "target": _neurons(1, 12.0, 6.0)}
    if others:
        # Circuits are given out in the order of stages, in which the last unconnected name comes first.
        neurons["unused"] = _neurons(others, 12.0, 6.0)
    behind = st.Delay(jnp.full(size, delay), kind="axonal")
    connections = [
        st.Connection("in", "sources", st.Dense(jnp.full((1, size), 10.0))),
        st.Connection("sources", "target", st.Dense(jnp.zeros((size, 1))), behind),
    ]
    network = st.Network({"in": 1}, neurons, connections, ["target"])
    train = st.Spikes.from_dense(jnp.full(1, _START))
    program = backend.prepare(st.structure_of(network), {"in": st.structure_of(train)}, t1=_END, max_spikes=1)
    batch = jax.tree.map(lambda x: jnp.broadcast_to(x, (repetitions, *x.shape)), {"in": train})
    run = program.measure(network, batch, _data(key))
    with np.errstate(invalid="ignore"):
        measured = np.median(run.delays[1], axis=0)
    first = next(wire.pairs for wire in program.placement.wires if wire.pairs is not None)
    return np.arange(first, first + size), run.configuration.delays[1], measured


def _neurons(size: int, tau_mem: float, tau_syn: float) -> st.AbstractNeuron:
    return st.get_neuron("at_most_once")(st.get_neuron("lif")(size, tau_mem=tau_mem, tau_syn=tau_syn))


def _times(inhibitory: int, first: int, second: int, later: float) -> np.ndarray:
    """When each input of a pattern spikes, `inf` for those that do not."""
    times = np.full(_UNITS + _INHIBITORY_UNITS, np.inf)
    times[:first] = _START + _LEAD
    times[first : first + second] = _START + _LEAD + later
    times[_UNITS : _UNITS + inhibitory] = _START
    # Never two packets at once: the link would lose some.
    return times + 1.25 * facts.BURST * np.arange(times.size)


def _in_bias_steps(factor: np.ndarray) -> np.ndarray:
    """Factors as biases can be set: up to twice the nominal value, in 10 bits."""
    steps = facts.BIAS_LEVELS / 2.0
    return np.clip(np.round(factor * steps), 1, facts.BIAS_LEVELS) / steps


def _data(key: PRNGKeyArray) -> np.ndarray:
    return np.asarray(jax.random.key_data(key))
