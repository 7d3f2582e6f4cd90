"""What NIR or Saltation cannot say, and files that are broken, are refused by name."""

import jax
import jax.numpy as jnp
import nir
import numpy as np
import pytest

import saltation as st
from saltation_neurons import IF, LIF, QIF, AtMostOnce, Refractory
from saltation_nir import from_nir, read_graph, to_nir


def layer(neuron, synapse=None, delay=None, port="current"):
    synapse = st.Dense(jnp.ones((3, neuron.size))) if synapse is None else synapse
    return st.Network({"in": 3}, {"out": neuron}, [st.Connection("in", "out", synapse, delay, port)], ["out"])


UNSAYABLE = {
    "soft reset": (lambda: layer(LIF(2, tau_syn=None, reset_mode="subtract")), "soft reset"),
    "soft reset, current": (lambda: layer(LIF(2, reset_mode="subtract")), "soft reset"),
    "qif": (lambda: layer(QIF(2)), "QIF is none of its neurons"),
    "refractory": (lambda: layer(Refractory(LIF(2), 2.0)), "Refractory"),
    "at most once": (lambda: layer(AtMostOnce(LIF(2))), "at most one spike a trial"),
    "current-based if": (lambda: layer(IF(2)), "without a leak has delta synapses"),
    "synaptic delays": (lambda: layer(LIF(2), delay=st.Delay(jnp.ones((3, 2)))), "a delay of each synapse's own"),
    "transposed": (
        lambda: st.Network(
            {"in": (2, 2, 1)},
            {"out": LIF((4, 4, 1))},
            [st.Connection("in", "out", st.ConvTranspose2d(jnp.ones((2, 2, 1, 1)), (2, 2, 1)))],
            ["out"],
        ),
        "ConvTranspose2d",
    ),
}


@pytest.mark.parametrize("name", UNSAYABLE)
def test_what_nir_cannot_say_is_named(name):
    network, reason = UNSAYABLE[name]
    with pytest.raises(st.UnsupportedError, match=reason):
        to_nir(network(), time_unit=1e-3)


def graph(middle, size=2, metadata=None):
    nodes = {
        "input": nir.Input(np.array([size])),
        "node": middle,
        "out": lif(size),
        "output": nir.Output(np.array([size])),
    }
    edges = [("input", "node"), ("node", "out"), ("out", "output")]
    return nir.NIRGraph(nodes, edges, metadata or {}, type_check=False)


def lif(size):
    return nir.LIF(*[np.full(size, value) for value in (0.02, 1.0, 0.0, 1.0)])


UNREADABLE = {
    "read-out": (nir.LI(*[np.ones(2)] * 3), "'node' is a LI.*st.Membrane"),
    "threshold": (nir.Threshold(np.ones(2)), "'node' is a Threshold"),
    "sizes": (nir.Linear(np.ones((2, 5))), "a weight for 5 units after 2"),
}


@pytest.mark.parametrize("name", UNREADABLE)
def test_what_a_network_cannot_say_is_named(name):
    node, reason = UNREADABLE[name]
    with pytest.raises(ValueError, match=reason):
        from_nir(graph(node), time_unit=1e-3, dt=1e-3)


def test_without_a_step_the_graph_is_refused():
    with pytest.raises(ValueError, match="dt=1e-4 for snnTorch"):
        from_nir(graph(nir.Scale(np.ones(2))), time_unit=1e-3)


@pytest.mark.parametrize("wrong", [{"time_unit": 0.0}, {"time_unit": 1e-3, "dt": -1.0}, {"time_unit": float("nan")}])
def test_units_must_be_positive(wrong):
    with pytest.raises(ValueError, match="expected a positive number"):
        to_nir(layer(LIF(2)), **wrong)


def test_an_edge_to_nowhere_is_named():
    found = graph(nir.Scale(np.ones(2)))
    found.edges.append(("node", "nobody"))
    with pytest.raises(ValueError, match="no node 'nobody'"):
        from_nir(found, time_unit=1e-3, dt=1e-3)


def test_delays_between_linear_maps_must_be_the_same():
    nodes = {
        "input": nir.Input(np.array([2])),
        "first": nir.Linear(np.ones((2, 2))),
        "wait": nir.Delay(np.array([1e-3, 2e-3])),
        "second": nir.Linear(np.ones((2, 2))),
        "out": lif(2),
        "output": nir.Output(np.array([2])),
    }
    names = list(nodes)
    found = nir.NIRGraph(nodes, list(zip(names[:-1], names[1:], strict=True)))
    with pytest.raises(st.UnsupportedError, match="in the middle of linear maps"):
        from_nir(found, time_unit=1e-3, dt=1e-3)
    nodes["wait"].delay[:] = 2e-3
    assert from_nir(found, time_unit=1e-3, dt=1e-3).network.connections[0].delay.value == pytest.approx(2.0)


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "net.nir"
    nir.write(path, to_nir(st.feedforward([3, 4], LIF(tau_syn=5.0), key=jax.random.key(0)), time_unit=1e-3))
    return path


@pytest.mark.parametrize("share", [0.0, 0.3, 0.7, 0.99])
def test_a_truncated_file_is_refused(file, share):
    content = file.read_bytes()
    file.write_bytes(content[: int(share * len(content))])
    with pytest.raises(st.DataError, match="net.nir: got a file that"):
        read_graph(file)


def test_a_missing_file_and_another_format_are_refused(tmp_path):
    with pytest.raises(st.DataError, match="no such file"):
        read_graph(tmp_path / "nothing.nir")
    (tmp_path / "text.nir").write_text("weights: 3")
    with pytest.raises(st.DataError, match="of another format"):
        read_graph(tmp_path / "text.nir")


def test_unknown_nodes_of_a_file_are_named(file):
    import h5py

    with h5py.File(file, "r+") as content:
        del content["node/nodes/out/type"]
        content["node/nodes/out/type"] = "AdExLIF"
    with pytest.raises(st.UnsupportedError, match="'out' is a 'AdExLIF'"):
        read_graph(file)


def test_a_file_without_a_graph_is_refused(tmp_path):
    import h5py

    with h5py.File(tmp_path / "other.nir", "w") as content:
        content["numbers"] = np.arange(3)
    with pytest.raises(st.DataError, match="cannot read"):
        read_graph(tmp_path / "other.nir")
