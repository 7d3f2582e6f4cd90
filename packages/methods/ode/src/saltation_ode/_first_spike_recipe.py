"""The recipe that most recipes of first spikes are."""

from collections.abc import Callable, Sequence

import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray

import saltation as st

from ._ode import ODE


def first_spike_recipe(
    *,
    name: str,
    dataset: str,
    sizes: Sequence[int],
    neurons: Sequence[st.AbstractNeuron],
    encode: Callable[[Array], st.Spikes],
    weights: Sequence[Callable],
    t1: float,
    method: ODE,
    epochs: int,
    batch_size: int,
    learning_rate: float,
    temperature: float,
    keep_firing: float,
    summary: str,
    own: float = 1.2,
    own_start: float | None = None,
    trainable: tuple[str, ...] = ("weight",),
    augment: Callable[[Array, PRNGKeyArray], Array] | None = None,
) -> st.Experiment:
    """Layers of `sizes`, whose outputs get a fixed current `own` each, from `own_start` on; the first spike names the
    class.

    **Arguments:** `encode(x)`: of one sample; `weights`: how each connection's are drawn; the others as in
    `saltation.first_spike_experiment`.
    """

    def network(key: PRNGKeyArray) -> st.Network:
        layers = st.feedforward(sizes, neurons, weight=list(weights), key=key)
        # A fixed current takes each output over its threshold by itself, late: what others do to it moves its spike,
        # and never takes it away. So each output has a gradient in each sample.
        steady = st.Connection("bias", "out", st.OneToOne(sizes[-1], own))
        inputs = {**layers.inputs, "bias": sizes[-1]}
        return st.Network(inputs, layers.neurons, [*layers.connections, steady], layers.outputs)

    def stimulus(x: Array) -> st.Stimulus:
        steady = jnp.ones(sizes[-1], x.dtype)
        if own_start is None:
            return {"in": encode(x), "bias": st.Current(steady)}
        start = jnp.array([0.0, own_start], x.dtype)
        return {"in": encode(x), "bias": st.Current(jnp.stack([0.0 * steady, steady]), start)}

    return st.first_spike_experiment(
        name=name,
        dataset=dataset,
        network=network,
        stimulus=stimulus,
        method=method,
        t1=t1,
        temperature=temperature,
        pull=keep_firing,
        augment=augment,
        trainable=trainable,
        optimiser=st.Optimiser("adam", learning_rate, schedule="cosine", clip_norm=1.0),
        batch_size=batch_size,
        epochs=epochs,
        summary=summary,
    )
