"""A layer of emulated neurons under the spikes that reach it: from event to event, a whole batch at once."""

import dataclasses
from collections.abc import Callable

import numpy as np

from ._flow import Constants, crossing, flow

# A noise of the potential that goes on from event to event: its values `[batch, n]` after `elapsed`, `[batch]`.
Noise = Callable[[np.ndarray], np.ndarray]


@dataclasses.dataclass(frozen=True, eq=False)
class Layer:
    """`n` neurons, with potentials in units of a threshold above the leak, and times in microseconds.

    - `tau_mem`, `tau_syn`, `threshold`, `reset`, `drive` (a constant current): `[n]`.
    - `refractory`: how long the potential is held at its reset after a spike.
    - `once`: a neuron spikes at most once.
    - `room`: spikes of a neuron that are kept; those beyond are counted.
    """

    tau_mem: np.ndarray
    tau_syn: np.ndarray
    threshold: np.ndarray
    reset: np.ndarray
    drive: np.ndarray
    refractory: float
    once: bool
    room: int


@dataclasses.dataclass(frozen=True, eq=False)
class Arrivals:
    """What reaches a layer, in any order: at `time`, `[batch, N]` and `inf` for nothing, `kicks[row]`, `[rows, n]`."""

    time: np.ndarray
    row: np.ndarray
    kicks: np.ndarray


@dataclasses.dataclass(frozen=True, eq=False)
class Activity:
    """Spike times `[batch, n, room]`, ascending, `inf` for none; how many did not fit; and the potential where asked.

    `potential` is `[batch, n, samples]`.
    """

    times: np.ndarray
    overflow: np.ndarray
    potential: np.ndarray


def simulate(
    layer: Layer, arrivals: Arrivals, *, end: float, noise: Noise | None = None, samples: np.ndarray | None = None
) -> Activity:
    """The spikes of a layer up to `end`, and its potentials at the times `samples`, ascending."""
    samples = np.zeros(0) if samples is None else samples
    time, row, sample, table = _events(arrivals, samples, end)
    batch, n = time.shape[0], layer.tau_mem.size
    run = _Run(layer, batch)
    potential = np.zeros((batch, n, len(samples)))
    now = np.zeros(batch)
    if noise is not None:
        run.offset = noise(now)
    for k in range(time.shape[1]):
        then = np.minimum(time[:, k], end)
        run.advance(now, then)
        if noise is not None:
            run.offset = noise(then - now)
        reached = np.nonzero(sample[:, k] >= 0)[0]
        if len(reached):
            potential[reached, :, sample[reached, k]] = run.v[reached] + layer.drive + run.offset[reached]
        run.i += table[row[:, k]]
        now = then
    run.advance(now, np.full(batch, end))
    return Activity(run.times, run.overflow, potential)


def _events(arrivals: Arrivals, samples: np.ndarray, end: float):
    """Arrivals and samples in one order: times `[batch, K]`, rows of a table of kicks, numbers of samples or -1."""
    batch, n = arrivals.time.shape[0], arrivals.kicks.shape[1]
    nothing = len(arrivals.kicks)
    table = np.concatenate([arrivals.kicks, np.zeros((1, n))])
    late = ~(arrivals.time < end)
    time = np.concatenate(
        [np.where(late, np.inf, arrivals.time), np.broadcast_to(samples, (batch, len(samples)))], axis=1
    )
    row = np.concatenate([np.where(late, nothing, arrivals.row), np.full((batch, len(samples)), nothing)], axis=1)
    number = np.concatenate(
        [np.full(late.shape, -1), np.broadcast_to(np.arange(len(samples)), (batch, len(samples)))], axis=1
    )
    order = np.argsort(time, axis=1, kind="stable")
    length = int(np.isfinite(time).sum(axis=1).max(initial=0))
    time, row, number = (np.take_along_axis(x, order, axis=1)[:, :length] for x in (time, row, number))
    return time, row, number, table


class _Run:
    """The state of all neurons in all samples, `[batch, n]`; `v` counts from where the constant current takes it."""

    def __init__(self, layer: Layer, batch: int):
        n = layer.tau_mem.size
        self.layer = layer
        self.constants = Constants.of(layer.tau_mem, layer.tau_syn)
        self.v = np.zeros((batch, n)) - layer.drive
        self.i = np.zeros((batch, n))
        self.offset = np.zeros((batch, n))
        self.held_until = np.zeros((batch, n))
        self.spent = np.zeros((batch, n), bool)
        self.times = np.full((batch, n, layer.room), np.inf)
        self.count = np.zeros((batch, n), int)
        self.overflow = np.zeros((batch, n), int)

    def advance(self, now: np.ndarray, then: np.ndarray) -> None:
        """All neurons from `now` to `then`, `[batch]`; spikes are noted, and neurons reset."""
        if not (then > now).any():
            return
        c = self.constants
        threshold = self._threshold()
        start = np.maximum(now[:, None], np.minimum(self.held_until, then[:, None]))
        v, i = self.v, self.i
        held = start > now[:, None]
        if held.any():
            i = np.where(held, i * np.exp((now[:, None] - start) / c.tau_syn), i)
        left = then[:, None] - start
        self.v, self.i = flow(v, i, left, c)
        # Only these can have crossed; most neurons, most of the time, can not.
        suspects = (left > 0) & ((v >= threshold) | (self.v >= threshold) | ((i > v) & (i > threshold)))
        where = np.nonzero(suspects)
        if len(where[0]):
            self._cross(where, v[where], i[where], start[where], then[where[0]], threshold[where])

    def _cross(self, where, v, i, start, then, threshold) -> None:
        """The neurons at `where`, given where they start, to `then`, with all spikes on the way."""
        layer = self.layer
        end = self.v[where]
        while len(v):
            c = self.constants.take(where[1])
            after = crossing(v, i, then - start, end, threshold, c)
            hit = np.isfinite(after)
            if not hit.any():
                return
            where, v, i, start, then, after = (
                (where[0][hit], where[1][hit]),
                *(x[hit] for x in (v, i, start, then, after)),
            )
            c = c.take(hit)
            i = flow(v, i, after, c)[1]
            time = start + after
            self._note(where, time)
            v = (layer.reset - layer.drive)[where[1]]
            self.held_until[where] = time + layer.refractory
            start = np.minimum(time + layer.refractory, then)
            i = i * np.exp((time - start) / c.tau_syn)
            end, i_end = flow(v, i, then - start, c)
            self.v[where], self.i[where] = end, i_end
            threshold = self._threshold()[where]
            free = start < then
            where, v, i, start, then, end, threshold = (
                (where[0][free], where[1][free]),
                *(x[free] for x in (v, i, start, then, end, threshold)),
            )

    def _threshold(self) -> np.ndarray:
        """What `v` has to reach, noise included; always above the reset, or a spike would follow itself at once."""
        layer = self.layer
        threshold = np.maximum(layer.threshold - self.offset, layer.reset + 0.05)
        return np.where(self.spent, np.inf, threshold - layer.drive)

    def _note(self, where, time: np.ndarray) -> None:
        count = self.count[where]
        fits = count < self.layer.room
        self.times[where[0][fits], where[1][fits], count[fits]] = time[fits]
        self.overflow[where] += ~fits
        self.count[where] = count + 1
        if self.layer.once:
            self.spent[where] = True
