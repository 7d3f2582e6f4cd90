"""Recipes for MNIST. Times are in ms."""

import functools

import diffrax
import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray

import saltation as st

from ._ode import ODE

_CLASSES = 10


def mnist(
    *,
    hidden: int = 100,
    epochs: int = 30,
    batch_size: int = 128,
    learning_rate: float = 0.02,
    temperature: float = 0.7,
    keep_firing: float = 1.0,
    shift: int = 1,
) -> st.Experiment:
    """MNIST by first spikes, 784-100-10: the brighter a pixel, the earlier it spikes; dark ones stay silent.

    **Arguments:** `shift`: by how many pixels training images are moved at most; others as in `yinyang`.
    """
    once = st.get_neuron("at_most_once")(st.get_neuron("lif")(tau_mem=80.0, tau_syn=40.0))
    return st.first_spike_experiment(
        name="ode/mnist",
        dataset="mnist",
        sizes=(784 + 1, hidden, 10),
        neurons=(once, once),
        encode=lambda x: st.latency(x, t_min=0.0, t_max=20.0, bias=(0.0,), threshold=0.25, inverted=True),
        weights=(st.normal(60.0, 20.0), st.normal(0.3, 0.5)),
        t1=240.0,
        method=ODE(max_spikes=1),
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        temperature=temperature,
        keep_firing=keep_firing,
        augment=functools.partial(st.shifted, pixels=shift) if shift else None,
        summary=f"MNIST, {hidden} hidden LIF neurons, first-spike cross-entropy",
    )


def mnist_egru(
    *,
    hidden: int = 100,
    epochs: int = 6,
    batch_size: int = 128,
    learning_rate: float = 0.005,
    max_spikes: int = 4,
    step: float = 4.0,
    shift: int = 1,
) -> st.Experiment:
    """MNIST by event-based gated recurrent units, 784-100-10, each pixel a spike: the brighter, the earlier.

    A pixel reaches a unit's candidate and its update gate; the spikes of units reach outputs that do not spike, and the
    output with the highest potential, averaged over time, names the digit. Nothing feeds back: the memory is that of
    each unit's own gate.

    **Arguments:** `max_spikes` of each unit; `step` of the solver; `shift`: by how many pixels training images are
    moved at most.
    """
    t1 = 60.0

    def encoder(x: Array, key: PRNGKeyArray) -> st.Stimulus:
        return {"in": st.latency(x, t_min=0.0, t_max=20.0, threshold=0.25, inverted=True)}

    def model(key: PRNGKeyArray) -> st.Model:
        to_candidate, to_gate, to_output = jax.random.split(key, 3)
        neurons = {
            "hidden": st.get_neuron("egru")(
                hidden, tau_syn=10.0, v_threshold=0.3, b_update=jnp.zeros(hidden), b_candidate=jnp.zeros(hidden)
            ),
            "out": st.get_neuron("lif")(_CLASSES, tau_mem=20.0, tau_syn=10.0, v_threshold=1e6),
        }
        connections = [
            st.Connection("in", "hidden", st.Dense(st.normal(20.0, 4.0)(to_candidate, 784, hidden))),
            st.Connection("in", "hidden", st.Dense(st.normal(0.0, 3.0)(to_gate, 784, hidden)), port="update"),
            st.Connection("hidden", "out", st.Dense(st.normal(0.0, 5.0)(to_output, hidden, _CLASSES))),
        ]
        return st.Model(st.Network({"in": 784}, neurons, connections, ["out"]), st.Membrane("out"))

    def loss(solution: st.Solution, output: Array, label: Array) -> Array:
        return st.state_cross_entropy(output, label, gain=4.0)

    return st.Experiment(
        name="ode/mnist-egru",
        dataset="mnist",
        encoder=encoder,
        model=model,
        method=ODE(max_spikes=max_spikes, solver=diffrax.Bosh3(), step=step),
        loss=st.Loss(loss, needs=("states",), name="state_cross_entropy"),
        trainable=("weight", "b_update", "b_candidate"),
        t1=t1,
        save=st.Save(states_at=jnp.linspace(15.0, t1, 10)),
        optimiser=st.Optimiser("adam", learning_rate, schedule="cosine", clip_norm=1.0),
        augment=functools.partial(st.shifted, pixels=shift) if shift else None,
        batch_size=batch_size,
        epochs=epochs,
        summary=f"MNIST, {hidden} event-based gated units, read from membrane potentials",
    )
