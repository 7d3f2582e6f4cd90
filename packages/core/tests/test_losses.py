"""Losses: against their formulas, and finite where everything is silent."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import saltation as st

INF = np.inf
TIMES = np.array([3.0, 1.0, 2.5])
LOSSES = {
    "cross-entropy": lambda t, n: st.first_spike_cross_entropy(t, n, temperature=0.7, silent=9.0),
    "cross-entropy, early": lambda t, n: st.first_spike_cross_entropy(
        t, n, temperature=0.7, silent=9.0, early=0.05, early_scale=2.0
    ),
    "squares": lambda t, n: st.first_spike_mse(t, n, target=1.5, other=4.0, silent=9.0),
}


@pytest.fixture(params=LOSSES.values(), ids=LOSSES)
def loss(request):
    return request.param


def test_cross_entropy_is_the_formula():
    for label in range(3):
        expected = np.log(np.exp(-TIMES / 0.7).sum()) + TIMES[label] / 0.7
        np.testing.assert_allclose(LOSSES["cross-entropy"](jnp.asarray(TIMES), jnp.array(label)), expected)
        expected += 0.05 * np.exp(TIMES[label] / 2.0)
        np.testing.assert_allclose(LOSSES["cross-entropy, early"](jnp.asarray(TIMES), jnp.array(label)), expected)


def test_squares_are_the_formula():
    expected = 0.5 * ((3.0 - 4.0) ** 2 + (1.0 - 1.5) ** 2 + (2.5 - 4.0) ** 2)
    np.testing.assert_allclose(LOSSES["squares"](jnp.asarray(TIMES), jnp.array(1)), expected)


def test_a_silent_unit_counts_as_the_given_time(loss):
    silent, late = jnp.array([3.0, INF, 2.5]), jnp.array([3.0, 9.0, 2.5])
    for label in range(3):
        np.testing.assert_allclose(loss(silent, jnp.array(label)), loss(late, jnp.array(label)))
        gradient = jax.grad(loss)(silent, jnp.array(label))
        assert np.isfinite(gradient).all() and gradient[1] == 0.0
        assert gradient[0] != 0.0  # the others still learn


def test_all_silent_is_finite(loss):
    for dtype in (jnp.float32, jnp.float64):
        value, gradient = jax.value_and_grad(loss)(jnp.full(3, INF, dtype), jnp.array(0))
        assert value.dtype == gradient.dtype == dtype
        assert np.isfinite(value)
        np.testing.assert_array_equal(gradient, np.zeros(3))


def test_gradient_is_that_of_central_differences(loss):
    gradient = jax.grad(loss)(jnp.asarray(TIMES), jnp.array(2))
    for n, step in enumerate(1e-6 * np.eye(3)):
        ends = [loss(jnp.asarray(TIMES + sign * step), jnp.array(2)) for sign in (1, -1)]
        np.testing.assert_allclose(gradient[n], (ends[0] - ends[1]) / 2e-6, rtol=1e-6, atol=1e-8)


def test_jit_and_vmap(loss):
    times = jnp.asarray(np.random.default_rng(0).uniform(0, 5, (4, 3)))
    labels = jnp.array([0, 1, 2, 1])
    loop = [loss(t, n) for t, n in zip(times, labels)]
    np.testing.assert_allclose(jax.jit(jax.vmap(loss))(times, labels), loop)


def test_late_times_do_not_overflow_in_float32():
    times = jnp.array([500.0, 800.0, 1000.0], jnp.float32)
    value, gradient = jax.value_and_grad(st.first_spike_cross_entropy)(times, jnp.array(1), temperature=0.5, silent=2e3)
    np.testing.assert_allclose(value, 600.0)
    np.testing.assert_allclose(gradient, [-2.0, 2.0, 0.0], atol=1e-6)


@pytest.mark.parametrize("loss", [st.state_cross_entropy, st.rate_cross_entropy])
def test_scores_go_through_a_softmax(loss):
    scores = np.array([0.3, -1.0, 2.0])
    expected = -2.0 * scores[0] + np.log(np.exp(2.0 * scores).sum())
    np.testing.assert_allclose(loss(jnp.asarray(scores), jnp.array(0), gain=2.0), expected)
    assert loss(jnp.asarray(scores, jnp.float32), jnp.array(0)).dtype == jnp.float32


def test_keep_firing_pulls_on_the_weights_of_silent_neurons(leaky, getkey):
    net = st.feedforward([3, 2, 2], leaky(), weight=st.normal(1.0, 1.0), key=getkey())
    spikes = {
        "hidden1": st.Spikes.from_dense(jnp.array([1.0, INF])),
        "out": st.Spikes.from_dense(jnp.array([2.0, 3.0])),
    }
    solution = st.Solution(spikes, None, None, None, {}, {}, st.RESULTS.successful)
    value, gradient = eqx.filter_value_and_grad(st.keep_firing)(net, solution, strength=0.5, drive=4.0)
    weight = net.connections[0].synapse.weight
    assert weight[:, 1].sum() < 4.0
    np.testing.assert_allclose(value, 0.5 * (1.0 - weight[:, 1].sum() / 4.0) / 2)
    expected = np.zeros((3, 2))
    expected[:, 1] = -0.5 / 4.0 / 2
    np.testing.assert_allclose(gradient.connections[0].synapse.weight, expected)
    np.testing.assert_array_equal(gradient.connections[1].synapse.weight, np.zeros((2, 2)))


def test_by_the_published_rule_only_a_silent_label_is_costly_in_cross_entropy():
    loss = lambda t, n: st.first_spike_cross_entropy(t, n, temperature=0.7, silent="constant", early=0.05)  # noqa: E731
    times = jnp.array([3.0, INF, 2.5])
    value, gradient = jax.value_and_grad(loss)(times, jnp.array(0))
    expected = np.log(np.exp(-3.0 / 0.7) + np.exp(-2.5 / 0.7)) + 3.0 / 0.7 + 0.05 * np.exp(3.0)
    np.testing.assert_allclose(value, expected)
    assert gradient[1] == 0.0 and gradient[0] > 0.0 > gradient[2]
    for silence in (times, jnp.full(3, INF)):
        value, gradient = jax.value_and_grad(loss)(silence, jnp.array(1))
        assert value == st.COST_OF_SILENCE
        np.testing.assert_array_equal(gradient, np.zeros(3))


def test_by_the_published_rule_any_silent_unit_is_costly_in_squares():
    loss = lambda t: st.first_spike_mse(t, jnp.array(0), target=1.5, other=4.0, silent="constant")  # noqa: E731
    value, gradient = jax.value_and_grad(loss)(jnp.array([3.0, INF, 2.5]))
    assert value == st.COST_OF_SILENCE and not gradient.any()
    np.testing.assert_allclose(loss(jnp.asarray(TIMES)), LOSSES["squares"](jnp.asarray(TIMES), jnp.array(0)))


def test_another_rule_for_silence_is_refused():
    with pytest.raises(ValueError, match="silent='never'.*'constant'"):
        st.first_spike_mse(jnp.asarray(TIMES), jnp.array(0), target=1.0, other=2.0, silent="never")
