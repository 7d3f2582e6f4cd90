"""Recipes of small tasks that ask for a mechanism: a dendrite, a memory, an analogue output. Times are in ms."""

import diffrax
import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray

import saltation as st

from ._ode import ODE

_PORTS = ("current", "recurrent", "update", "reset")


def dendritic_xor(
    *,
    epochs: int = 60,
    batch_size: int = 4,
    learning_rate: float = 0.02,
    temperature: float = 10.0,
    existence: float = 2.0,
    step: float = 1.0,
) -> st.Experiment:
    """The exclusive or in a single neuron: it spikes before a deadline if exactly one of its two inputs is active.

    An active input sends a spike every 4 ms to the dendrite, whose action potentials are the weaker the stronger it is
    driven: one input makes the soma spike, and both together do not. It starts silent, since even one input is too
    strong at first. Gidon et al., Science 367 (2020).

    **Arguments:** `temperature` of the loss in ms; `existence`: strength of the pull towards the threshold while it is
    silent; `step` of the solver.
    """
    once = st.get_neuron("at_most_once")(st.get_neuron("dendritic_lif")(1))
    ticks = jnp.arange(2.0, 60.0, 4.0)
    deadline, t1 = 50.0, 80.0

    def encoder(x: Array, key: PRNGKeyArray) -> st.Stimulus:
        times = jnp.where(x[:, None] > 0.5, ticks.astype(x.dtype)[None, :], jnp.inf)
        return {"in": st.Spikes.from_dense(times)}

    def model(key: PRNGKeyArray) -> st.Model:
        weight = jax.random.uniform(key, (2, 1), minval=0.9, maxval=1.3)
        connection = st.Connection("in", "out", st.Dense(weight), port="dendrite")
        return st.Model(st.Network({"in": 2}, {"out": once}, [connection], ["out"]), st.SpikesBefore(deadline, t1))

    def loss(solution: st.Solution, output: Array, label: Array) -> Array:
        return st.first_spike_cross_entropy(output, label, temperature=temperature, silent=t1)

    def regulariser(network: st.Network, solution: st.Solution) -> Array:
        return st.existence(network, solution, strength=existence)

    return st.Experiment(
        name="ode/dendritic-xor",
        dataset="xor",
        encoder=encoder,
        model=model,
        method=ODE(max_spikes=1, solver=diffrax.Bosh3(), step=step),
        loss=st.Loss(loss, needs=("spikes",), name="first_spike_cross_entropy"),
        regulariser=regulariser if existence else None,
        t1=t1,
        save=st.Save(states_at=jnp.linspace(5.0, t1, 16)),
        optimiser=st.Optimiser("adam", learning_rate, schedule="cosine"),
        batch_size=batch_size,
        epochs=epochs,
        summary="exclusive or in one neuron with an active dendrite, first-spike cross-entropy",
    )


def delayed_xor(
    *,
    hidden: int = 24,
    epochs: int = 60,
    batch_size: int = 50,
    learning_rate: float = 0.02,
    max_spikes: int = 12,
    step: float = 2.0,
) -> st.Experiment:
    """The delayed-memory exclusive or: two bits, 20 to 60 ms apart, by recurrent gated units; read from their states.

    A bit is a spike of one of two inputs. The gated units remember the first one while their update gates are closed,
    and feed back to each other with delays.

    **Arguments:** `max_spikes` of each unit; `step` of the solver.
    """
    t1, first, feedback = 100.0, 5.0, 2.0

    def encoder(x: Array, key: PRNGKeyArray) -> st.Stimulus:
        times = jnp.stack([jnp.asarray(first, x.dtype), first + x[2]])
        sent = x[:2][None, :] == jnp.arange(2, dtype=x.dtype)[:, None]  # [value, which bit]
        return {"in": st.Spikes.from_dense(jnp.where(sent, times[None, :], jnp.inf))}

    def model(key: PRNGKeyArray) -> st.Model:
        keys = jax.random.split(key, 2 * len(_PORTS) + 1)
        units = st.get_neuron("egru")(
            hidden,
            v_threshold=0.3,
            b_update=jnp.full(hidden, -2.0),
            b_reset=jnp.zeros(hidden),
            b_candidate=jnp.zeros(hidden),
        )
        draw_in, draw = st.normal(0.0, 6.0), st.normal(0.0, 2.0)
        connections = [
            st.Connection("in", "memory", st.Dense(draw_in(k, 2, hidden)), port=port)
            for port, k in zip(_PORTS, keys, strict=False)
        ]
        connections += [
            st.Connection(
                "memory", "memory", st.Dense(draw(k, hidden, hidden)), st.Delay(feedback, minimum=feedback), port
            )
            for port, k in zip(_PORTS, keys[len(_PORTS) :], strict=False)
        ]
        network = st.Network({"in": 2}, {"memory": units}, connections, ["memory"])
        return st.Model(network, st.Linear(st.StateAt("memory"), hidden, 2, key=keys[-1]))

    def loss(solution: st.Solution, output: Array, label: Array) -> Array:
        return st.state_cross_entropy(output, label)

    return st.Experiment(
        name="ode/delayed-xor",
        dataset="delayed_xor",
        encoder=encoder,
        model=model,
        method=ODE(max_spikes=max_spikes, solver=diffrax.Bosh3(), step=step),
        loss=st.Loss(loss, needs=("states",), name="state_cross_entropy"),
        trainable=("weight", "bias", "b_update", "b_reset", "b_candidate"),
        t1=t1,
        save=st.Save(states_at=jnp.array([t1])),
        optimiser=st.Optimiser("adam", learning_rate, schedule="cosine", clip_norm=1.0),
        batch_size=batch_size,
        epochs=epochs,
        summary=f"delayed-memory exclusive or, {hidden} recurrent gated units, read from their states",
    )


def regression(
    *,
    hidden: int = 50,
    epochs: int = 100,
    batch_size: int = 50,
    learning_rate: float = 0.01,
    max_spikes: int = 10,
) -> st.Experiment:
    """A sine as a function of spike times: the membrane potential of an output that does not spike, at the end.

    The number and its counterpart to 1 are the times of two input spikes; the score is the mean squared error. What is
    read is a sum of post-synaptic potentials, each a function of the time of a hidden spike.
    """
    lif = st.get_neuron("lif")
    neurons = [lif(tau_mem=20.0, tau_syn=10.0), lif(tau_mem=20.0, tau_syn=10.0, v_threshold=1e6)]
    # Soon after the last input, while what early spikes left decays and what late ones leave still rises: later on all
    # of it is much the same decay, of which sums hardly make a sine.
    t1 = 35.0

    def encoder(x: Array, key: PRNGKeyArray) -> st.Stimulus:
        return {"in": st.latency(jnp.concatenate([x, 1.0 - x]), t_min=1.0, t_max=30.0, bias=(0.0, 15.0))}

    def model(key: PRNGKeyArray) -> st.Model:
        weights = [st.normal(8.0, 5.0), st.normal(0.0, 2.0)]
        return st.Model(st.feedforward([4, hidden, 1], neurons, weight=weights, key=key), st.StateAt("out"))

    def loss(solution: st.Solution, output: Array, target: Array) -> Array:
        return st.squared_error(output, target)

    return st.Experiment(
        name="ode/regression",
        dataset="sine",
        encoder=encoder,
        model=model,
        method=ODE(max_spikes=max_spikes),
        loss=st.Loss(loss, needs=("states",), name="squared_error"),
        t1=t1,
        save=st.Save(states_at=jnp.array([t1])),
        optimiser=st.Optimiser("adam", learning_rate, schedule="cosine", clip_norm=1.0),
        batch_size=batch_size,
        epochs=epochs,
        summary=f"a sine, {hidden} hidden LIF neurons, read from a membrane potential",
    )
