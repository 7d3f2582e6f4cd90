"""A network that goes through a file of NIR comes back as the same network."""

import jax.numpy as jnp
import nir
import numpy as np
import pytest

import saltation as st
from saltation_neurons import IF, LIF
from saltation_nir import from_nir, to_nir

WEIGHT = np.random.default_rng(0).uniform(5.0, 15.0, (3, 4))
KERNEL = np.random.default_rng(1).uniform(0.5, 2.0, (3, 3, 2, 2))


def one_layer(neuron, synapse=None, delay=None, inputs=3, bias=None):
    extra = [] if bias is None else [st.Connection("bias", "hidden", st.Dense(bias))]
    synapse = st.Dense(WEIGHT) if synapse is None else synapse
    connections = [st.Connection("in", "hidden", synapse, delay), *extra]
    return st.Network(
        {"in": inputs} | ({} if bias is None else {"bias": 1}), {"hidden": neuron}, connections, ["hidden"]
    )


def recurrent():
    cycle = st.Connection("hidden", "hidden", st.Dense(-WEIGHT[:, :3]), st.Delay(1.5))
    return st.Network(
        {"in": 3},
        {"hidden": LIF(3, tau_syn=4.0)},
        [st.Connection("in", "hidden", st.Dense(WEIGHT[:, :3])), cycle],
        ["hidden"],
    )


def images():
    """A convolution, pooling, and all of it into three neurons."""
    conv = st.Conv2d(KERNEL, (4, 4, 2), padding=1)
    flat = np.random.default_rng(2).normal(size=(8, 3))
    into = st.Chain(st.AvgPool2d((4, 4, 2)), st.Dense(flat))
    neurons = {"maps": LIF((4, 4, 2), tau_syn=None), "out": LIF(3, tau_syn=5.0)}
    connections = [st.Connection("in", "maps", conv), st.Connection("maps", "out", into)]
    return st.Network({"in": (4, 4, 2)}, neurons, connections, ["out"])


NETWORKS = {
    "current-based": lambda: one_layer(LIF(4, tau_mem=15.0, tau_syn=5.0, v_leak=-0.2, v_reset=-0.5)),
    "delta synapses": lambda: one_layer(LIF(4, tau_syn=None, tau_mem=jnp.array([10.0, 12.0, 15.0, 20.0]))),
    "no leak": lambda: one_layer(IF(4, tau_syn=None, c_mem=2.0, v_threshold=20.0)),
    "axonal delay": lambda: one_layer(LIF(4), delay=st.Delay(jnp.array([1.0, 2.0, 0.5]))),
    "both delays": lambda: one_layer(LIF(4), delay=st.Delay(2.0) + st.Delay(jnp.array([1.0, 2.0, 0.5, 0.1]))),
    "scale": lambda: one_layer(LIF(3), st.OneToOne(3, jnp.array([9.0, 12.0, 8.0]))),
    "recurrent": recurrent,
    "images": images,
}


def same(network: st.Network, again: st.Network) -> None:
    """The same populations, and the same effect of every spike, as late."""
    assert again.inputs == network.inputs
    assert again.outputs == network.outputs
    for name, neuron in network.neurons.items():
        read = again.neurons[name]
        assert read.shape == neuron.shape and read.reset_mode == "value"
        state = neuron.init()._replace(i=jnp.zeros(neuron.shape) if neuron.tau_syn is None else jnp.ones(neuron.shape))
        flows = [n.vector_field(jnp.zeros(()), state, jnp.zeros(n.shape)) for n in (neuron, read)]
        np.testing.assert_allclose(flows[0].v, flows[1].v, rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(flows[0].i, flows[1].i, rtol=1e-9)
        for field in ("v_threshold", "v_reset"):
            np.testing.assert_allclose(getattr(read, field), getattr(neuron, field))
    for before, after in zip(sorted(network.connections, key=key), sorted(again.connections, key=key), strict=True):
        pre, post = before.synapse.sizes()
        assert (before.source, before.target) == (after.source, after.target)
        charge = [jumps(network, before, pre), jumps(again, after, pre)]
        np.testing.assert_allclose(charge[0], charge[1], rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(delays(before, pre, post), delays(after, pre, post), atol=1e-12)


def key(connection):
    return connection.source, connection.target


def jumps(network, connection, pre):
    """What one spike of each source does to `v` and `i` of the targets: the weight alone depends on the capacitance."""
    neuron = network.neurons[connection.target]
    state = neuron.init()
    found = []
    for unit in range(min(pre, 12)):
        kick = connection.synapse.kick(jnp.asarray(unit, jnp.int32)).reshape(neuron.shape)
        after = neuron.receive(state, kick.astype(state.v.dtype), "current")
        found.append(np.stack([after.v - state.v, after.i - state.i]))
    return np.array(found)


def delays(connection, pre, post):
    parts = st.DelayParts() if connection.delay is None else st.DelayParts.of(connection.delay, pre, post)
    source = np.zeros(pre) if parts.source is None else np.asarray(parts.source)
    target = np.zeros(post) if parts.target is None else np.asarray(parts.target)
    return source[:, None] + target[None, :]


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_comes_back_from_a_file(tmp_path, name):
    network = NETWORKS[name]()
    nir.write(tmp_path / "net.nir", to_nir(network, time_unit=1e-3, dt=1e-4))
    same(network, from_nir(tmp_path / "net.nir", time_unit=1e-3).network)
    assert isinstance(nir.read(tmp_path / "net.nir"), nir.NIRGraph)


def test_units_of_time_are_converted(tmp_path):
    graph = to_nir(one_layer(LIF(4, tau_mem=20.0, tau_syn=5.0), delay=st.Delay(2.0)), time_unit=1e-3)
    node = graph.nodes["hidden"]
    np.testing.assert_allclose(node.tau_mem, 0.02)
    read = from_nir(graph, time_unit=1e-6).network
    assert read.neurons["hidden"].tau_mem == pytest.approx(20_000.0)
    assert read.connections[0].delay.value == pytest.approx(2000.0)


def test_a_bias_comes_back_as_a_constant_current():
    network = one_layer(LIF(4, tau_syn=None), bias=np.array([[0.5, 0.0, 1.5, -0.3]]))
    graph = to_nir(network, time_unit=1e-3, dt=1e-3, bias={"bias": st.Current(jnp.array([2.0]))})
    read = from_nir(graph, time_unit=1e-3)
    (into,) = [connection for connection in read.network.connections if connection.source == "bias"]
    np.testing.assert_allclose(into.synapse.apply(read.bias["bias"].value), [1.0, 0.0, 3.0, -0.6])


def test_a_bias_of_a_current_based_neuron_rises_with_its_synapse(spike_times):
    # tau_syn dI/dt = -I + 3 from I = 0 and tau_mem dv/dt = -v + I, by Euler.
    graph = nir.NIRGraph(
        {
            "input": nir.Input(np.array([1])),
            "affine": nir.Affine(np.zeros((1, 1)), np.array([3.0])),
            "out": nir.CubaLIF(*[np.full(1, value) for value in (0.02, 0.01, 1.0, 0.0, 1.0)]),
            "output": nir.Output(np.array([1])),
        },
        [("input", "affine"), ("affine", "out"), ("out", "output")],
    )
    read = from_nir(graph, time_unit=1e-3, dt=1e-3)
    stimulus = {"input": st.Spikes.empty(1), **read.bias}
    (times,) = spike_times(read.network, stimulus, t1=40.0, room=6, initial=read.initial)["out"]
    step, i, v, wanted = 1e-3, 0.0, 0.0, []
    for k in range(40_000):
        i, v = i + step * (3.0 - i) / 20.0, v + step * (i - v) / 10.0
        if v > 1.0:
            wanted.append(k * step)
            v = 0.0
    np.testing.assert_allclose(times, wanted, atol=0.02)


def test_scalars_of_a_layer_stand_for_all_of_its_neurons():
    value = lambda number: np.array(number)  # noqa: E731
    graph = nir.NIRGraph(
        {
            "input": nir.Input(np.array([3])),
            "linear": nir.Linear(WEIGHT.T),
            "out": nir.LIF(value(0.02), value(1.0), value(0.0), value(1.0)),
            "output": nir.Output(np.array([4])),
        },
        [("input", "linear"), ("linear", "out"), ("out", "output")],
        type_check=False,
    )
    neuron = from_nir(graph, time_unit=1e-3, dt=1e-3).network.neurons["out"]
    assert neuron.shape == (4,) and neuron.tau_mem == pytest.approx(20.0)


def test_the_converters_are_registered():
    assert st.get_converter("nir") is to_nir
    assert st.get_converter("from_nir") is from_nir
