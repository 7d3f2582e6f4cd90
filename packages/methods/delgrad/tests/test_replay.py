"""Gradients at spike times that something else produced."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import saltation as st
from saltation_delgrad import DelGrad
from saltation_neurons import LIF, AtMostOnce

TAU_MEM, TAU_SYN = 20.0, 10.0
ARRIVALS, WEIGHT = np.array([1.0, 3.0]), np.array([[1.5, 0.2], [1.0, -0.5]])
STIMULUS = {"in": st.Spikes.from_dense(jnp.asarray(ARRIVALS))}


def _network(weight):
    neuron = AtMostOnce(LIF(2, tau_mem=TAU_MEM, tau_syn=TAU_SYN))
    return st.Network({"in": 2}, {"out": neuron}, [st.Connection("in", "out", st.Dense(weight))], ["out"])


@eqx.filter_jit
def _replayed(weight, observed):
    def value(weight):
        solution = DelGrad().replay(_network(weight), STIMULUS, {"out": observed}, t1=60.0, throw=False)
        return jnp.sum(jnp.where(solution.spikes["out"].valid(), solution.spikes["out"].time, 0.0)), solution

    return jax.value_and_grad(value, has_aux=True)(weight)


def _observed(*times):
    return st.Spikes.from_dense(jnp.asarray(times))


def test_the_gradient_at_an_observed_spike_is_the_formula():
    (_, solution), gradient = _replayed(jnp.asarray(WEIGHT), _observed(7.0, jnp.inf))
    assert solution.result == st.RESULTS.successful
    np.testing.assert_array_equal(solution.spikes["out"].first(), [7.0, np.inf])
    u = 7.0 - ARRIVALS
    slow, fast = np.exp(-u / TAU_MEM), np.exp(-u / TAU_SYN)
    slope = WEIGHT[:, 0] @ (fast / TAU_SYN - slow / TAU_MEM)
    np.testing.assert_allclose(gradient[:, 0], -(slow - fast) / slope, rtol=1e-12)
    np.testing.assert_array_equal(gradient[:, 1], 0.0)
    np.testing.assert_allclose(solution.stats["min_slope"]["out"], slope, rtol=1e-12)
    assert solution.stats["flat"]["out"] == 0


@pytest.mark.parametrize(
    "times", [(50.0, jnp.inf), (0.5, jnp.inf), (jnp.inf, 4.0)], ids=["falling", "early", "inhibited"]
)
def test_a_spike_where_the_model_has_none_has_no_gradient_and_is_counted(times):
    (_, solution), gradient = _replayed(jnp.asarray(WEIGHT), _observed(*times))
    assert solution.result == st.RESULTS.successful
    np.testing.assert_array_equal(solution.spikes["out"].first(), times)
    np.testing.assert_array_equal(gradient, 0.0)
    assert solution.stats["flat"]["out"] == 1


def test_spikes_that_do_not_fit_are_refused():
    network = _network(jnp.asarray(WEIGHT))
    with pytest.raises(ValueError, match=r"got spikes of \['hidden'\]; expected those of \['out'\]"):
        DelGrad().replay(network, STIMULUS, {"hidden": _observed(1.0, 2.0)}, t1=60.0)
    with pytest.raises(ValueError, match="got spikes of 3 units .*; expected 2 units"):
        DelGrad().replay(network, STIMULUS, {"out": _observed(1.0, 2.0, 3.0)}, t1=60.0)
    batch = jax.tree.map(lambda x: jnp.stack([x, x]), _observed(1.0, 2.0))
    with pytest.raises(ValueError, match=r"shape \(2, 2\) .*one sample.*jax.vmap"):
        DelGrad().replay(network, STIMULUS, {"out": batch}, t1=60.0)


def test_more_than_one_spike_of_a_neuron_is_reported():
    with pytest.raises(st.SolveError, match="AtMostOnce"):
        DelGrad().replay(
            _network(jnp.asarray(WEIGHT)), STIMULUS, {"out": _observed([5.0, 9.0], [jnp.inf, jnp.inf])}, t1=60.0
        )
