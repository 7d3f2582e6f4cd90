"""Point processes with an intensity, fitted by maximum likelihood; and the intensity of a stochastic neuron."""

from typing import NamedTuple

import numpy as np

CELL = 0.1  # ms, as the recording was sampled
PARTICLES = 4000
# Of the time since the last spike, ms: the intensity is constant between them.
AGES = np.array([0.0, 3.5, 4.5, 5.5, 6.5, 8.0, 10.0, 14.0, 20.0])


class PointProcess(NamedTuple):
    """`intensity = exp(weight . features)`; `drive` is its part from the stimulus, at each `CELL`."""

    history: np.ndarray
    drive: np.ndarray

    @classmethod
    def fit(cls, current, spikes, starts, stimulus: bool, history: bool) -> "PointProcess":
        """By Newton's method on the windows that begin at `starts`; `current` is per ms, `[ms, features]`."""
        cells = np.rint(spikes / CELL).astype(int)
        per = round(1 / CELL)
        drive = np.repeat(current if stimulus else current[:, :0], per, axis=0)
        width = starts[1:] - starts[:-1]
        window = round(np.abs(width[width != 0]).min() / CELL)
        chosen = np.concatenate([np.arange(round(s / CELL), round(s / CELL) + window) for s in starts])
        ages = _age_class(_ages(cells, len(drive))) if history else np.zeros(len(drive), int)
        kinds = len(AGES) if history else 1
        x = np.concatenate([np.eye(kinds)[ages[chosen]], drive[chosen]], axis=1)
        y = np.zeros(len(drive))
        # A spike ends the cell before it.
        y[cells - 1] = 1
        y, weight = y[chosen], np.zeros(x.shape[1])
        weight[:kinds] = np.log(y.mean() / CELL)
        for _ in range(30):
            mean = np.exp(np.clip(x @ weight, -20, 5)) * CELL
            # A weak prior, for classes without a spike.
            gradient = x.T @ (y - mean) - 1e-3 * weight
            step = np.linalg.solve((x.T * mean) @ x + 1e-3 * np.eye(len(weight)), gradient)
            weight = weight + step / max(1.0, np.abs(step).max())
        return cls(weight[:kinds] if history else np.repeat(weight[:1], len(AGES)), drive @ weight[kinds:])

    def intensity(self, spikes) -> tuple[np.ndarray, np.ndarray]:
        """Given the spikes so far: its integral over each cell, and its value at the end of each cell."""
        ages = _age_class(_ages(np.rint(spikes / CELL).astype(int), len(self.drive)))
        value = np.exp(self.history[ages] + self.drive)
        return value * CELL, value

    def samples(self, starts, lead: float, window: float, number: int, room: int) -> np.ndarray:
        """`[windows, number, room]`, in the window's own time, after a lead in which it forgets its start."""
        rng, found = np.random.default_rng(1), np.full((len(starts), number, room), np.inf)
        first = np.rint((starts - lead) / CELL).astype(int)
        age, count = np.full((len(starts), number), 100), np.zeros((len(starts), number), int)
        for k in range(round((lead + window) / CELL)):
            mean = np.exp(self.history[_age_class(age)] + self.drive[first + k][:, None]) * CELL
            spikes = rng.random(age.shape) < -np.expm1(-mean)
            age = np.where(spikes, 0, age + 1)
            if (time := (k + 1) * CELL - lead) > 0:
                at = np.argwhere(spikes & (count < room))
                found[at[:, 0], at[:, 1], count[at[:, 0], at[:, 1]]] = time
                count += spikes
        return found


def _ages(cells: np.ndarray, size: int) -> np.ndarray:
    """The number of cells since the last spike, at the start of each cell."""
    place = np.arange(size)
    last = np.searchsorted(cells, place, side="right") - 1
    return np.where(last >= 0, place - cells[np.maximum(last, 0)], 100)


def _age_class(age: np.ndarray) -> np.ndarray:
    return np.searchsorted(AGES, age * CELL + 1e-9, side="right") - 1


def filtered_intensity(network, current, spikes) -> tuple[np.ndarray, np.ndarray]:
    """A stochastic neuron's intensity given its spikes so far: its integral over each cell, and its value at the end of
    each cell that ends with a spike (0 elsewhere).

    By particles that follow Euler's scheme with cells of 1 ms, as training does: weighted by what they say of each
    interval, and resampled at each spike.
    """
    neuron, rng = network.neurons["out"].neuron, np.random.default_rng(0)
    value = {
        name: float(getattr(neuron, name))
        for name in ("tau_mem", "v_leak", "v_drop", "v_threshold", "beta", "tau_escape", "alpha", "sigma")
    }
    input_current = current @ np.asarray(network.connections[0].synapse.weight, np.float64)
    times = set(np.rint(spikes / CELL).astype(int).tolist())
    v, hazard_sum, weight = np.full(PARTICLES, value["v_leak"]), np.zeros(PARTICLES), np.full(PARTICLES, 1 / PARTICLES)
    per, integral, value_at_spike = round(1 / CELL), [], np.zeros(len(current) * round(1 / CELL))
    for k, drive in enumerate(input_current):
        noise = value["sigma"] * rng.normal(size=PARTICLES)
        held = v
        for part in range(per):
            slope = (value["v_leak"] - held + drive) / value["tau_mem"] + noise
            hazard = np.exp(value["beta"] * (held - value["v_threshold"])) / value["tau_escape"]
            after = hazard_sum + hazard * CELL
            active = np.maximum(after, value["alpha"]) - np.maximum(hazard_sum, value["alpha"])
            v, hazard_sum, weight = v + slope * CELL, after, weight * np.exp(-active)
            survived = weight.sum()
            integral.append(-np.log(survived))
            weight = weight / survived
            if k * per + part + 1 in times:
                # A spike comes from those that are not refractory; where all are, it is as if it came from any.
                weight = weight * np.maximum(hazard * (hazard_sum > value["alpha"]), 1e-9)
                value_at_spike[k * per + part] = weight.sum()
                chosen = rng.choice(PARTICLES, PARTICLES, p=weight / weight.sum())
                v, noise = v[chosen] - value["v_drop"], noise[chosen]
                held, hazard_sum, weight = v, np.zeros(PARTICLES), np.full(PARTICLES, 1 / PARTICLES)
    return np.array(integral), value_at_spike
