"""The problem that every side of the benchmark solves: inputs, weights, parameters, all from fixed seeds.

A 5-30-3 network sees Yin-Yang points as spikes (x, y, 1-x, 1-y and one bias spike at 0) and is scored by the
cross-entropy of its outputs' first spikes. The weights are random, scaled so that hidden neurons spike one to
three times and no neuron more often than that: a room of three spikes a neuron loses nothing.
"""

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np


@dataclass(frozen=True)
class Problem:
    """One network, one batch and the parameters of its neurons; times in ms."""

    model: str  # "lif", "qif", "eif" or "izhikevich"
    tau_mem: float
    tau_syn: float
    v_threshold: float
    v_reset: float
    t1: float
    room: int  # spikes a neuron
    once: bool  # at most one spike a neuron and trial
    loss_tau: float  # time constant of the loss: softmax of -t/loss_tau
    times: np.ndarray  # [batch, 5], one spike an input
    targets: np.ndarray  # [batch]
    w_in: np.ndarray  # [5, 30], what one spike adds to the current
    w_out: np.ndarray  # [30, 3]

    def save(self, path: Path) -> None:
        np.savez(path, **asdict(self))

    @staticmethod
    def load(path: str | Path) -> "Problem":
        with np.load(path, allow_pickle=False) as data:
            values = {name: array.item() if array.ndim == 0 else array for name, array in data.items()}
        return Problem(**values)


def yinyang(n: int, seed: int = 42) -> tuple[np.ndarray, np.ndarray]:
    """The first `n` points `[n, 2]` and classes `[n]` of the published generator (Kriener et al. 2022)."""
    random = np.random.RandomState(seed)
    points = np.empty((n, 2))
    classes = np.empty(n, np.int32)
    for sample in range(n):
        wanted = random.randint(3)
        while True:
            x, y = random.rand(2)
            if (x - 0.5) ** 2 + (y - 0.5) ** 2 <= 0.25 and _yinyang_class(x, y) == wanted:
                break
        points[sample], classes[sample] = (x, y), wanted
    return points, classes


def _yinyang_class(x: float, y: float) -> int:
    right, left = np.hypot(x - 0.75, y - 0.5), np.hypot(x - 0.25, y - 0.5)
    if right < 0.1 or left < 0.1:
        return 2
    yang = right <= 0.1 or 0.1 < left <= 0.25 or (y > 0.5 and right > 0.25)
    return 1 if yang else 0


def _inputs(batch: int, latest: float) -> tuple[np.ndarray, np.ndarray]:
    points, classes = yinyang(batch)
    bias = np.zeros((batch, 1))
    return np.concatenate([points, 1 - points, bias], axis=1) * latest, classes


def lif(*, once: bool, batch: int = 256) -> Problem:
    """LIF neurons with `tau_mem = 2 tau_syn`, the ratio for which every peer has its closed form."""
    times, targets = _inputs(batch, latest=20.0)
    random = np.random.default_rng(2)
    return Problem(
        model="lif", tau_mem=20.0, tau_syn=10.0, v_threshold=1.0, v_reset=0.0, t1=60.0,
        room=1 if once else 3, once=once, loss_tau=2.0, times=times, targets=targets,
        w_in=random.normal(1.5, 0.8, (5, 30)), w_out=random.normal(0.15, 0.1, (30, 3)),
    )  # fmt: skip


def qif(*, finite: bool, batch: int = 256) -> Problem:
    """QIF neurons, `tau_mem dv/dt = v (v - 1) + i`, with eventax's notebook's constants and trial length.

    Infinite threshold and reset are the notebook's own network, input weights included; finite ones, 10 and
    -1, are what `saltation_neurons.QIF` has.
    """
    times, targets = _inputs(batch, latest=30.0)
    random = np.random.default_rng(0)
    largest_in, largest_out = (20.0, 3.0) if finite else (40.0, 10.0)
    return Problem(
        model="qif",
        tau_mem=20.0,
        tau_syn=5.0,
        v_threshold=10.0 if finite else np.inf,
        v_reset=-1.0 if finite else -np.inf,
        t1=30.0,
        room=3,
        once=False,
        loss_tau=2.0,
        times=times,
        targets=targets,
        w_in=random.uniform(0.0, largest_in, (5, 30)),
        w_out=random.uniform(0.0, largest_out, (30, 3)),
    )


# Eventax's constants, and of Izhikevich's neuron those of its author for regular spiking.
EIF = {"v_leak": 0.0, "v_rheobase": 1.0, "slope": 0.2}
IZHIKEVICH = {"a": 0.02, "b": 0.2, "c": -65.0, "d": 8.0}


def eif(*, batch: int = 128) -> Problem:
    """EIF neurons, `tau_mem dv/dt = -v + slope exp((v - v_rheobase) / slope) + i`.

    The threshold is eventax's: where the potential has 0.001 ms left to infinity.
    """
    v_threshold = EIF["v_rheobase"] + EIF["slope"] * np.log(20.0 / 0.001)
    return _upstroke("eif", (2.5, 1.5), (0.5, 0.3), 20.0, 5.0, v_threshold, 0.0, batch)


def izhikevich(*, batch: int = 128) -> Problem:
    """Izhikevich's neurons; they have no `tau_mem`."""
    return _upstroke("izhikevich", (6.0, 3.0), (1.2, 0.8), 1.0, 5.0, 30.0, IZHIKEVICH["c"], batch)


def _upstroke(model, into, out, tau_mem, tau_syn, v_threshold, v_reset, batch) -> Problem:
    times, targets = _inputs(batch, latest=20.0)
    random = np.random.default_rng(2)
    return Problem(
        model=model, tau_mem=tau_mem, tau_syn=tau_syn, v_threshold=v_threshold, v_reset=v_reset, t1=30.0, room=3,
        once=False, loss_tau=2.0, times=times, targets=targets, w_in=random.normal(*into, (5, 30)),
        w_out=random.normal(*out, (30, 3)),
    )  # fmt: skip


CASES = {
    "lif-room3": lambda: lif(once=False),
    "lif-once": lambda: lif(once=True),
    "qif": lambda: qif(finite=True),
    "qif-phase": lambda: qif(finite=False),
    "eif": eif,
    "izhikevich": izhikevich,
}
