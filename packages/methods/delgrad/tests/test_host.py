"""The passes on arrays of NumPy do what `solve` does, and are there for the networks that they say."""

import pickle

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import saltation as st
from saltation_delgrad import DelGrad, _library
from saltation_neurons import IF, LIF, AtMostOnce

pytestmark = pytest.mark.skipif(isinstance(_library.load(), str), reason="no native kernel")

T1, BATCH = 40.0, 19
NEURONS = {
    "2 to 1": LIF(tau_mem=20.0, tau_syn=10.0),
    "equal": LIF(tau_mem=10.0, tau_syn=10.0, v_leak=0.25),
    "3 to 1": LIF(tau_mem=15.0, tau_syn=5.0),
    "without a leak": IF(tau_syn=10.0),
}
DELAYS = ("none", "axonal", "dendritic", "synaptic")


def _delay(kind: str, pre: int, post: int, rng) -> st.Delay | None:
    """Kept positive in each way; of the clipped ones, some are at their minimum, and their raw numbers below."""
    if kind == "none":
        return None
    shape = {"axonal": (pre,), "dendritic": (post,), "synaptic": (pre, post)}[kind]
    positive = {"axonal": st.Softplus(2.0), "dendritic": st.Sigmoid(12.0, 0.5), "synaptic": st.Clip()}[kind]
    values = jnp.asarray(rng.uniform(1.1, 6.0, shape))
    delay = st.Delay(values, 1.0, kind=None if kind == "synaptic" else kind, positive=positive)
    return eqx.tree_at(lambda d: d.raw, delay, delay.raw - 1.0)


def _network(neuron: st.AbstractNeuron, delay: str = "none", dtype=jnp.float64) -> st.Network:
    """A chain of 5-12-3, and a branch beside it that the output does not depend on."""
    rng = np.random.default_rng(3)
    once = AtMostOnce(neuron)
    connections = []
    for source, target, pre, post in (("in", "hidden", 5, 12), ("hidden", "branch", 12, 4), ("hidden", "out", 12, 3)):
        weight = jnp.asarray(rng.normal(7.0 if pre == 5 else 4.0, 3.0, (pre, post)))
        connections.append(st.Connection(source, target, st.Dense(weight), _delay(delay, pre, post, rng)))
    neurons = {name: once.with_shape(n) for name, n in (("hidden", 12), ("branch", 4), ("out", 3))}
    network = st.Network({"in": 5}, neurons, connections, ("out",))
    return jax.tree.map(lambda x: x.astype(dtype) if eqx.is_inexact_array(x) else x, network)


def _times(dtype, batch: int = BATCH) -> np.ndarray:
    times = np.random.default_rng(4).uniform(0.0, 20.0, (batch, 5)).astype(dtype)
    times[0, 1] = np.inf
    times[-1] = np.inf  # nothing happens in this sample
    return times


def _arrays(network: st.Network) -> list[np.ndarray]:
    return [np.array(leaf) for leaf in jax.tree.leaves(eqx.filter(network, eqx.is_inexact_array))]


def _by_jax(method, network, times, cotangent):
    def first(both):
        network, times = both
        one = lambda row: method.solve(network, {"in": st.Spikes.from_dense(row)}, t1=T1).spikes["out"].first()  # noqa: E731
        return jax.vmap(one)(times)

    found, pull = eqx.filter_vjp(first, (network, jnp.asarray(times)))
    return found, [*_arrays(pull(jnp.asarray(cotangent))[0][0]), pull(jnp.asarray(cotangent))[0][1]]


@pytest.mark.parametrize("delay", DELAYS)
@pytest.mark.parametrize("neuron", NEURONS)
def test_spikes_and_gradients_are_those_of_solve(neuron, delay):
    network, times = _network(NEURONS[neuron], delay), _times(np.float64)
    passes = DelGrad().host_passes(network, population="out", t1=T1)
    assert passes is not None
    arrays = _arrays(network)
    first, kept = passes.forward(arrays, times)
    assert np.isinf(first).any() and np.isfinite(first).sum() > BATCH
    cotangent = np.random.default_rng(5).normal(size=first.shape)
    wanted, gradients = _by_jax(DelGrad(), network, times, cotangent)
    np.testing.assert_allclose(first, wanted, rtol=1e-12)
    found = passes.backward(kept, cotangent, [True] * len(gradients))
    scale = max(np.abs(gradient).max() for gradient in gradients)
    assert scale > 0.1
    for mine, gradient in zip(found, gradients, strict=True):
        assert mine.shape == gradient.shape
        np.testing.assert_allclose(mine, gradient, rtol=1e-9, atol=1e-11 * scale)


def test_float32_is_near_float64():
    exact, times = _network(NEURONS["3 to 1"], "axonal"), _times(np.float32)
    single = _network(NEURONS["3 to 1"], "axonal", jnp.float32)
    passes = DelGrad().host_passes(single, population="out", t1=T1)
    first, kept = passes.forward(_arrays(single), times)
    cotangent = np.ones_like(first)
    wanted, gradients = _by_jax(DelGrad(), exact, times.astype(np.float64), cotangent.astype(np.float64))
    np.testing.assert_allclose(first, wanted, rtol=2e-5)
    for mine, gradient in zip(passes.backward(kept, cotangent, [True] * len(gradients)), gradients, strict=True):
        assert mine.dtype == np.float32
        np.testing.assert_allclose(mine, gradient, rtol=1e-3, atol=1e-4 * np.abs(gradient).max() + 1e-12)


def test_only_what_is_wanted_of_one_sample_and_of_any_memory():
    network, times = _network(NEURONS["2 to 1"], "synaptic"), _times(np.float64, 1)
    times[:] = np.linspace(0.0, 9.0, 5)
    passes = pickle.loads(pickle.dumps(DelGrad(gradient_limit=0.05).host_passes(network, population="out", t1=T1)))
    arrays = [np.asfortranarray(array) for array in _arrays(network)]
    first, kept = passes.forward(arrays, np.repeat(times, 2, axis=1)[:, ::2])
    cotangent = np.broadcast_to(np.float64(0.5), first.shape)
    _, gradients = _by_jax(DelGrad(gradient_limit=0.05), network, times, np.array(cotangent))
    wanted = [k in (0, 5) for k in range(len(gradients))]
    found = passes.backward(kept, cotangent, wanted)
    assert len(found) == 2
    for mine, gradient in zip(found, (gradients[0], gradients[5]), strict=True):
        np.testing.assert_allclose(mine, gradient, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda arrays, times: (arrays, np.where(times > 1.0, np.nan, times)),
        lambda arrays, times: (arrays, times - 5.0),
        lambda arrays, times: ([*arrays[:-1], arrays[-1] * np.inf], times),
        lambda arrays, times: (arrays, times[:, :4]),
        lambda arrays, times: (arrays, times[:, :, None]),
        lambda arrays, times: (arrays, times.astype(np.float32)),
        lambda arrays, times: (arrays[:-1], times),
        lambda arrays, times: ([array.T for array in arrays], times),
    ],
)
def test_what_is_wrong_is_left_to_solve(spoil):
    network = _network(NEURONS["2 to 1"], "axonal")
    passes = DelGrad().host_passes(network, population="out", t1=T1)
    assert passes.forward(_arrays(network), _times(np.float64)) is not None
    assert passes.forward(*spoil(_arrays(network), _times(np.float64))) is None


def test_networks_that_are_left_to_solve():
    network = _network(NEURONS["2 to 1"])
    hidden = network.neurons["hidden"]

    def passes(network, method=DelGrad(), population="out"):
        return method.host_passes(network, population=population, t1=T1)

    def with_first(**changes):
        return st.Network({"in": 5}, network.neurons, [first(**changes), *network.connections[1:]], ("out",))

    def first(synapse=None, delay=None):
        return st.Connection("in", "hidden", synapse or network.connections[0].synapse, delay)

    assert passes(with_first()) is not None
    assert passes(network, DelGrad(kernel="jax")) is None
    assert passes(network, population="typo") is None
    assert passes(with_first(delay=st.Delay(2.0))) is None
    assert passes(with_first(delay=st.Delay(jnp.full(5, 2.0)) + st.Delay(jnp.full(12, 2.0)))) is None
    skipping = [*network.connections, st.Connection("in", "out", st.Dense(jnp.ones((5, 3))))]
    assert passes(st.Network({"in": 5}, network.neurons, skipping, ("out",))) is None
    trained = AtMostOnce(LIF(12, tau_mem=jnp.full(12, 20.0), tau_syn=10.0))
    assert passes(st.Network({"in": 5}, {**network.neurons, "hidden": trained}, network.connections, ("out",))) is None
    again = {**network.neurons, "hidden": hidden.inner}
    assert passes(st.Network({"in": 5}, again, network.connections, ("out",))) is None  # not supported at all
