"""DelGrad and ODE on the networks that they share: the same spikes, the same gradients, by different means."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import saltation as st
from saltation_neurons import IF, LIF, AtMostOnce

T1 = 60.0
NEURONS = {
    "2 to 1": lambda: LIF(tau_mem=20.0, tau_syn=10.0),
    "equal": lambda: LIF(tau_mem=10.0, tau_syn=10.0),
    "1 to 3, traced": lambda: LIF(tau_mem=jnp.array(5.0), tau_syn=jnp.array(15.0), v_threshold=jnp.array(1.1)),
    "without a leak": lambda: IF(c_mem=15.0, tau_syn=8.0),
}
DELAYS = {"2 to 1": "synaptic", "equal": "axonal", "1 to 3, traced": "dendritic", "without a leak": "axonal"}
METHODS = {"delgrad": st.get_method("delgrad")(), "ode": st.get_method("ode")(max_spikes=1)}


@eqx.filter_jit
def _outcome(method, networks, times):
    """Spike times and gradients of a batch of networks, each with inputs of its own."""

    def value(at):
        network, times = at
        solution = method.solve(network, {"in": st.Spikes.from_dense(times)}, t1=T1, throw=False)
        first = {name: train.first() for name, train in solution.spikes.items()}
        total = jnp.zeros(())
        for scale, t in enumerate(first.values(), start=1):
            fires = jnp.isfinite(t)
            weight = scale * jnp.arange(1.0, t.shape[0] + 1.0)
            total = total + jnp.sum(jnp.where(fires, weight * jnp.where(fires, t, 0.0), 0.0))
        return total, (first, solution.stats["min_slope"])

    return eqx.filter_vmap(eqx.filter_value_and_grad(value, has_aux=True))((networks, times))


# Both methods meet references of their own for each of these: this one shows that they mean the same network.
SLOW = ("1 to 3, traced", "without a leak")


@pytest.mark.parametrize("kind", [pytest.param(kind, marks=[pytest.mark.slow] * (kind in SLOW)) for kind in NEURONS])
def test_spike_times_and_gradients_agree(kind):
    neuron = AtMostOnce(NEURONS[kind]())
    build = lambda key: st.feedforward(  # noqa: E731
        [4, 6, 3], neuron, delay=DELAYS[kind], initial_delay=4.0, weight=st.normal(8.0, 4.0), key=key
    )
    networks = eqx.filter_vmap(build)(jax.random.split(jax.random.key(0), 40))
    times = jnp.asarray(np.random.default_rng(0).uniform(0.0, 20.0, (40, 4)))
    (_, (first, slope)), gradient = _outcome(METHODS["delgrad"], networks, times)
    (_, (other, _)), expected = _outcome(METHODS["ode"], networks, times)
    for name, found in first.items():
        assert 0.5 < np.isfinite(found).mean() <= 1.0
        np.testing.assert_allclose(found, other[name], rtol=0, atol=1e-8, err_msg=name)
    # Where a crossing almost touches, both lose the same digits, but not to the same rounding.
    steep = np.min([np.asarray(s) for s in slope.values()], axis=0) > 1e-3
    assert steep.mean() > 0.8
    for found, wanted in zip(jax.tree.leaves(gradient), jax.tree.leaves(expected), strict=True):
        scale = np.abs(np.asarray(wanted)[steep]).max()
        np.testing.assert_allclose(np.asarray(found)[steep], np.asarray(wanted)[steep], rtol=1e-8, atol=1e-8 * scale)
