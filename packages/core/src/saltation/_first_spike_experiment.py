"""The experiment that most recipes of first spikes are: classes by which output spikes first."""

from collections.abc import Callable

from jaxtyping import Array, PRNGKeyArray

from ._experiment import Experiment, Loss, Optimiser
from ._losses import first_spike_cross_entropy, keep_firing
from ._method import AbstractMethod, Stimulus
from ._model import Model
from ._network import Network
from ._readout import FirstSpikes
from ._solution import Solution


def first_spike_experiment(
    *,
    name: str,
    dataset: str,
    network: Callable[[PRNGKeyArray], Network],
    stimulus: Callable[[Array], Stimulus],
    method: AbstractMethod,
    t1: float,
    temperature: float,
    optimiser: Optimiser,
    batch_size: int,
    epochs: int,
    pull: float = 0.0,
    drive: float = 20.0,
    augment: Callable[[Array, PRNGKeyArray], Array] | None = None,
    trainable: tuple[str, ...] = ("weight",),
    summary: str = "",
) -> Experiment:
    """Trains `network` so that of the population "out" the neuron with the sample's class spikes first.

    **Arguments:**

    - `network(key)`: draws the initial network; `stimulus(x)` of one sample.
    - `temperature`: of the cross-entropy of first spikes, in the unit of `t1`; a silent output counts as one that
      spikes at `t1`.
    - `pull`, `drive`: the `strength` and the `drive` of `keep_firing`; no pull for 0.
    - the others as in `Experiment`.

    Göltz et al., "Fast and energy-efficient neuromorphic deep learning with first-spike times", 2021.
    """

    def encoder(x: Array, key: PRNGKeyArray) -> Stimulus:
        return stimulus(x)

    def loss(solution: Solution, times: Array, label: Array) -> Array:
        return first_spike_cross_entropy(times, label, temperature=temperature, silent=t1)

    def regulariser(network: Network, solution: Solution) -> Array:
        return keep_firing(network, solution, strength=pull, drive=drive)

    return Experiment(
        name=name,
        dataset=dataset,
        encoder=encoder,
        augment=augment,
        model=lambda key: Model(network(key), FirstSpikes("out")),
        method=method,
        loss=Loss(loss, needs=("spikes",), name="first_spike_cross_entropy"),
        regulariser=regulariser if pull else None,
        trainable=trainable,
        t1=t1,
        optimiser=optimiser,
        batch_size=batch_size,
        epochs=epochs,
        summary=summary,
    )
