"""What differs from trial to trial. Each draw has a stream of its own, so that one more or less changes no other."""

import dataclasses
from collections.abc import Callable

import numpy as np

from . import _facts as facts


@dataclasses.dataclass(frozen=True)
class Levels:
    """How strong the noise is.

    **Arguments:**

    - `membrane`: standard deviation of the potential, in units of the ADC.
    - `drift`: standard deviation of thresholds from run to run, relative (.04 of 2.6).
    - `jitter`: width of the jitter of a spike in microseconds, a Student t with three degrees of freedom.
    - `burst`: the probability that a neuron's spike is lost if that of the sample before was.
    - `input_loss`: the probability that a packet is lost that closely follows another one.
    """

    membrane: float = 2.0
    drift: float = 0.04 / 2.6
    jitter: float = 0.05
    burst: float = 0.5
    input_loss: float = 0.1


def stream(key: np.ndarray | None, *names: str | int) -> np.random.Generator:
    """The random numbers of one purpose under a key; the same for the same key and names.

    **Raises:** `ValueError` without a key.
    """
    if key is None:
        raise ValueError(
            "the chip got no key, and its noise needs one. Give a key, or switch the noise off: effects='none'."
        )
    words = [int(word) for word in np.asarray(key, np.uint32).ravel()]
    purpose = [byte for name in names for byte in (*str(name).encode(), 0)]
    return np.random.Generator(np.random.Philox(np.random.SeedSequence([*words, *purpose])))


def membrane_noise(
    random: np.random.Generator, std: float, tau_mem: np.ndarray, batch: int
) -> Callable[[np.ndarray], np.ndarray]:
    """White noise that the membrane filters: an Ornstein-Uhlenbeck process, from event to event, `[batch, n]`."""
    state = std * random.standard_normal((batch, tau_mem.size))

    def advance(elapsed: np.ndarray) -> np.ndarray:
        nonlocal state
        kept = np.exp(-elapsed[:, None] / tau_mem)
        state = kept * state + std * np.sqrt(1.0 - kept**2) * random.standard_normal(state.shape)
        return state

    return advance


def lost_in_bursts(random: np.random.Generator, share: np.ndarray, burst: float, batch: int) -> np.ndarray:
    """Which neurons `[batch, n]` lose their spikes: in the long run a `share`, much likelier after a loss."""
    fresh = share * (1.0 - burst) / (1.0 - share)
    draws = random.random((batch, share.size))
    lost = np.empty(draws.shape, bool)
    before = random.random(share.size) < share
    for sample in range(batch):
        before = lost[sample] = draws[sample] < np.where(before, burst, fresh)
    return lost


def lost_on_link(random: np.random.Generator, time: np.ndarray, probability: float) -> np.ndarray:
    """Which packets `[batch, N]`, sent at `time` and in any order, are lost since they closely follow another one."""
    order = np.argsort(time, axis=1, kind="stable")
    ordered = np.take_along_axis(time, order, axis=1)
    with np.errstate(invalid="ignore"):
        close = np.diff(ordered, axis=1, prepend=-np.inf) <= facts.BURST
    lost = close & np.isfinite(ordered) & (random.random(time.shape) < probability)
    result = np.empty_like(lost)
    np.put_along_axis(result, order, lost, axis=1)
    return result
