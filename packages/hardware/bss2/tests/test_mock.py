"""With all effects off, the chip is the model."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import saltation as st
from saltation_bss2 import BSS2Emulator
from saltation_delgrad import DelGrad
from saltation_neurons import LIF, AtMostOnce
from saltation_ode import ODE

MOCK = BSS2Emulator(effects="none")
TAUS = {"2": (20.0, 10.0), "1": (10.0, 10.0), "any": (8.0, 12.0)}


def spikes_of(method, network, times, room=1, **stimulus):
    def one(x):
        given = {"in": st.Spikes.from_dense(x), **stimulus}
        solution = method.solve(network, given, t1=60.0)
        return {name: train.to_dense(room) for name, train in solution.spikes.items()}

    return eqx.filter_jit(jax.vmap(one))(jnp.asarray(times))


@pytest.mark.parametrize("delay", [None, "axonal"])
@pytest.mark.parametrize("ratio", TAUS)
def test_it_agrees_with_delgrad(network, times, ratio, delay):
    tau_mem, tau_syn = TAUS[ratio]
    net = network(delay=delay, neuron=AtMostOnce(LIF(tau_mem=tau_mem, tau_syn=tau_syn)))
    found = spikes_of(st.InTheLoop(DelGrad(), MOCK), net, times())
    wanted = spikes_of(DelGrad(), net, times())
    for name, expected in wanted.items():
        assert 0.3 < np.isfinite(expected).mean() < 1.0
        np.testing.assert_allclose(found[name], expected, rtol=1e-9, atol=1e-8)


def test_it_agrees_with_ode_on_neurons_that_spike_often(network, times):
    net = network(sizes=(6, 8, 3), neuron=LIF(tau_mem=20.0, tau_syn=10.0), scale=0.6)
    ode = ODE(max_spikes=16)
    found = spikes_of(st.InTheLoop(ode, MOCK, max_spikes=16), net, times(batch=12), room=16)
    wanted = spikes_of(ode, net, times(batch=12), room=16)
    assert max(np.isfinite(train).sum(axis=2).max() for train in wanted.values()) >= 3
    for name, expected in wanted.items():
        np.testing.assert_allclose(found[name], expected, rtol=1e-7, atol=1e-7)


def test_a_bias_current_and_potentials_of_any_scale(times):
    """A leak, a threshold and a reset that are not 0, 1 and 0; a constant current; one-to-one synapses."""
    neuron = AtMostOnce(LIF(3, tau_mem=20.0, tau_syn=10.0, v_leak=-60.0, v_threshold=-50.0, v_reset=-62.0))
    connections = [
        st.Connection("in", "out", st.Dense(jnp.asarray(20.0 * np.random.RandomState(0).rand(3, 3)))),
        st.Connection("in", "out", st.OneToOne(3, jnp.array([5.0, -30.0, 60.0])), st.Delay(2.5)),
        st.Connection("bias", "out", st.Dense(jnp.array([[6.0, 11.0, 0.0]]))),
    ]
    net = st.Network({"in": 3, "bias": 1}, {"out": neuron}, connections, ["out"])
    current = st.Current(jnp.ones(1))
    found = spikes_of(st.InTheLoop(DelGrad(), MOCK), net, times(inputs=3), bias=current)["out"]
    wanted = spikes_of(DelGrad(), net, times(inputs=3), bias=current)["out"]
    assert 0.5 < np.isfinite(wanted).mean()
    np.testing.assert_allclose(found, wanted, rtol=1e-9, atol=1e-8)


def test_the_gradient_in_its_loop_is_the_method_s_own(network, times):
    net = network(delay="axonal")

    def loss(net, method, x):
        out = method.solve(net, {"in": st.Spikes.from_dense(x)}, t1=60.0).spikes["out"].first()
        return jnp.sum(jnp.where(jnp.isfinite(out), out, 0.0))

    @eqx.filter_jit
    def gradient(method):
        return jax.vmap(lambda x: eqx.filter_grad(loss)(net, method, x))(jnp.asarray(times()))

    found, wanted = gradient(st.InTheLoop(DelGrad(), MOCK)), gradient(DelGrad())
    for got, expected in zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True):
        assert np.abs(expected).max() > 0
        np.testing.assert_allclose(got, expected, rtol=1e-6, atol=1e-9)


def test_the_clock_of_the_chip_does_not_matter_to_the_mock(network, times, measure, first):
    fast = measure(BSS2Emulator(effects="none", microseconds=0.6), network(), times(), key=None)
    slow = measure(MOCK, network(), times(), key=None)
    np.testing.assert_allclose(first(fast), first(slow), rtol=1e-9)
