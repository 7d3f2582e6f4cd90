"""The stochastic neuron: its noise, its thresholds, its exact flow, and what it refuses."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from saltation_neurons import AtMostOnce, StochasticLIF, StochasticLIFState


def test_noise_is_stated_where_there_is_any():
    assert StochasticLIF(2, log_u=-0.4).noise() is None
    drawn = StochasticLIF(2).noise()
    assert drawn is not None and drawn.arm is not None
    given = StochasticLIF(2, sigma=0.2, log_u=-0.4).noise()
    assert given is not None and given.arm is None
    spread = given.diffusion(StochasticLIF(2).init())
    np.testing.assert_array_equal([spread.v, spread.i, spread.s], [[0.2, 0.2], [0, 0], [0, 0]])
    once = AtMostOnce(StochasticLIF(2)).noise()
    assert once is not None and once.arm is not None


def test_thresholds_are_exponential():
    neuron = StochasticLIF(20_000, alpha=0.1)
    waits = -(neuron.init(key=jax.random.key(0)).s + 0.1)
    assert abs(waits.mean() - 1) < 0.03 and abs((waits > 1).mean() - math.exp(-1)) < 0.015
    after = neuron.reset(neuron.init(), key=jax.random.key(1))
    assert abs(-(after.s + 0.1).mean() - 1) < 0.03
    np.testing.assert_allclose(after.v, -neuron.v_drop)
    np.testing.assert_allclose(StochasticLIF(2).init().s, -1.03)


@pytest.mark.parametrize("tau_syn", [0.2, 1 / 15, math.inf], ids=["slow", "equal", "for ever"])
def test_forced_flow_is_the_flow(rk4, tau_syn):
    neuron = StochasticLIF(2, tau_syn=tau_syn, sigma=0.2, v_leak=0.1)
    state = StochasticLIFState(jnp.array([0.2, 1.1]), jnp.array([0.5, -0.3]), jnp.array([-1.0, -0.5]))
    forcing = StochasticLIFState(jnp.array([0.7, -1.0]), jnp.array([0.4, 0.2]), jnp.zeros(2))
    current = jnp.array([1.5, 0.8])

    class Forced:
        def vector_field(self, t, state, current):
            return jax.tree.map(jnp.add, neuron.vector_field(t, state, current), forcing)

    noise = neuron.noise()
    assert noise is not None and noise.forced_flow is not None
    found = noise.forced_flow(state, jnp.asarray(0.05), current, forcing)
    for a, b in zip(found, rk4(Forced(), state, 0.05, current)):
        np.testing.assert_allclose(a, b, rtol=1e-10)


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"tau_escape": 0.0}, "tau_escape = 0.0"),
        ({"sigma": -0.1}, "sigma = -0.1"),
        ({"alpha": -1.0}, "alpha = -1.0"),
        ({"log_u": 0.5}, "log_u = 0.5"),
        ({"cap": 20.0}, "overflows"),
        ({"tau_syn": 0.0}, "tau_syn = 0.0"),
    ],
    ids=lambda value: str(value),
)
def test_bad_parameters(options, match):
    with pytest.raises(ValueError, match=match):
        StochasticLIF(2, **options)
