"""Closed forms of the statistics, by tests that a factor of 1.02 fails."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import saltation as st
from saltation_neurons import StochasticLIF
from saltation_roughsde import RoughSDE

SAMPLES = 100_000
LEVEL = 1e-3


def keys(getkey, number):
    return jax.random.split(getkey(), number)


def test_constant_hazard(build, solve, getkey):
    # With beta = 0 the hazard is 1 / tau_escape: intervals are (E + alpha) tau_escape, E exponential.
    alpha, tau = 0.3, 0.2
    neuron = StochasticLIF(1, beta=0.0, tau_escape=tau, alpha=alpha)
    method = RoughSDE(dt=0.5, max_spikes=3)
    # All that start before the end of the trial are long over by then, but for one in 10^8.
    solution = solve(method, build.single(neuron), [0.0], t1=12.0, keys=keys(getkey, SAMPLES))
    times = np.asarray(jax.vmap(lambda s: s.to_dense(3, throw=False))(solution.spikes["out"]))[:, 0]
    intervals = np.diff(times, axis=1, prepend=0.0).ravel()
    assert np.isfinite(intervals).all()
    waits = intervals / tau - alpha
    check_exponential(waits[:SAMPLES])
    assert abs(intervals.mean() / (tau * (1 + alpha)) - 1) < 4 / (1 + alpha) / len(intervals) ** 0.5
    assert abs(intervals.std() / intervals.mean() * (1 + alpha) - 1) < 0.02


def check_exponential(sample):
    """Both tests accept the sample, and reject it where the rate is wrong by a factor of 1.02."""
    assert len(sample) >= 0.9 * SAMPLES
    for scale, accepted in ((1.0, True), (1.02, False)):
        assert (stats.kstest(scale * sample, "expon").pvalue > LEVEL) == accepted
        assert (abs(scale * sample.mean() - 1) < 4 / len(sample) ** 0.5) == accepted


@eqx.filter_jit
def rescaled(neuron, network, keys):
    """The integrated hazard of the first interval, from the states at a fine grid: independent of what armed it."""
    times = jnp.linspace(0.0, 2.0, 201)
    method = RoughSDE(dt=0.01, max_spikes=4, max_events=4)

    def one(key):
        solution = method.solve(
            network, {"in": st.Current(jnp.array([1.5]))}, t1=2.0, key=key, save=st.Save(states_at=times), throw=False
        )
        spikes = solution.spikes["out"]
        hazard = jnp.exp(neuron.beta * jnp.minimum(solution.states["out"].v[:, 0] - neuron.v_threshold, neuron.cap))
        # Left points, as the scheme holds v within a cell.
        width = jnp.clip(spikes.time[0] - times, 0.0, times[1])
        return jnp.sum(hazard * width) / neuron.tau_escape - neuron.alpha, jnp.isfinite(spikes.time[0])

    return jax.lax.map(one, keys, batch_size=2000)


@pytest.mark.parametrize("samples", [4000, pytest.param(SAMPLES, marks=pytest.mark.slow)])
def test_time_rescaling(build, getkey, samples):
    neuron = StochasticLIF(1, sigma=0.25)
    waits, there = (np.asarray(x) for x in rescaled(neuron, build.single(neuron), keys(getkey, samples)))
    # Those without a spike would have waited longer than all.
    assert there.mean() > 0.9999
    assert stats.kstest(waits[there], "expon").pvalue > LEVEL
    if samples == SAMPLES:
        check_exponential(waits[there])


@pytest.mark.parametrize(("samples", "cells"), [(20_000, 128), pytest.param(SAMPLES, 512, marks=pytest.mark.slow)])
def test_mean_first_spike_time_and_its_derivative(build, getkey, samples, cells):
    # sigma^2/2 g'' + mu (c - v) g' - lambda g = -1 at c = 1.5, sigma = 0.25, alpha = 0: mean .2261653, d/dc -.450879.
    network = build.single(StochasticLIF(1, sigma=0.25, alpha=0.0))
    t1 = 1.4

    def first(key, current, cells):
        method = RoughSDE(dt=t1 / cells, max_spikes=4, max_events=4)
        solution = method.solve(network, {"in": st.Current(current[None])}, t1=t1, key=key, throw=False)
        time = solution.spikes["out"].time[0]
        return jnp.where(jnp.isfinite(time), time, t1)

    @eqx.filter_jit
    def means(keys):
        # Two widths on the same paths: what is of first order in the width cancels. The rest, 0.001 with 128 cells,
        # must be less than what so many samples resolve.
        def one(key):
            extrapolated = lambda c: 2 * first(key, c, cells) - first(key, c, cells // 2)  # noqa: E731
            return jax.jvp(extrapolated, (jnp.array(1.5),), (jnp.array(1.0),))

        return jax.lax.map(one, keys, batch_size=2000)

    time, slope = means(keys(getkey, samples))
    for sample, expected, enough in ((time, 0.2261653, 20_000), (slope, -0.450879, SAMPLES)):
        allowed = stats.norm.isf(LEVEL / 2) * sample.std() / samples**0.5
        assert abs(sample.mean() - expected) < allowed
        if samples >= enough:
            assert abs(1.02 * sample.mean() - expected) > allowed
