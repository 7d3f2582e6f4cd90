"""The recipes of the Spiking Heidelberg Digits and of generated data of their shape. Times are in ms."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray

import saltation as st

from ._ode import ODE

_UNITS, _CLASSES = 700, 20


def shd(
    *,
    hidden: int = 256,
    recurrent: bool = True,
    epochs: int = 60,
    batch_size: int = 32,
    learning_rate: float = 5e-4,
    delay_rate: float = 0.05,
    max_spikes: int = 60,
    t1: float = 1000.0,
    train_size: int = 8156,
    test_size: int = 2264,
    validation_size: int = 800,
) -> st.Experiment:
    """Spoken digits as spikes of 700 units, by recurrent LIF neurons with trainable axonal delays.

    Outputs do not spike: the one with the highest potential of all names the word. Events after `t1` are left out.
    Cramer et al., IEEE TNNLS 33 (2022).

    **Arguments:** `recurrent`: with feedback among the hidden neurons, or without; `delay_rate`: the learning rate of
    delays; `max_spikes` of each hidden neuron; `train_size`, `test_size`, `validation_size`: recordings that are read.
    """
    sizes = {"train_size": train_size, "test_size": test_size, "validation_size": validation_size}
    return _experiment("shd", sizes, hidden, recurrent, epochs, batch_size, learning_rate, delay_rate, max_spikes, t1)


def shd_like(
    *,
    hidden: int = 256,
    recurrent: bool = True,
    epochs: int = 10,
    batch_size: int = 32,
    learning_rate: float = 5e-4,
    delay_rate: float = 0.05,
    max_spikes: int = 60,
    t1: float = 1000.0,
    events: int = 8000,
    train_size: int = 2000,
    test_size: int = 500,
    validation_size: int = 250,
) -> st.Experiment:
    """The network of `ode/shd` on generated bursts of 700 units, whose timing tells the classes apart.

    **Arguments:** as of `shd`; `events` of a sample, in the mean.
    """
    options = {
        "train_size": train_size,
        "test_size": test_size,
        "validation_size": validation_size,
        "events": events,
        "t1": t1,
    }
    return _experiment(
        "shd_like", options, hidden, recurrent, epochs, batch_size, learning_rate, delay_rate, max_spikes, t1
    )


def _experiment(
    dataset, options, hidden, recurrent, epochs, batch_size, learning_rate, delay_rate, max_spikes, t1
) -> st.Experiment:
    lif = st.get_neuron("lif")
    times = jnp.linspace(t1 / 20, t1, 20)

    def encoder(x: Array, key: PRNGKeyArray) -> st.Stimulus:
        here = x[:, 0] < t1
        time = jnp.where(here, x[:, 0], jnp.inf)
        return {"in": st.Spikes(time, jnp.where(here, x[:, 1], -1.0).astype(jnp.int32), _UNITS)}

    def model(key: PRNGKeyArray) -> st.Model:
        keys = jax.random.split(key, 5)
        neurons = {
            "hidden": lif(hidden, tau_mem=20.0, tau_syn=10.0),
            "out": lif(_CLASSES, tau_mem=40.0, tau_syn=10.0, v_threshold=1e6),
        }
        # Some 8,000 spikes a second come from 700 units: in 10 ms, a weight counts a tenth of a spike.
        draw_in, draw, draw_out = st.normal(1.0, 2.0), st.normal(0.0, 0.5), st.normal(0.0, 2.0)
        connections = [
            st.Connection("in", "hidden", st.Dense(draw_in(keys[0], _UNITS, hidden)), _delays(keys[1], _UNITS)),
            st.Connection("hidden", "out", st.Dense(draw_out(keys[2], hidden, _CLASSES))),
        ]
        if recurrent:
            matrix = st.Dense(draw(keys[3], hidden, hidden))
            connections.append(st.Connection("hidden", "hidden", matrix, _delays(keys[4], hidden)))
        network = st.Network({"in": _UNITS}, neurons, connections, ["out"])
        return st.Model(network, st.MaxMembrane("out"))

    def loss(solution: st.Solution, output: Array, label: Array) -> Array:
        # A step of Adam changes all weights alike; potentials of some tenths must then tell words apart.
        return st.state_cross_entropy(output, label, gain=10.0)

    return st.Experiment(
        name="ode/shd-like" if dataset == "shd_like" else "ode/shd",
        dataset=dataset,
        dataset_options=options,
        encoder=encoder,
        model=model,
        method=ODE(max_spikes=max_spikes),
        loss=st.Loss(loss, needs=("states",), name="state_cross_entropy"),
        trainable=("weight", "delay"),
        t1=t1,
        save=st.Save(states_at=times),
        optimiser=st.Optimiser("adam", learning_rate, rates={"delay": delay_rate}, schedule="cosine", clip_norm=1.0),
        batch_size=batch_size,
        epochs=epochs,
        summary=f"{dataset}, {hidden} {'recurrent ' if recurrent else ''}LIF neurons with delays, read from potentials",
    )


def _delays(key: PRNGKeyArray, units: int) -> st.Delay:
    value = jax.random.uniform(key, (units,), minval=1.1, maxval=20.0)
    # The least delay is the length of the slices in which the network is solved.
    return st.Delay(value, minimum=1.0, kind="axonal", positive=st.Softplus())
