"""The experiment that most recipes of first spikes are: classes by which output spikes first."""

from collections.abc import Callable, Sequence

import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray

from ._builders import Init, feedforward
from ._connection import Connection
from ._current import Current
from ._delay import AbstractPositive, Softplus
from ._experiment import Experiment, Loss, Optimiser
from ._losses import first_spike_cross_entropy
from ._losses import keep_firing as keep_firing_regulariser
from ._method import AbstractMethod, Stimulus
from ._model import Model
from ._network import Network
from ._neuron import AbstractNeuron
from ._readout import FirstSpikes
from ._solution import Solution
from ._spikes import Spikes
from ._synapse import OneToOne


def first_spike_experiment(
    *,
    name: str,
    dataset: str,
    sizes: Sequence[int],
    neurons: AbstractNeuron | Sequence[AbstractNeuron],
    encode: Callable[[Array], Spikes],
    weights: Sequence[Init],
    method: AbstractMethod,
    t1: float,
    temperature: float,
    learning_rate: float,
    batch_size: int,
    epochs: int,
    keep_firing: float = 0.0,
    drive: float = 20.0,
    output_current: float = 1.2,
    output_onset: float | None = None,
    delay: str | None = None,
    initial_delay: float = 1.0,
    positive: AbstractPositive = Softplus(),
    delay_rate: float = 0.0,
    beta2: float = 0.999,
    trainable: tuple[str, ...] = ("weight",),
    augment: Callable[[Array, PRNGKeyArray], Array] | None = None,
    summary: str = "",
) -> Experiment:
    """Trains layers so that of the population "out" the neuron with the sample's class spikes first.

    A fixed current takes each output over its threshold by itself, late: what others do to it moves its spike, and
    never takes it away. So each output has a gradient in each sample. Trained by Adam with a cosine schedule.

    **Arguments:**

    - `sizes`, `neurons`, `weights`, `delay`, `initial_delay`, `positive`: the layers, as in `feedforward`.
    - `encode(x)`: the input spikes of one sample.
    - `temperature`: of the cross-entropy of first spikes, in the unit of `t1`; a silent output counts as one that
      spikes at `t1`.
    - `learning_rate`, and that of delays, `delay_rate`; `beta2`: how long Adam remembers the size of gradients.
    - `keep_firing`, `drive`: the `strength` and the `drive` of the regulariser `keep_firing`; none for 0.
    - `output_current`: the fixed current of each output, from `output_onset` on, or from the start.
    - the others as in `Experiment`.

    Göltz et al., "Fast and energy-efficient neuromorphic deep learning with first-spike times", 2021.
    """
    outputs = sizes[-1]

    def model(key: PRNGKeyArray) -> Model:
        layers = feedforward(
            sizes,
            neurons,
            weight=list(weights),
            delay=delay,
            initial_delay=initial_delay,
            positive=positive,
            key=key,
        )
        steady = Connection("bias", "out", OneToOne(outputs, output_current))
        inputs = {**layers.inputs, "bias": outputs}
        network = Network(inputs, layers.neurons, [*layers.connections, steady], layers.outputs)
        return Model(network, FirstSpikes("out"))

    def encoder(x: Array, key: PRNGKeyArray) -> Stimulus:
        steady = jnp.ones(outputs, x.dtype)
        if output_onset is None:
            return {"in": encode(x), "bias": Current(steady)}
        start = jnp.array([0.0, output_onset], x.dtype)
        return {"in": encode(x), "bias": Current(jnp.stack([0.0 * steady, steady]), start)}

    def loss(solution: Solution, times: Array, label: Array) -> Array:
        return first_spike_cross_entropy(times, label, temperature=temperature, silent=t1)

    def regulariser(network: Network, solution: Solution) -> Array:
        return keep_firing_regulariser(network, solution, strength=keep_firing, drive=drive)

    return Experiment(
        name=name,
        dataset=dataset,
        encoder=encoder,
        augment=augment,
        model=model,
        method=method,
        loss=Loss(loss, needs=("spikes",), name="first_spike_cross_entropy"),
        regulariser=regulariser if keep_firing else None,
        trainable=(*trainable, "delay") if delay else trainable,
        t1=t1,
        optimiser=Optimiser(
            "adam",
            learning_rate,
            rates={"delay": delay_rate} if delay else {},
            schedule="cosine",
            clip_norm=1.0,
            options={} if beta2 == 0.999 else {"b2": beta2},
        ),
        batch_size=batch_size,
        epochs=epochs,
        summary=summary,
    )
