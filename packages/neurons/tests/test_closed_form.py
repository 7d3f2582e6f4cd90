"""The exact flow between events, and where it crosses the threshold."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from saltation_neurons import IF, LIF, IFState, LIFState

T = jnp.zeros(())

LIFS = {
    "slower_membrane": lambda **kw: LIF(tau_mem=20.0, tau_syn=5.0, **kw),
    "double": lambda **kw: LIF(tau_mem=10.0, tau_syn=5.0, **kw),
    "equal": lambda **kw: LIF(tau_mem=5.0, tau_syn=5.0, **kw),
    "slower_synapse": lambda **kw: LIF(tau_mem=3.0, tau_syn=7.0, **kw),
    "nearly_equal": lambda **kw: LIF(tau_mem=5.0, tau_syn=5.0 + 1e-7, **kw),
}
IFS = {
    "if": lambda **kw: IF(tau_syn=5.0, c_mem=2.0, **kw),
    "if_delta": lambda **kw: IF(tau_syn=None, c_mem=2.0, **kw),
    "lif_delta": lambda **kw: LIF(tau_syn=None, tau_mem=8.0, **kw),
}


def _traced(model):
    # Arrays, so that no formula can be chosen by their values.
    return jax.tree.map(jnp.asarray, model())


MODELS = {
    **LIFS,
    **{f"{name}_traced": lambda model=model: _traced(model) for name, model in LIFS.items()},
    **IFS,
    "if_traced": lambda: _traced(IFS["if"]),
}


@pytest.fixture(params=MODELS)
def solvable(request):
    return MODELS[request.param]()


def _random_states(neuron, key, n):
    keys = jax.random.split(key, 3)
    v = jax.random.uniform(keys[0], (n,), minval=-1.5, maxval=1.4)
    i = 6.0 * jax.random.normal(keys[1], (n,))
    current = jnp.where(jnp.arange(n) % 4 == 0, 0.0, 1.5 * jax.random.normal(keys[2], (n,)))
    if isinstance(neuron, IF):
        return IFState(v, i if neuron.tau_syn is not None else jnp.zeros(n)), current
    return LIFState(v, i), current


# Parameters that are arrays are arguments: one program serves all neurons that have them.
@eqx.filter_jit
def _flow_and_slope(neuron, state, u, current):
    return jax.jvp(lambda u: neuron.closed_form().flow(state, u, current), (u,), (jnp.ones_like(u),))


@eqx.filter_jit
def _crossing(neuron, state, duration, current):
    return neuron.closed_form().crossing(state, duration, current)


def test_flow_solves_the_equation(solvable, getkey):
    # d flow / du is the vector field, at any time.
    state, current = _random_states(solvable, getkey(), 50)
    flow = solvable.closed_form().flow
    u = jax.random.uniform(getkey(), (50,), maxval=30.0)
    after, slope = _flow_and_slope(solvable, state, u, current)
    field = solvable.vector_field(T, after, current)
    for a, b in zip(slope, field, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-9)
    for a, b in zip(flow(state, jnp.zeros(50), current), state, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-15)


def test_flow_matches_small_steps(solvable, getkey, rk4):
    state, current = _random_states(solvable, getkey(), 20)
    after = solvable.closed_form().flow(state, jnp.asarray(12.0), current)
    for a, b in zip(after, rk4(solvable, state, 12.0, current), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-9)


def test_flow_in_two_parts(solvable, getkey):
    state, current = _random_states(solvable, getkey(), 20)
    flow = solvable.closed_form().flow
    halfway = flow(state, jnp.asarray(3.0), current)
    for a, b in zip(flow(halfway, jnp.asarray(4.0), current), flow(state, jnp.asarray(7.0), current), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-12)


@eqx.filter_jit
def _first_crossing(neuron, state, duration, current, points=2001):
    """By brute force: the first grid cell in which the guard changes its sign from below, halved 50 times."""
    flow = neuron.closed_form().flow

    def guard(u):
        return neuron.guard(flow(state, u, current))

    grid = jnp.linspace(0.0, 1.0, points)[:, None] * duration[None, :]
    values = jax.vmap(guard)(grid)
    rises = (values[:-1] < 0) & (values[1:] >= 0)
    cell = jnp.argmax(rises, axis=0)
    low = jnp.take_along_axis(grid, cell[None, :], axis=0)[0]
    high = jnp.take_along_axis(grid, cell[None, :] + 1, axis=0)[0]

    def halve(_, bracket):
        low, high = bracket
        middle = 0.5 * (low + high)
        above = guard(middle) >= 0
        return jnp.where(above, low, middle), jnp.where(above, middle, high)

    low, high = jax.lax.fori_loop(0, 50, halve, (low, high))
    # An excursion over the threshold that is shorter than a cell escapes the grid.
    uncertain = ~rises.any(axis=0) & (jnp.abs(values.max(axis=0)) < 1e-4)
    return jnp.where(rises.any(axis=0), high, jnp.inf), uncertain


def test_crossing_matches_brute_force(solvable, getkey):
    n = 3000
    state, current = _random_states(solvable, getkey(), n)
    duration = jax.random.uniform(getkey(), (n,), minval=0.1, maxval=40.0)
    got = _crossing(solvable, state, duration, current)
    expected, uncertain = _first_crossing(solvable, state, duration, current)
    sure = ~np.asarray(uncertain)
    crossing = np.isfinite(expected) & sure
    assert sure.mean() > 0.99 and 0.1 < crossing.mean() < 0.9
    np.testing.assert_array_equal(np.isfinite(got)[sure], np.isfinite(expected)[sure])
    # As close as the flow resolves: where it almost touches, a small error in v is a larger one in time.
    slope = solvable.vector_field(
        T, solvable.closed_form().flow(state, jnp.where(crossing, expected, 0.0), current), current
    ).v
    error = np.abs(np.asarray(got)[crossing] - np.asarray(expected)[crossing])
    assert (error < 1e-11 + 2e-14 / np.asarray(slope)[crossing]).mean() > 0.999
    assert error.max() < 1e-6


def test_crossing_satisfies_the_guard_in_float32(solvable, getkey):
    n = 2000
    solvable = jax.tree.map(lambda x: x.astype(jnp.float32) if isinstance(x, jax.Array) else x, solvable)
    state, current = _random_states(solvable, getkey(), n)
    state, current = jax.tree.map(lambda x: x.astype(jnp.float32), (state, current))
    form = solvable.closed_form()
    time = _crossing(solvable, state, jnp.full(n, 40.0, jnp.float32), current)
    hit = np.isfinite(time)
    assert 0.1 < hit.mean() < 0.9
    residual = solvable.guard(form.flow(state, jnp.where(hit, time, 0.0), current))
    scale = 1.0 + np.abs(state.v) + np.abs(state.i) * 5.0 + np.abs(current) * np.where(hit, time, 0.0)
    assert (np.abs(residual)[hit] < 2e-6 * scale[hit]).all()


def test_crossing_is_the_first_of_a_flow_that_starts_above(solvable):
    # It starts above the threshold: no crossing from below until it has been below.
    form = solvable.closed_form()
    v, duration = jnp.array([1.2, 1.2]), jnp.array([50.0, 50.0])
    i = jnp.zeros(2) if solvable.tau_syn is None else jnp.array([0.0, -8.0])
    state = (IFState if isinstance(solvable, IF) else LIFState)(v, i)
    time = form.crossing(state, duration, jnp.array([0.0, 2.0]))
    assert time[0] == jnp.inf
    if solvable.tau_syn is None:
        assert time[1] == jnp.inf
    else:
        assert 0 < time[1] < 50
        assert (form.flow(state, 0.9 * time, jnp.array([0.0, 2.0])).v[1]) < 1.0


def test_crossing_of_a_peak_that_almost_touches(getkey):
    # The synaptic current first outweighs a negative external one: v peaks just above the threshold.
    neuron = IF(1, tau_syn=5.0)
    i, current = jnp.array([1.0]), jnp.array([-0.1])
    peak = 5.0 * jnp.log(10.0)
    top = neuron.closed_form().flow(IFState(jnp.zeros(1), i), peak, current).v
    for excess in (1e-3, 1e-6, 1e-9, 1e-12):
        state = IFState(1.0 - top + excess, i)
        time = neuron.closed_form().crossing(state, jnp.array([50.0]), current)
        # v'' = -i exp(-u / tau_syn) / tau_syn = -0.02 at the peak.
        np.testing.assert_allclose(time, peak - np.sqrt(2 * excess / 0.02), rtol=1e-2 * excess**0.25)
    missed = neuron.closed_form().crossing(IFState(1.0 - top - 1e-9, i), jnp.array([50.0]), current)
    assert missed[0] == jnp.inf


def test_crossing_at_the_very_end_counts():
    delta = IF(1, tau_syn=None)
    state = IFState(jnp.zeros(1), jnp.zeros(1))
    assert delta.closed_form().crossing(state, jnp.array([4.0]), jnp.array([0.25]))[0] == 4.0
    assert delta.closed_form().crossing(state, jnp.array([3.999]), jnp.array([0.25]))[0] == jnp.inf


@jax.jit
def _slopes_of_the_flow(neuron, state, u, current):
    def last(neuron, state, u, current):
        return jnp.sum(neuron.closed_form().flow(state, u, current).v)

    return jax.grad(last, (0, 1, 2, 3))(neuron, state, u, current)


@pytest.mark.parametrize("model", [*LIFS.values(), IFS["if"]], ids=[*LIFS, "if"])
def test_flow_has_finite_gradients_with_respect_to_its_constants(model, getkey):
    neuron = jax.tree.map(jnp.asarray, model())
    state, current = _random_states(neuron, getkey(), 8)
    u = jnp.array([0.0, 1e-9, 1e-3, 0.1, 1.0, 10.0, 100.0, 1000.0])

    for leaf in jax.tree.leaves(_slopes_of_the_flow(neuron, state, u, current)):
        assert np.isfinite(leaf).all()


def test_models_without_a_closed_form_have_none(neuron):
    has = {"LIF", "ALIF", "IF", "AtMostOnce", "Refractory"}
    inner = getattr(neuron, "inner", None)
    expected = type(neuron).__name__ in has and type(inner).__name__ not in ("AdEx", "Theta")
    assert (neuron.closed_form() is not None) == expected
