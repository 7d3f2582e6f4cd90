"""Synapses around others: dropout is drawn once, a normalisation goes by statistics that training hands on."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import saltation as st

RNG = np.random.default_rng(0)
DENSE = st.Dense(RNG.normal(size=(6, 4)))
RATES = jnp.asarray(RNG.uniform(size=6))


def _network(leaky, synapse):
    return st.Network({"in": 6}, {"out": leaky(4)}, [st.Connection("in", "out", synapse)], ["out"])


def test_dropout_is_a_mask_that_keeps_the_mean(leaky):
    network = _network(leaky, st.Dropout(DENSE, 0.3))
    drawn = st.resolved(network, key=jax.random.key(1)).connections[0].synapse
    rows = np.asarray(jax.vmap(drawn.kick)(jnp.arange(6, dtype=jnp.int32)))
    dropped = (rows == 0).all(axis=1)
    np.testing.assert_allclose(rows[~dropped], np.asarray(DENSE.weight)[~dropped] / 0.7, rtol=1e-12)
    keys = jax.random.split(jax.random.key(0), 4000)
    mean = jnp.mean(jax.vmap(lambda key: st.resolved(st.Dropout(DENSE, 0.3), key=key).apply(RATES))(keys), axis=0)
    np.testing.assert_allclose(mean, DENSE.apply(RATES), atol=0.1)


def test_each_dropout_of_a_network_draws_its_own_mask(leaky):
    synapses = [st.Dropout(st.Dense(np.eye(6)), 0.5)] * 3
    connections = [st.Connection("in", "out", synapse) for synapse in synapses]
    network = st.Network({"in": 6}, {"out": leaky(6)}, connections, ["out"])
    drawn = st.resolved(network, key=jax.random.key(0))
    masks = {tuple(np.asarray(c.synapse.apply(jnp.ones(6))).tolist()) for c in drawn.connections}
    assert len(masks) == 3
    again = st.resolved(network, key=jax.random.key(0))
    for one, other in zip(drawn.connections, again.connections, strict=True):
        np.testing.assert_array_equal(one.synapse.apply(RATES), other.synapse.apply(RATES))


def test_dropout_is_off_in_inference(leaky):
    network = eqx.nn.inference_mode(_network(leaky, st.Dropout(DENSE, 0.3)))
    np.testing.assert_array_equal(network.connections[0].synapse.apply(RATES), DENSE.apply(RATES))
    index = jnp.asarray(2, jnp.int32)
    np.testing.assert_array_equal(network.connections[0].synapse.kick(index), DENSE.kick(index))


def test_dropout_refuses():
    with pytest.raises(ValueError, match="p=1.0"):
        st.Dropout(DENSE, 1.0)
    with pytest.raises(ValueError, match="got no key"):
        st.Dropout(DENSE, 0.5).apply(RATES)
    with pytest.raises(ValueError, match="expected it outermost"):
        st.Dropout(st.Normalised(DENSE), 0.5)


def _trained(channels):
    synapse = st.Normalised(DENSE, channels, epsilon=1e-3)
    where = lambda s: (s.gain, s.shift, s.statistics.mean, s.statistics.variance)  # noqa: E731
    values = RNG.uniform(0.5, 2.0, (4, synapse.gain.shape[0]))
    return eqx.tree_at(where, synapse, [jnp.asarray(value) for value in values])


@pytest.mark.parametrize("channels", [None, 2])
def test_normalisation_goes_by_its_statistics(channels):
    synapse = _trained(channels)
    spread = lambda value: np.tile(np.asarray(value), 4 // synapse.gain.shape[0])  # noqa: E731
    scale = spread(synapse.gain) / np.sqrt(spread(synapse.statistics.variance) + 1e-3)
    expected = scale * (np.asarray(DENSE.apply(RATES)) - spread(synapse.statistics.mean)) + spread(synapse.shift)
    np.testing.assert_allclose(synapse.apply(RATES), expected, rtol=1e-12)
    linear, constant = synapse.parts()
    np.testing.assert_allclose(linear.apply(RATES) + constant, expected, rtol=1e-12)
    np.testing.assert_allclose(linear.apply(jnp.zeros(6)), 0.0)


def test_measured_statistics_are_those_of_the_batch():
    synapse = _trained(2)
    batch = jnp.asarray(RNG.uniform(size=(50, 6)))

    def one(rates):
        measured, following = synapse.measured(rates)
        return measured.apply(rates), following

    values, following = jax.vmap(one, axis_name="batch")(batch)
    values = np.asarray(values).reshape(-1, 2)
    np.testing.assert_allclose(values.mean(axis=0), synapse.shift, rtol=1e-12)
    drive = np.asarray(jax.vmap(DENSE.apply)(batch)).reshape(-1, 2)
    ratio = drive.var(axis=0) / (drive.var(axis=0) + 1e-3)
    np.testing.assert_allclose(values.var(axis=0), np.asarray(synapse.gain) ** 2 * ratio, rtol=1e-10)
    expected = 0.9 * np.asarray(synapse.statistics.mean) + 0.1 * drive.mean(axis=0)
    np.testing.assert_allclose(following.mean[0], expected, rtol=1e-12)
    assert np.ptp(np.asarray(following.mean), axis=0).max() == 0


def test_statistics_over_two_axes_are_those_of_all_samples(leaky):
    """As where devices share a batch: the first axis stands for them."""
    network = _network(leaky, _trained(2))
    batch = jnp.asarray(RNG.uniform(size=(8, 6)))

    def total(network, batch):
        measured = lambda rates: network.connections[0].synapse.measured(rates)[0].apply(rates)  # noqa: E731
        outputs = jax.vmap(measured, axis_name="batch")(batch)
        return jnp.sum(jnp.sin(outputs) ** 3)

    def shared(network, parts):
        network = st.normalised_over(network, ("batch", "devices"))
        return jnp.sum(jax.vmap(lambda part: total(network, part), axis_name="devices")(parts))

    whole = eqx.filter_grad(total)(network, batch)
    found = eqx.filter_grad(shared)(network, batch.reshape(2, 4, 6))
    for one, other in zip(jax.tree.leaves(whole), jax.tree.leaves(found), strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-10, atol=1e-14)
    assert st.normalised_over(network, "batch").connections[0].synapse.momentum == 0.9


def test_updates_go_into_the_network(leaky):
    network = _network(leaky, _trained(2))
    new = st.Statistics(jnp.array([1.0, 2.0]), jnp.array([3.0, 4.0]))
    batched = jax.tree.map(lambda value: jnp.stack([value] * 5), new)
    for updates in ({"0": new}, {"0": batched}):
        found = st.updated(network, updates).connections[0].synapse.statistics
        np.testing.assert_array_equal(found.mean, new.mean)
        np.testing.assert_array_equal(found.variance, new.variance)
    is_statistics = jax.tree.leaves(st.statistics_of(network))
    assert sum(is_statistics) == 2


def test_normalisation_refuses():
    with pytest.raises(ValueError, match="channels=3 for 4 targets"):
        st.Normalised(DENSE, 3)
    with pytest.raises(ValueError, match="momentum=1.5"):
        st.Normalised(DENSE, momentum=1.5)
    with pytest.raises(st.UnsupportedError, match="a single spike has no share"):
        st.Normalised(DENSE).kick(jnp.asarray(0, jnp.int32))
    with pytest.raises(ValueError, match="got one sample; expected a batch"):
        st.Normalised(DENSE).measured(RATES)
