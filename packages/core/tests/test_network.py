"""Networks: names and shapes are checked when a network is built."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest

import saltation as st


@pytest.fixture
def build(leaky):
    def build(**changes):
        parts = {
            "inputs": {"in": (2, 2)},
            "neurons": {"hidden": leaky(3), "out": leaky(2)},
            "connections": [
                st.Connection("in", "hidden", st.Dense(np.ones((4, 3)))),
                st.Connection("hidden", "out", st.Dense(np.ones((3, 2))), delay=st.Delay(1.0)),
            ],
            "outputs": ["out"],
        }
        return st.Network(**{**parts, **changes})

    return build


def test_sizes_and_incoming(build):
    net = build()
    assert net.inputs == {"in": (2, 2)} and net.outputs == ("out",)
    assert [net.size(name) for name in ("in", "hidden", "out")] == [4, 3, 2]
    ((position, connection),) = net.incoming("out")
    assert position == 1 and connection is net.connections[1]
    assert net.incoming("hidden")[0][0] == 0


def test_one_output_may_be_a_word(build):
    assert build(outputs="hidden").outputs == ("hidden",)


def test_stages_leave_inputs_out(build):
    assert build().stages() == (st.Stage(("hidden",), False), st.Stage(("out",), False))


def test_only_arrays_are_parameters(build):
    assert len([leaf for leaf in eqx.filter(build(), eqx.is_array).connections]) == 2
    assert sum(eqx.is_inexact_array(leaf) for leaf in [c.synapse.weight for c in build().connections]) == 2


def connect(source, target, shape, **rest):
    return st.Connection(source, target, st.Dense(np.ones(shape)), **rest)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"connections": [connect("im", "hidden", (4, 3))]}, "'im' as the source of a connection.*mean 'in'"),
        ({"connections": [connect("in", "hiden", (4, 3))]}, "'hiden' as the target.*mean 'hidden'"),
        ({"connections": [connect("hidden", "in", (3, 4))]}, "'in' as the target of a connection; expected one of"),
        ({"outputs": ["outt"]}, "'outt' as an output.*mean 'out'"),
        ({"outputs": ["nothing_like_it"]}, r"expected one of \['hidden', 'out'\]\.$"),
        (
            {"connections": [connect("in", "hidden", (3, 4))]},
            r"'in' -> 'hidden' got a synapse of shape \(3, 4\); expected \(4, 3\)",
        ),
        (
            {"connections": [connect("in", "hidden", (4, 3), delay=st.Delay(jnp.ones(5)))]},
            r"shape \(5,\) for a connection of 4 to 3 units",
        ),
        ({"neurons": {"hidden": 3, "out": 2}}, r"neurons\['hidden'\] = 3; expected a neuron, such as LIF\(30\)"),
    ],
)
def test_network_refuses(build, changes, message):
    with pytest.raises(Exception, match=message) as error:
        build(**changes)
    assert isinstance(error.value, ValueError) or "neurons" in changes  # the type checker may come first


def test_a_population_needs_a_size_and_a_name_of_its_own(build, leaky):
    with pytest.raises(ValueError, match=r"neurons\['hidden'\] without a size; give it one"):
        build(neurons={"hidden": leaky(), "out": leaky(2)})
    with pytest.raises(ValueError, match="'in' both as an input and as neurons"):
        build(neurons={"in": leaky(4), "hidden": leaky(3), "out": leaky(2)})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"synapse": np.ones((2, 2))}, "synapse of type ndarray; expected for example Dense"),
        ({"synapse": st.Dense(np.ones((2, 2))), "delay": 2.0}, "delay=2.0; expected None or Delay"),
    ],
)
def test_connection_refuses(arguments, message):
    with pytest.raises(Exception, match=message):
        st.Connection("a", "b", **arguments)
