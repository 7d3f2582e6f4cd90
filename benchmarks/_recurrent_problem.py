"""Recurrent networks that every side of `recurrent.py` solves: inputs, weights, parameters, from fixed seeds.

50 neurons hear 5 inputs and each other, all to all but themselves, at once or after a delay, for three neuron models.
"""

from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from _problem import yinyang

NEURONS, BATCH = 50, 128


@dataclass(frozen=True)
class RecurrentProblem:
    """One network, one batch and the parameters of its neurons; times in ms."""

    model: str  # "lif", "qif" or "egru"
    delay: float  # of the recurrent connection; 0: none
    tau_mem: float
    tau_syn: float
    v_threshold: float
    v_reset: float
    t1: float
    room: int  # spikes a neuron
    events: int  # spikes of a sample, at most
    times: np.ndarray  # [batch, 5], one spike an input
    w_in: np.ndarray  # [5, 50]
    w_out: np.ndarray  # [50, 50], the recurrent weights
    score: np.ndarray  # [50], the loss is their product with first spike times, silence counting as t1

    def save(self, path: Path) -> None:
        np.savez(path, **asdict(self))

    @staticmethod
    def load(path: str | Path) -> "RecurrentProblem":
        with np.load(path, allow_pickle=False) as data:
            values = {name: array.item() if array.ndim == 0 else array for name, array in data.items()}
        return RecurrentProblem(**values)


def problem(model: str, delay: float) -> RecurrentProblem:
    random = np.random.default_rng(5)
    # Mean and spread of the weights from the inputs and between the neurons.
    constants, (mean_in, spread_in), (mean, spread), room = {
        "lif": ((20.0, 10.0, 1.0, 0.0, 40.0), (1.4, 0.7), (0.0, 0.06), 4),
        "qif": ((20.0, 5.0, 10.0, -1.0, 30.0), (6.0, 3.0), (0.0, 0.5), 4),
        "egru": ((20.0, 20.0, 0.3, 0.0, 60.0), (0.9, 0.5), (0.0, 0.2), 4),
    }[model]
    tau_mem, tau_syn, v_threshold, v_reset, t1 = constants
    points, _ = yinyang(BATCH)
    w_rec = random.normal(mean, spread, (NEURONS, NEURONS))
    np.fill_diagonal(w_rec, 0.0)
    w_in = random.normal(mean_in, spread_in, (5, NEURONS))
    if model == "qif":
        # One that stays silent, as the other models have some: eventax stops once all have spiked.
        w_in[:, 0] = w_rec[:, 0] = 0.0
    return RecurrentProblem(
        model=model, delay=delay, tau_mem=tau_mem, tau_syn=tau_syn, v_threshold=v_threshold, v_reset=v_reset, t1=t1,
        room=room, events=NEURONS * room, times=20.0 * np.concatenate([points, 1 - points, np.zeros((BATCH, 1))], 1),
        w_in=w_in, w_out=w_rec, score=random.normal(1.0, 0.5, NEURONS),
    )  # fmt: skip


CASES = {
    f"{model}{'-delay' if delay else ''}": (model, delay) for model in ("lif", "qif", "egru") for delay in (0.0, 2.0)
}
