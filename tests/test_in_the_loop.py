"""Chip-in-the-loop training: spikes from a backend, gradients from a method, the ordinary loop around both.

The backend computes the exact spikes on the host by means that no method uses, so everything that comes of it must
equal what the method finds by itself.
"""

import dataclasses
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import saltation as st
import saltation_train
from saltation_neurons import LIF, AtMostOnce

T1 = 8.0
TAU_MEM, TAU_SYN = 2.0, 1.0


class Layer(NamedTuple):
    """A population and the populations that it hears."""

    name: str
    size: int
    incoming: tuple[tuple[int, str], ...]


@dataclasses.dataclass(frozen=True)
class ExactProgram(st.AbstractProgram):
    """Layers of neurons that spike at most once, `tau_mem = 2 tau_syn`, a threshold of 1 and a leak of 0."""

    layers: tuple[Layer, ...]
    t1: float
    batches: list[int] = dataclasses.field(compare=False, default_factory=list)

    @property
    def health_fields(self):
        return ("silent",)

    @property
    def measured_delays(self):
        return ()

    def run(self, parameters, stimuli, key):
        (batch, _) = stimuli["in"].time.shape
        self.batches.append(batch)
        trains = {"in": [(stimuli["in"].time[b], stimuli["in"].index[b]) for b in range(batch)]}
        for layer in self.layers:
            weights = [(parameters.connections[i].synapse.weight, source) for i, source in layer.incoming]
            trains[layer.name] = [
                spikes_of_layer([(w, *trains[source][b]) for w, source in weights], self.t1) for b in range(batch)
            ]
        spikes = {
            layer.name: st.Spikes(*(np.stack(each) for each in zip(*trains[layer.name])), layer.size)
            for layer in self.layers
        }
        silent = [sum(np.isinf(trains[layer.name][b][0]).sum() for layer in self.layers) for b in range(batch)]
        return st.Observation(spikes, {"silent": np.array(silent, float)}, {})


def spikes_of_layer(incoming, t1):
    """Times and indices of one sample's spikes, sorted; `incoming` holds `(weight, time, index)`."""
    time = np.concatenate([time for _, time, _ in incoming])
    rows = np.concatenate([weight[index] for weight, _, index in incoming])
    order = np.argsort(time)
    time, rows = time[order], rows[order][np.isfinite(time[order])]
    time = time[np.isfinite(time)]
    first = np.array([first_spike(time, w, t1) for w in rows.T])
    index = np.argsort(first)
    return first[index], np.where(np.isfinite(first[index]), index, -1)


def first_spike(time, w, t1):
    """`v = A x - B x^2` with `x = exp(-t / tau_mem)` between arrivals; the larger root is where it rises through 1."""
    for k in range(len(time)):
        a = np.sum(w[: k + 1] * np.exp(time[: k + 1] / TAU_MEM))
        b = np.sum(w[: k + 1] * np.exp(time[: k + 1] / TAU_SYN))
        if a > 0 and b > 0 and a * a >= 4 * b:
            found = -TAU_MEM * np.log((a + np.sqrt(a * a - 4 * b)) / (2 * b))
            if time[k] <= found < (time[k + 1] if k + 1 < len(time) else t1):
                return found
    return np.inf


class ExactBackend(st.AbstractBackend):
    """Runs feed-forward networks of `AtMostOnce(LIF(tau_mem=2, tau_syn=1))`."""

    @property
    def capabilities(self):
        return st.Capabilities(neurons=("at_most_once",))

    def prepare(self, structure, stimulus, *, t1, max_spikes):
        if max_spikes != 1 or any(connection.delay is not None for connection in structure.connections):
            raise st.UnsupportedError("this backend has one spike a neuron and no delays; remove them.")
        return program_of(structure, t1)


PROGRAMS: dict[ExactProgram, ExactProgram] = {}


def program_of(structure, t1):
    layers = []
    for stage in structure.stages():
        (name,) = stage.populations
        incoming = tuple((i, connection.source) for i, connection in structure.incoming(name))
        layers.append(Layer(name, structure.neurons[name].size, incoming))
    program = ExactProgram(tuple(layers), t1)
    return PROGRAMS.setdefault(program, program)


def encode(x, key):
    return {"in": st.latency(x, t_min=0.15, t_max=2.0, bias=(0.1,))}


def first_spike_loss(solution, output, target):
    return st.first_spike_cross_entropy(output, target, temperature=0.2, silent=T1)


def draw_network(sizes, key):
    neuron = AtMostOnce(LIF(tau_mem=TAU_MEM, tau_syn=TAU_SYN))
    return st.feedforward(sizes, neuron, weight=st.normal(5.0, 3.0), key=key)


@pytest.fixture
def network():
    return draw_network([5, 6, 3], jax.random.key(3))


@pytest.fixture
def method():
    return st.get_method("ode")(max_spikes=1)


@pytest.fixture
def chip(method):
    PROGRAMS.clear()
    return st.InTheLoop(method, ExactBackend())


@pytest.fixture
def data():
    split = st.get_dataset("yinyang")(train_size=12).train
    return jnp.asarray(split.inputs), jnp.asarray(split.targets)


def batch_loss(method, network, data):
    def one(x, target):
        solution = method.solve(network, encode(x, None), t1=T1)
        times = solution.spikes["out"].first()
        return first_spike_loss(solution, times, target), (times, solution.stats.get("health"))

    losses, found = jax.vmap(one)(*data)
    return jnp.mean(losses), found


def test_at_the_methods_own_spikes_the_gradient_is_the_methods_own(network, method, chip, data):
    run = eqx.filter_jit(lambda m, n: eqx.filter_value_and_grad(lambda n: batch_loss(m, n, data), has_aux=True)(n))
    (expected, (times, _)), gradient = run(method, network)
    (value, (observed, _)), replayed = run(chip, network)
    assert jnp.isfinite(times).any()
    np.testing.assert_allclose(observed, times, rtol=1e-9)
    np.testing.assert_allclose(value, expected, rtol=1e-9)
    norm = max(float(jnp.abs(leaf).max()) for leaf in jax.tree.leaves(gradient))
    assert norm > 1e-3
    for got, wanted in zip(jax.tree.leaves(replayed), jax.tree.leaves(gradient), strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-6, atol=1e-9 * norm)


def test_the_solution_has_exactly_the_observed_values(network, method, data):
    stimulus = encode(data[0][0], None)
    observed = eqx.filter_jit(method.solve)(network, stimulus, t1=T1).spikes
    shifted = {name: st.Spikes(train.time + 0.01, train.index, train.size) for name, train in observed.items()}
    replayed = eqx.filter_jit(method.replay)(network, stimulus, shifted, t1=T1)
    for name, train in shifted.items():
        np.testing.assert_array_equal(replayed.spikes[name].to_dense(1), train.to_dense(1))


def test_the_backend_sees_a_batch_in_one_call_and_reports_its_health(network, chip, data):
    _, (times, health) = eqx.filter_jit(batch_loss)(chip, network, data)
    jax.block_until_ready(times)
    (program,) = PROGRAMS
    assert program.batches == [12]
    silent_outputs = np.isinf(times).sum(axis=1)
    assert health["silent"].shape == (12,) and (np.asarray(health["silent"]) >= silent_outputs).all()


def test_what_the_backend_cannot_place_is_refused(chip, data):
    neuron = AtMostOnce(LIF(tau_mem=TAU_MEM, tau_syn=TAU_SYN))
    delayed = st.feedforward([5, 3], neuron, delay="axonal", key=jax.random.key(0))
    with pytest.raises(st.UnsupportedError, match="no delays"):
        chip.solve(delayed, encode(data[0][0], None), t1=T1)


@pytest.mark.slow  # so does the recipe of the emulated chip, from the command line
def test_the_ordinary_loop_trains_it(chip, tmp_path):
    experiment = st.Experiment(
        name="in-the-loop",
        dataset="yinyang",
        dataset_options={"train_size": 90, "validation_size": 30, "test_size": 30},
        encoder=encode,
        model=lambda key: st.Model(draw_network([5, 3], key), st.FirstSpikes()),
        method=chip,
        loss=st.Loss(first_spike_loss, name="first-spike cross-entropy"),
        t1=T1,
        optimiser=st.Optimiser("adam", 0.02),
        batch_size=30,
        epochs=3,
        dtype="float64",
    )
    run = saltation_train.train(experiment, out=tmp_path, progress=False, report=False)
    first, *_, last = run.metrics
    assert last["train_loss"] < first["train_loss"] and last["failed"] == {}
    assert run.summary["method"] == "InTheLoop"
    (program,) = PROGRAMS
    assert program.batches.count(30) >= 3 * 3  # a call for each step
