"""Builders: the networks people build most often."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import saltation as st


def test_feedforward_names_and_sizes(leaky, getkey):
    net = st.feedforward([(2, 3), 5, 4, 3], leaky(), key=getkey())
    assert list(net.inputs) == ["in"] and net.outputs == ("out",)
    assert [(c.source, c.target) for c in net.connections] == [
        ("in", "hidden1"),
        ("hidden1", "hidden2"),
        ("hidden2", "out"),
    ]
    assert [net.size(name) for name in ("in", "hidden1", "hidden2", "out")] == [6, 5, 4, 3]
    assert all(connection.delay is None for connection in net.connections)


def test_one_layer_is_the_output(leaky, getkey):
    net = st.feedforward([4, 2], leaky(), key=getkey())
    assert list(net.neurons) == ["out"]


def test_one_neuron_and_one_initialiser_for_each_layer(leaky, getkey):
    zero, one = st.normal(0.0, 0.0), st.normal(1.0, 0.0)
    net = st.feedforward([4, 3, 2], [leaky(tau_mem=1.0), leaky(tau_mem=2.0)], weight=[zero, one], key=getkey())
    assert [net.neurons[name].tau_mem for name in ("hidden1", "out")] == [1.0, 2.0]
    np.testing.assert_array_equal(net.connections[0].synapse.weight, np.zeros((4, 3)))
    np.testing.assert_allclose(net.connections[1].synapse.weight, np.full((3, 2), 1 / 3))


@pytest.mark.parametrize(
    ("kind", "shape"), [("scalar", ()), ("axonal", (4,)), ("dendritic", (4,)), ("synaptic", (4, 4))]
)
def test_delays_are_trainable_and_near_their_mean(leaky, getkey, kind, shape):
    net = st.feedforward([4, 4], leaky(), delay=kind, initial_delay=3.0, key=getkey())
    delay = net.connections[0].delay
    assert delay.raw.shape == shape
    assert ((delay.value >= 1.5 - 1e-9) & (delay.value <= 4.5 + 1e-9)).all()
    parts = {"scalar": "per_source", "axonal": "per_source", "dendritic": "per_target", "synaptic": "per_synapse"}
    assert getattr(delay, parts[kind])(4, 4) is not None
    assert st.trainable(net, "delay").connections[0].delay.raw is True


def test_keys_decide_everything(leaky):
    one, same, other = (st.feedforward([4, 3], leaky(), delay="axonal", key=jax.random.key(n)) for n in (0, 0, 1))
    np.testing.assert_array_equal(one.connections[0].synapse.weight, same.connections[0].synapse.weight)
    assert (one.connections[0].synapse.weight != other.connections[0].synapse.weight).all()
    assert (one.connections[0].delay.raw != other.connections[0].delay.raw).all()


def test_normal_scales_with_the_fan_in(getkey):
    weight = st.normal(2.0, 3.0)(getkey(), 400, 500)
    np.testing.assert_allclose(weight.mean(), 2.0 / 400, atol=4 * 3 / 20 / np.sqrt(weight.size))
    np.testing.assert_allclose(weight.std(), 3.0 / np.sqrt(400), rtol=0.01)


@pytest.mark.parametrize(
    ("sizes", "arguments", "message"),
    [
        ([3], {}, r"sizes=\[3\]; expected at least two"),
        ([3, 2], {"delay": "axonl"}, "delay='axonl'; expected None or one of"),
        ([3, 2], {"weight": [st.normal(0.0, 1.0)] * 2}, "2 of weight for 1 layers; expected one, or 1"),
    ],
)
def test_feedforward_refuses(leaky, sizes, arguments, message):
    with pytest.raises(ValueError, match=message):
        st.feedforward(sizes, leaky(), key=jax.random.key(0), **arguments)


def test_recurrent_connects_everything(leaky, getkey):
    net = st.recurrent(4, {"a": leaky(3), "b": leaky(2)}, delay=2.0, key=getkey())
    pairs = [(c.source, c.target) for c in net.connections]
    assert sorted(pairs) == [("a", "a"), ("a", "b"), ("b", "a"), ("b", "b"), ("in", "a"), ("in", "b")]
    for connection in net.connections:
        if connection.source == "in":
            assert connection.delay is None
        else:
            assert connection.delay.value == 2.0 and connection.delay.minimum == 2.0
    assert net.outputs == ("a", "b")
    assert st.recurrent(4, {"a": leaky(3), "b": leaky(2)}, outputs=["b"], key=getkey()).outputs == ("b",)
    assert all(c.delay is None for c in st.recurrent(4, {"a": leaky(3)}, key=getkey()).connections)
    assert net.stages() == (st.Stage(("a", "b"), True),)


def test_prototypes_keep_their_parameters(leaky, getkey):
    net = st.feedforward([2, 3], leaky(tau_mem=jnp.array(7.0)), key=getkey())
    assert net.neurons["out"].tau_mem == 7.0 and net.neurons["out"].shape == (3,)
