"""The fixed pattern of a chip: how each of its circuits deviates, drawn once."""

import dataclasses

import numpy as np

from . import _facts as facts


@dataclasses.dataclass(frozen=True)
class Spread:
    """How much circuits of one chip differ, after the calibration that every chip gets; relative unless said.

    **Arguments:**

    - `threshold`, `threshold_mean`: standard deviation and mean of how much higher a threshold is than wanted.
    - `tau_mem`, `tau_syn`, `gain`, `bias`: standard deviations of time constants, of a neuron's synaptic gains
      (excitatory and inhibitory ones apart) and of its bias current.
    - `synapse`: of a single synapse's gain.
    - `delay_slope`, `delay_offset`: of the law of a delaying pair; the offset in microseconds.
    - `loss`: lowest and highest share of spikes that a neuron loses.
    """

    threshold: float = 0.031
    threshold_mean: float = 0.05
    tau_mem: float = 0.05
    tau_syn: float = 0.05
    gain: float = 0.05
    bias: float = 0.05
    synapse: float = 0.05
    delay_slope: float = 0.05
    delay_offset: float = 0.1
    loss: tuple[float, float] = (0.003, 0.06)


@dataclasses.dataclass(frozen=True, eq=False)
class Pattern:
    """Factors by which each circuit is off, `[512]`, and each synapse, `[hemisphere, row, column]`; 1 is ideal.

    `delay_offset` is in microseconds and `loss` a probability.
    """

    tau_mem: np.ndarray
    tau_syn: np.ndarray
    threshold: np.ndarray
    gain_excitatory: np.ndarray
    gain_inhibitory: np.ndarray
    bias: np.ndarray
    delay_slope: np.ndarray
    delay_offset: np.ndarray
    loss: np.ndarray
    synapse: np.ndarray


def draw_pattern(seed: int, spread: Spread) -> Pattern:
    """The pattern of the chip with this number."""
    # The legacy generator: its stream is frozen, so a chip is the same under every version of NumPy.
    random = np.random.RandomState(seed)

    def factors(std: float) -> np.ndarray:
        # Log-normal: a time constant or a gain is never negative.
        return np.exp(std * random.standard_normal(facts.NEURONS))

    low, high = np.log(spread.loss[0]), np.log(spread.loss[1])
    return Pattern(
        tau_mem=factors(spread.tau_mem),
        tau_syn=factors(spread.tau_syn),
        threshold=1.0 + spread.threshold_mean + spread.threshold * random.standard_normal(facts.NEURONS),
        gain_excitatory=factors(spread.gain),
        gain_inhibitory=factors(spread.gain),
        bias=factors(spread.bias),
        delay_slope=factors(spread.delay_slope),
        delay_offset=spread.delay_offset * random.standard_normal(facts.NEURONS),
        loss=np.exp(low + (high - low) * random.random_sample(facts.NEURONS)),
        synapse=np.exp(spread.synapse * random.standard_normal((facts.HEMISPHERES, facts.ROWS, facts.COLUMNS))).astype(
            np.float32
        ),
    )
