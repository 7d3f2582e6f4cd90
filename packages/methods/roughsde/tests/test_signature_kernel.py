"""The signature kernel against references that were computed otherwise, closed forms, and bad input."""

import json
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import i0, j0

import saltation as st
from saltation_roughsde import RBF, marcus_lift, signature_gram, signature_kernel, spike_gram, time_augmented

REFERENCE = json.loads((Path(__file__).parent / "data" / "sigkernel.json").read_text())
CASES = {case["name"]: case for case in REFERENCE["cases"]}
LONGEST = 9


def padded(path):
    """All cases in one shape, so that they share a compiled function: the last point repeated changes nothing."""
    path = np.asarray(path)
    path = np.pad(path, ((0, 0), (0, 3 - path.shape[1])))
    return jnp.asarray(np.concatenate([path, np.repeat(path[-1:], LONGEST - len(path), axis=0)]))


@eqx.filter_jit
def value_and_gradient(x, y):
    return jax.value_and_grad(lambda x: signature_kernel(x, y, order=18))(x)


@pytest.mark.parametrize("name", CASES)
def test_references(name):
    case = CASES[name]
    value, gradient = value_and_gradient(padded(case["x"]), padded(case["y"]))
    np.testing.assert_allclose(value, case["K_cell_series"], rtol=1e-10, atol=1e-10)
    np.testing.assert_allclose(value, case["K_tensor"], rtol=1e-8, atol=1e-8)
    rows, channels = np.shape(case["x"])
    gradient = np.array(gradient)
    gradient[rows - 1] += gradient[rows:].sum(axis=0)
    np.testing.assert_allclose(gradient[:rows, :channels], case["dK_dx"], rtol=1e-7, atol=1e-7)


def test_rbf_is_lifted_linearly_and_refines():
    case = REFERENCE["rbf"][0]
    x, y = jnp.asarray(case["x"]), jnp.asarray(case["y"])
    np.testing.assert_allclose(
        signature_kernel(x, y, static_kernel=RBF(case["sigma"])), case["K_rkhs_linear"], rtol=1e-9
    )
    refined = signature_kernel(x, y, static_kernel=RBF(case["sigma"], refine=4))
    coarse, limit = case["K_rkhs_linear"], case["K_points_refined_f1_2_4_8_16_32"][-1]
    assert abs(refined - limit) < 0.1 * abs(coarse - limit)


@eqx.filter_jit
def straight(x, y):
    return signature_gram(x, y, order=26)


def test_straight_paths_in_closed_form(getkey):
    ends = 2 * jax.random.normal(getkey(), (2, 5, 3))
    x, y = (jnp.stack([jnp.zeros((5, 3)), end], axis=1) for end in ends)
    p = np.asarray(ends[0] @ ends[1].T)
    assert (p < 0).any() and (p > 0).any()
    expected = np.where(p > 0, i0(2 * np.sqrt(np.abs(p))), j0(2 * np.sqrt(np.abs(p))))
    np.testing.assert_allclose(straight(x, y), expected, rtol=1e-11, atol=1e-11)


def trains(key, n: int, spikes: int, units: int = 2, t1: float = 1.0) -> st.Spikes:
    times = jax.random.uniform(key, (n, units, spikes), maxval=1.3 * t1)
    times = jnp.where(times < t1, times, jnp.inf).at[0, 0].set(jnp.inf)
    times = times.at[1, 1, 0].set(times[1, 0, 0])  # a spike of two units at once
    return jax.vmap(st.Spikes.from_dense)(times)


# Where jumps fade, the gradient has one part more.
@pytest.mark.parametrize("fade", [pytest.param((0.0, 0.0), marks=pytest.mark.slow), (0.3, 0.5)])
def test_spike_trains_are_their_lifts(getkey, fade):
    x, y = trains(getkey(), 3, 3), trains(getkey(), 2, 4)
    weight = jax.random.normal(getkey(), (3, 2))
    scales = {"time_scale": 0.5, "jump_scale": 0.3, "fade": fade}  # small: few terms to compile

    def value(kernel, time_x, time_y):
        at = [eqx.tree_at(lambda s: s.time, train, time) for train, time in ((x, time_x), (y, time_y))]
        return jnp.sum(weight * kernel(*at))

    def by_points(x, y):
        lift = jax.vmap(lambda train: marcus_lift(train, t1=1.0, **scales))
        return signature_gram(lift(x), lift(y), order=11)

    def fast(x, y):
        return spike_gram(x, y, t1=1.0, **scales)

    results = [
        eqx.filter_jit(jax.value_and_grad(lambda a, b, k=kernel: value(k, a, b), (0, 1)))(x.time, y.time)
        for kernel in (by_points, fast)
    ]
    (expected, expected_gradients), (got, gradients) = results
    np.testing.assert_allclose(got, expected, rtol=1e-10)
    for a, b in zip(gradients, expected_gradients):
        np.testing.assert_allclose(a, b, rtol=1e-8, atol=1e-8)
        assert np.isfinite(a).all()


def test_lift_ends_at_the_end_and_counts(getkey):
    train = st.Spikes.from_dense(jnp.array([[0.2, 0.7], [0.7, jnp.inf]]))
    path = np.asarray(marcus_lift(train, t1=1.0))
    kept = path[np.r_[True, (np.diff(path, axis=0) != 0).any(axis=1)]]
    expected = [[0, 0, 0], [0.2, 0, 0], [0.2, 1, 0], [0.7, 1, 0], [0.7, 2, 1], [1, 2, 1]]
    np.testing.assert_allclose(kept, expected)


def test_jumps_that_fade_let_a_gradient_see_spikes_that_come_and_go(getkey):
    # Of a Poisson process the expected sum of jumps is rate (1 - fade / 2): at each end a triangle is missing.
    waits = jax.random.exponential(getkey(), (4000, 1, 12))

    def total(rate, fade):
        trains = jax.vmap(st.Spikes.from_dense)(jnp.cumsum(waits, axis=2) / rate)
        path = jax.vmap(lambda train: marcus_lift(train, t1=1.0, fade=fade))(trains)
        return jnp.mean(path[:, -1, 1])

    rate = jnp.array(3.0)
    for fade, sees in (((0.0, 0.4), 0.8), ((0.0, 0.0), 0.0)):
        value, slope = jax.jit(jax.value_and_grad(total), static_argnums=1)(rate, fade)
        np.testing.assert_allclose(value, 3 * (1 - sum(fade) / 2), rtol=0.05)
        np.testing.assert_allclose(slope, sees, atol=0.05)
    path = marcus_lift(st.Spikes.from_dense(jnp.array([[0.1, 0.5, 0.9]])), t1=1.0, fade=(0.2, 0.4))
    np.testing.assert_allclose(np.unique(path[:, 1]), [0.0, 0.5, 1.5, 1.75])
    with pytest.raises(ValueError, match=r"fade=\(0.0, 2.0\); expected two durations"):
        marcus_lift(st.Spikes.from_dense(jnp.array([[0.5]])), t1=1.0, fade=(0.0, 2.0))


def test_tiles_do_not_matter(getkey, monkeypatch):
    x = 0.05 * jax.random.normal(getkey(), (5, 4, 2))
    y = 0.05 * jax.random.normal(getkey(), (3, 6, 2))

    def value(x, y):
        gram = signature_gram(x, y, order=7)
        return jnp.sum(gram**2), gram

    function = jax.value_and_grad(value, (0, 1), has_aux=True)
    (_, whole), gradient = jax.jit(function)(x, y)
    monkeypatch.setattr("saltation_roughsde._tiles._LANES", 10)
    monkeypatch.setattr("saltation_roughsde._tiles._BYTES", 0)
    (_, tiled), other = jax.jit(lambda x, y: function(x, y))(x, y)
    np.testing.assert_allclose(tiled, whole, rtol=1e-12)
    for a, b in zip(gradient, other):
        np.testing.assert_allclose(a, b, rtol=1e-10, atol=1e-12)
    assert whole.shape == (5, 3)
    np.testing.assert_allclose(whole[4, 1], signature_kernel(x[4], y[1], order=7), rtol=1e-12)


def test_float32_is_near_float64(getkey):
    x = trains(getkey(), 3, 3)
    scales = {"t1": 1.0, "time_scale": 0.5, "jump_scale": 0.5}
    wide = spike_gram(x, x, **scales)
    narrow = spike_gram(x32(x), x32(x), **scales)
    assert narrow.dtype == jnp.float32
    np.testing.assert_allclose(narrow, wide, rtol=2e-5)


def test_two_spikes_of_a_unit_at_one_time_are_one_jump_and_three_are_an_error():
    x, y = (jax.vmap(st.Spikes.from_dense)(jnp.array([[times]])) for times in ([0.25, 0.25, 0.75], [0.5, 0.5, 0.625]))
    scales = {"t1": 1.0, "time_scale": 0.5, "jump_scale": 0.3}
    compiled = jax.jit(lambda x, y: spike_gram(x, y, **scales))
    lifts = (jax.vmap(lambda train: marcus_lift(train, **scales))(train) for train in (x, y))
    np.testing.assert_allclose(compiled(x, y), signature_gram(*lifts), rtol=1e-11)
    with pytest.raises(Exception, match="more than two spikes at one time"):
        compiled(eqx.tree_at(lambda s: s.time, x, jnp.full((1, 3), 0.25)), y).block_until_ready()


def x32(train: st.Spikes) -> st.Spikes:
    return eqx.tree_at(lambda s: s.time, train, train.time.astype(jnp.float32))


def test_bad_input_says_what_to_do(getkey):
    path = jnp.zeros((4, 2))
    with pytest.raises(ValueError, match="dimension 2 and 3"):
        signature_kernel(path, jnp.zeros((4, 3)))
    with pytest.raises(ValueError, match=r"shape \(1, 2\)"):
        signature_kernel(path, jnp.zeros((1, 2)))
    with pytest.raises(ValueError, match="not in order"):
        time_augmented(path, jnp.array([0.0, 2.0, 1.0, 3.0]))
    with pytest.raises(ValueError, match="sigma=0"):
        RBF(0.0)
    with pytest.raises(ValueError, match="t1=0"):
        marcus_lift(st.Spikes.from_dense(jnp.array([[0.5]])), t1=0.0)
    x = trains(getkey(), 2, 2)
    with pytest.raises(ValueError, match="2 and 3 units"):
        spike_gram(x, trains(getkey(), 2, 2, units=3), t1=1.0)
    with pytest.raises(ValueError, match="batches of trains"):
        spike_gram(jax.tree.map(lambda leaf: leaf[0], x), x, t1=1.0)
    with pytest.raises(ValueError, match="Scale the paths down|scale the paths down"):
        signature_kernel(1e3 * jnp.arange(8.0).reshape(4, 2), jnp.arange(8.0).reshape(4, 2))


def test_overflow_and_too_few_derivatives_are_errors():
    line = jnp.linspace(0.0, 50.0, 26, dtype=jnp.float32)[:, None]
    with pytest.raises(Exception, match="overflows float32"):
        signature_kernel(line, line, order=29).block_until_ready()
    with pytest.raises(Exception, match="too few"):
        signature_kernel(line, line, order=4).block_until_ready()
