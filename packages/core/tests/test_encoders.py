"""Encoders: from numbers to stimuli."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import saltation as st


def test_latency_is_linear_in_the_feature():
    train = st.latency(jnp.array([[0.0, 0.5], [1.0, 0.25]]), t_min=2.0, t_max=10.0)
    np.testing.assert_allclose(train.first(), [2.0, 6.0, 10.0, 4.0])
    inverted = st.latency(jnp.array([0.0, 0.25]), t_min=2.0, t_max=10.0, inverted=True)
    np.testing.assert_allclose(inverted.first(), [10.0, 8.0])


def test_latency_with_bias_and_threshold():
    train = st.latency(jnp.array([0.1, 0.2, 0.9]), t_min=0.0, t_max=10.0, bias=(3.0, 4.5), threshold=0.2)
    np.testing.assert_allclose(train.first(), [np.inf, np.inf, 9.0, 3.0, 4.5])
    assert train.size == 5


def test_latency_under_vmap_jit_and_grad_in_float32():
    x = jnp.asarray(np.random.default_rng(0).uniform(size=(4, 3)), jnp.float32)
    encode = lambda x: st.latency(x, t_min=1.0, t_max=3.0, bias=(2.0,))  # noqa: E731
    batch = jax.jit(jax.vmap(encode))(x)
    assert batch.time.dtype == jnp.float32 and batch.time.shape == (4, 4)
    np.testing.assert_allclose(jax.vmap(lambda s: s.first())(batch)[:, :3], 1.0 + 2.0 * x, rtol=1e-6)
    np.testing.assert_allclose(jax.grad(lambda x: jnp.sum(encode(x).first()))(x[0]), [2.0] * 3)


@pytest.mark.parametrize(
    "arguments",
    [{"t_min": 2.0, "t_max": 2.0}, {"t_min": -1.0, "t_max": 2.0}, {"t_min": 0.0, "t_max": 2.0, "bias": (-1.0,)}],
)
def test_latency_refuses(arguments):
    with pytest.raises(ValueError, match="expected 0 <= t_min < t_max"):
        st.latency(jnp.zeros(2), **arguments)


def test_constant_current():
    current = st.constant_current(jnp.array([[0.0, 1.0], [2.0, 3.0]]), gain=2.0, offset=0.5)
    np.testing.assert_array_equal(current.value, [0.5, 2.5, 4.5, 6.5])
    assert current.start is None


def test_poisson_has_its_rate_and_its_statistics():
    x = jnp.concatenate([jnp.full(2000, 0.5), jnp.full(2000, 1.0), jnp.zeros(10)])
    train = st.poisson(x, rate=0.4, t1=20.0, room=32, key=jax.random.key(0))
    counts = np.asarray(train.count())
    assert counts[4000:].sum() == 0
    for part, mean in ((counts[:2000], 4.0), (counts[2000:4000], 8.0)):
        np.testing.assert_allclose(part.mean(), mean, atol=4 * np.sqrt(mean / 2000))
        np.testing.assert_allclose(part.var(), mean, rtol=0.15)
    times = np.asarray(train.time[train.valid()])
    assert (times >= 0).all() and (times < 20.0).all()
    np.testing.assert_allclose(times.mean(), 10.0, atol=0.3)


def test_poisson_keys_and_room():
    x = jnp.ones(5)
    one, same, other = (st.poisson(x, rate=0.2, t1=10.0, room=16, key=jax.random.key(n)) for n in (0, 0, 1))
    np.testing.assert_array_equal(one.time, same.time)
    assert not np.array_equal(one.time, other.time)
    with pytest.raises(Exception, match="more than room=1 spikes for a unit. Raise room"):
        jax.block_until_ready(st.poisson(x, rate=5.0, t1=10.0, room=1, key=jax.random.key(0)).time)
