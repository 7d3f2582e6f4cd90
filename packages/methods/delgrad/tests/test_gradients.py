"""Gradients by everything that can be trained, limits to them, and what is refused."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import saltation as st
from saltation_delgrad import DelGrad
from saltation_neurons import IF, LIF, AtMostOnce
from saltation_testing import check_gradient

TIMES = jnp.array([1.0, 4.0, 9.0, 2.5])
SCALE = np.random.default_rng(0).normal(1.0, 0.3, (4, 5))


def _network(neuron, delay):
    """Five neurons of one kind, each with constants, a current and delays of its own."""
    return st.Network(
        {"in": 4, "drive": 1},
        {"out": neuron},
        [
            st.Connection("in", "out", st.Dense(jnp.asarray(SCALE)), delay),
            st.Connection("drive", "out", st.Dense(jnp.linspace(-0.1, 0.3, 5)[None, :])),
        ],
        ["out"],
    )


def _arrays(**constants):
    return {name: jnp.asarray(value) * jnp.linspace(0.9, 1.1, 5) for name, value in constants.items()}


NETWORKS = {
    "known time constants": lambda: _network(
        AtMostOnce(LIF(5, tau_mem=8.0, tau_syn=5.0, **_arrays(v_threshold=1.0), v_leak=jnp.array(0.1))),
        st.Delay(jnp.linspace(0.5, 1.0, 4)) + st.Delay(jnp.linspace(0.1, 0.9, 5)),
    ),
    "leaky": lambda: _network(
        AtMostOnce(LIF(5, **_arrays(tau_mem=8.0, tau_syn=5.0, v_threshold=1.0), v_leak=jnp.array(0.1))),
        st.Delay(jnp.linspace(0.5, 1.0, 4)) + st.Delay(jnp.linspace(0.1, 0.9, 5)),
    ),
    "without a leak": lambda: _network(
        AtMostOnce(IF(5, **_arrays(c_mem=8.0, tau_syn=5.0, v_threshold=1.0))),
        st.Delay(jnp.asarray(0.2 + 0.1 * np.arange(20.0).reshape(4, 5))),
    ),
}


def _total(solution):
    first = solution.spikes["out"].first()
    fires = jnp.isfinite(first)
    return jnp.sum(jnp.where(fires, jnp.where(fires, first, 0.0) * jnp.arange(1.0, 6.0), 0.0)), fires


@eqx.filter_jit
def _value_and_gradient(at, method=DelGrad()):
    def value(at):
        network, times = at
        stimulus = {"in": st.Spikes.from_dense(times), "drive": st.Current(jnp.ones(1))}
        return _total(method.solve(network, stimulus, t1=40.0, throw=False))

    return eqx.filter_value_and_grad(value, has_aux=True)(at)


@pytest.mark.parametrize("kind", NETWORKS)
def test_gradients_match_central_differences(kind, kernel):
    if kind != "known time constants" and kernel == "native":
        pytest.skip("time constants that are arrays are for plain JAX")
    at, method = (NETWORKS[kind](), TIMES), DelGrad(kernel=kernel)
    (_, fires), gradient = _value_and_gradient(at, method)
    assert fires.sum() >= 4
    check_gradient(lambda at: _value_and_gradient(at, method)[0], gradient, at, rtol=1e-6)
    slopes = [np.abs(leaf).max() for leaf in jax.tree.leaves(gradient)]
    # All but the reset, which a neuron that spikes once never sees.
    assert sum(slope > 0 for slope in slopes) == len(slopes)


def test_a_limit_takes_the_weights_of_single_neurons_out_and_nothing_else():
    neuron = AtMostOnce(LIF(5, tau_mem=20.0, tau_syn=10.0, v_threshold=jnp.array(0.8)))
    at = _network(neuron, st.Delay(jnp.linspace(0.5, 1.0, 4))), TIMES
    weight = lambda network: network.connections[0].synapse.weight  # noqa: E731
    _, (exact, exact_times) = _value_and_gradient(at)
    steepest = np.abs(weight(exact)).max(axis=0)
    limit = float(np.median(steepest[steepest > 0]))
    _, (limited, limited_times) = _value_and_gradient(at, DelGrad(gradient_limit=limit))
    np.testing.assert_array_equal(weight(limited), np.where(steepest <= limit, weight(exact), 0.0))
    np.testing.assert_array_equal(limited_times, exact_times)
    np.testing.assert_array_equal(limited.neurons["out"].inner.v_threshold, exact.neurons["out"].inner.v_threshold)
    # Each sample is limited before the batch is summed.
    both = eqx.filter_jit(eqx.filter_grad(lambda w: jnp.sum(_batch(at[0], w, limit))))(weight(at[0]))
    np.testing.assert_allclose(both, 2 * weight(limited), rtol=1e-12)


def _batch(network, weight, limit):
    network = eqx.tree_at(lambda n: n.connections[0].synapse.weight, network, weight)
    stimulus = {"in": st.Spikes.from_dense(TIMES), "drive": st.Current(jnp.ones(1))}
    batch = jax.tree.map(lambda x: jnp.stack([x, x]), stimulus)
    return jax.vmap(lambda s: _total(DelGrad(gradient_limit=limit).solve(network, s, t1=40.0, throw=False))[0])(batch)


def test_forward_mode_is_refused():
    with pytest.raises(TypeError, match="forward-mode"):
        jax.jvp(lambda w: _batch(NETWORKS["leaky"](), w, None), (jnp.asarray(SCALE),), (jnp.asarray(SCALE),))


def test_an_arrival_at_the_spike_comes_after_it():
    connection = st.Connection("in", "out", st.Dense(jnp.asarray(SCALE[:, :1])))
    neuron = AtMostOnce(LIF(1, tau_mem=20.0, tau_syn=10.0, v_threshold=0.4))
    network = st.Network({"in": 4}, {"out": neuron}, [connection], ["out"])

    @jax.jit
    def solve(times):
        return DelGrad().solve(network, {"in": st.Spikes.from_dense(times)}, t1=40.0, throw=False)

    alone = jnp.where(jnp.arange(4) == 2, jnp.inf, TIMES)
    first = solve(alone).spikes["out"].first()
    met = alone.at[2].set(first[0])
    assert solve(met).spikes["out"].first()[0] == first[0]
    gradient = jax.grad(lambda times: solve(times).spikes["out"].first()[0])(met)
    assert gradient[2] == 0.0 and gradient[0] > 0.0
