"""Theta neurons against their exact solution: with one decaying input, Bessel functions.

With `v_rest = 0` and `v_crit = 1`, `v = -tau_mem x'/x` where `tau_mem^2 x'' + tau_mem x' + i x = 0`. For
`i = w exp(-t / tau_syn)` that is `x = exp(-t / (2 tau_mem)) (a J_n(z) + b J_-n(z))` with `n = tau_syn / tau_mem` and
`z = 2 n sqrt(w) exp(-t / (2 tau_syn))`. Every zero of `x` is a spike, and the solution goes on through all of them.
"""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest
from diffrax import Bosh3
from scipy.optimize import brentq
from scipy.special import jv, jvp

import saltation as st
from saltation_neurons import Theta
from saltation_ode import ODE

TAU_MEM, TAU_SYN = 20.0, 5.0
N = TAU_SYN / TAU_MEM
T1, ARRIVAL = 60.0, 2.0


def bessel_spikes(weight):
    """All spikes after a kick of `weight` at `ARRIVAL` to a neuron at rest, where `v = 0` and so `x' = 0`."""
    z0 = 2 * N * np.sqrt(weight)

    def slope(order):
        # Of exp(-t / (2 tau_mem)) J(z(t)) at the kick, where dz/dt = -z / (2 tau_syn).
        return -jv(order, z0) / (2 * TAU_MEM) - z0 / (2 * TAU_SYN) * jvp(order, z0)

    a, b = slope(-N), -slope(N)

    def x(t):
        z = z0 * np.exp(-t / (2 * TAU_SYN))
        return a * jv(N, z) + b * jv(-N, z)

    grid = np.linspace(0.0, T1 - ARRIVAL, 20001)
    signs = np.sign(x(grid))
    return ARRIVAL + np.array([brentq(x, grid[k], grid[k + 1], xtol=1e-13) for k in np.flatnonzero(np.diff(signs))])


@eqx.filter_jit
@eqx.filter_value_and_grad(has_aux=True)
def solved(weights, method, drive):
    network = st.Network(
        {"in": 1, "drive": 1},
        {"out": Theta(weights.shape[1], tau_mem=TAU_MEM, tau_syn=TAU_SYN)},
        [
            st.Connection("in", "out", st.Dense(weights)),
            st.Connection("drive", "out", st.Dense(jnp.ones_like(weights))),
        ],
        ["out"],
    )
    stimulus = {"in": st.Spikes.from_dense(jnp.array([[ARRIVAL]])), "drive": st.Current(drive[None])}
    solution = method.solve(network, stimulus, t1=T1, save=st.Save(states_at=jnp.array([1.0, 59.0])), throw=False)
    dense = solution.spikes["out"].to_dense(8)
    return jnp.where(jnp.isfinite(dense), dense, 0.0).sum(), (dense, solution)


WEIGHTS = (1.0, 6.0, 30.0, 90.0, 240.0)


@pytest.mark.parametrize(
    ("method", "atol", "rtol"),
    [(ODE(max_spikes=8), 1e-6, 1e-5), (ODE(max_spikes=8, solver=Bosh3(), step=0.5), 0.05, 0.05)],
    ids=["defaults", "steps of 0.5 ms"],
)
def test_spikes_and_gradients_are_those_of_bessel_functions(method, atol, rtol):
    (_, (dense, solution)), gradient = solved(jnp.array([WEIGHTS]), method, jnp.zeros(()))
    assert solution.result == st.RESULTS.successful
    expected = [bessel_spikes(weight) for weight in WEIGHTS]
    assert [len(spikes) for spikes in expected] == [0, 1, 1, 2, 3]
    for found, exact in zip(np.asarray(dense), expected, strict=True):
        np.testing.assert_array_equal(np.isfinite(found), np.arange(8) < len(exact))
        np.testing.assert_allclose(found[: len(exact)], exact, rtol=0, atol=atol)
    h = 1e-4
    slopes = [(bessel_spikes(w + h) - bessel_spikes(w - h)).sum() / (2 * h) for w in WEIGHTS]
    np.testing.assert_allclose(gradient[0], slopes, rtol=0, atol=rtol * np.abs(slopes).max())


def test_a_constant_current_makes_it_fire_periodically():
    drive = 4.0
    (_, (dense, _)), _ = solved(jnp.zeros((1, 1)), ODE(max_spikes=8), jnp.asarray(drive))
    width = np.sqrt(drive - 0.25)
    first = TAU_MEM / width * (np.pi / 2 + np.arctan(0.5 / width))
    period = np.pi * TAU_MEM / width
    np.testing.assert_allclose(dense[0, :2], [first, first + period], rtol=1e-8)
    assert dense[0, 2] == np.inf


@pytest.mark.parametrize("drive", [-40.0, -0.5, 0.2, 0.25])
def test_a_silent_neuron_settles_at_its_fixed_point(drive):
    # Neither over- nor underflow, and no derivative that is not finite, at the least current that makes it fire either.
    (_, (dense, solution)), gradient = solved(jnp.zeros((1, 1)), ODE(max_spikes=8), jnp.asarray(drive))
    assert not np.isfinite(dense).any() and np.isfinite(gradient).all()
    state = solution.states["out"]
    assert 0.1 < np.hypot(state.x[-1, 0], state.y[-1, 0]) < 10.0
    if drive < 0:
        np.testing.assert_allclose(state.v[-1], 0.5 - np.sqrt(0.25 - drive), rtol=1e-2)
