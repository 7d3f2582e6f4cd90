"""Spike trains: sorted, padded, and differentiable in every time."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as hs

import saltation as st

INF = np.inf


def dense_times():
    """Times per unit from a coarse grid, so that ties are common, with silent slots in any place."""
    time = hs.one_of(hs.just(INF), hs.integers(0, 9).map(lambda n: n / 2))
    return hs.sampled_from([(1, 1), (3, 4), (5, 2)]).flatmap(
        lambda shape: hs.lists(time, min_size=shape[0] * shape[1], max_size=shape[0] * shape[1]).map(
            lambda flat: np.array(flat).reshape(shape)
        )
    )


@given(times=dense_times())
@settings(max_examples=50, deadline=None)
def test_from_dense_is_sorted_and_padded(times):
    train = st.Spikes.from_dense(times)
    assert train.size == times.shape[0] and train.time.shape == (times.size,)
    assert train.index.dtype == jnp.int32
    time, index = np.asarray(train.time), np.asarray(train.index)
    assert (time[1:] >= time[:-1]).all()
    np.testing.assert_array_equal(np.isinf(time), index == -1)
    sent = sorted((t, unit) for unit, row in enumerate(times) for t in row if t < INF)
    assert sorted(zip(time[index >= 0].tolist(), index[index >= 0].tolist())) == sent


@given(times=dense_times())
@settings(max_examples=50, deadline=None)
def test_dense_and_back(times):
    train = st.Spikes.from_dense(times)
    np.testing.assert_array_equal(train.to_dense(times.shape[1]), np.sort(times, axis=1))
    np.testing.assert_array_equal(train.first(), times.min(axis=1))
    np.testing.assert_array_equal(train.count(), np.isfinite(times).sum(axis=1))
    np.testing.assert_array_equal(train.valid(), np.isfinite(train.time))


@given(times=dense_times())
@settings(max_examples=30, deadline=None)
def test_float32_sorts_like_float64(times):
    # The float32 path packs a time and its position into one integer.
    wide = st.Spikes.from_dense(times)
    narrow = st.Spikes.from_dense(times.astype(np.float32))
    assert narrow.time.dtype == jnp.float32
    np.testing.assert_array_equal(narrow.time, wide.time.astype(jnp.float32))
    np.testing.assert_array_equal(narrow.index, wide.index)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_equal_times_keep_the_order_of_the_units(dtype):
    train = st.Spikes.from_dense(np.array([[2.0, 1.0], [1.0, INF], [1.0, 2.0]], dtype))
    np.testing.assert_array_equal(train.time, np.array([1, 1, 1, 2, 2, INF], dtype))
    np.testing.assert_array_equal(train.index, [0, 1, 2, 0, 2, -1])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_argsort_of_any_floats(dtype):
    special = [0.0, -0.0, 1e-30, -1e-30, 3.0, -3.0, 1e30, INF, INF, -INF, 3.0, 1e-45]
    random = np.random.default_rng(0).normal(size=500).tolist()
    times = np.array(special + random, dtype)
    order = st.argsort_times(jnp.asarray(times))
    assert order.dtype == jnp.int32
    # XLA flushes denormals to zero in comparisons, NumPy does not: compare what is sorted, then what is stable.
    np.testing.assert_array_equal(np.abs(np.diff(times[order][np.isfinite(times[order])])).min() >= 0, True)
    normal = np.abs(times) != np.array(1e-45, dtype)
    expected = np.argsort(times[normal], kind="stable")
    kept = np.asarray(st.argsort_times(jnp.asarray(times[normal])))
    np.testing.assert_array_equal(kept, expected)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_vmap_is_a_loop(dtype):
    rng = np.random.default_rng(1)
    times = rng.uniform(0, 10, (6, 4, 3)).round(1).astype(dtype)
    times[rng.uniform(size=times.shape) < 0.3] = INF
    for transform in (lambda f: f, jax.jit):
        batch = transform(jax.vmap(st.Spikes.from_dense))(jnp.asarray(times))
        assert batch.time.dtype == dtype
        for row, sample in enumerate(times):
            one = st.Spikes.from_dense(sample)
            np.testing.assert_array_equal(batch.time[row], one.time)
            np.testing.assert_array_equal(batch.index[row], one.index)
        np.testing.assert_array_equal(jax.vmap(lambda s: s.first())(batch), times.min(axis=2))
        np.testing.assert_array_equal(jax.vmap(lambda s: s.to_dense(3))(batch), np.sort(times, axis=2))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_gradient_reaches_each_time_and_no_padding(dtype):
    times = jnp.asarray(np.array([[3.0, 1.0], [INF, 2.0], [INF, INF]], dtype))
    weight = jnp.asarray(np.array([[10.0, 20.0], [30.0, 40.0], [50.0, 60.0]], dtype))

    def weighted(times):
        dense = st.Spikes.from_dense(times).to_dense(2)
        finite = jnp.isfinite(dense)
        return jnp.sum(jnp.where(finite, weight * jnp.where(finite, dense, 0.0), 0.0))

    # Sorted within a unit: 1 comes before 3, so it has the first weight.
    np.testing.assert_array_equal(jax.jit(jax.grad(weighted))(times), [[20.0, 10.0], [0.0, 30.0], [0.0, 0.0]])
    np.testing.assert_array_equal(jax.jit(jax.jacfwd(weighted))(times), [[20.0, 10.0], [0.0, 30.0], [0.0, 0.0]])


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_gradient_of_first_goes_to_one_spike_of_a_tie(dtype):
    times = jnp.asarray(np.array([[2.0, 2.0], [2.0, INF], [INF, INF]], dtype))

    def total(times):
        first = st.Spikes.from_dense(times).first()
        return jnp.sum(jnp.where(jnp.isfinite(first), first, 0.0))

    gradient = np.asarray(jax.grad(total)(times))
    assert sorted(gradient[0]) == [0.0, 1.0]
    np.testing.assert_array_equal(gradient[1:], [[1.0, 0.0], [0.0, 0.0]])


def test_shift_delays_spikes_and_leaves_padding():
    train = st.Spikes.from_dense(jnp.array([[1.0], [INF], [0.5]]))
    later = train.shift(2.5)
    np.testing.assert_array_equal(later.time, [3.0, 3.5, INF])
    np.testing.assert_array_equal(later.index, train.index)
    gradient = jax.grad(lambda by: jnp.sum(train.shift(by).first()[jnp.array([0, 2])]))(1.0)
    assert gradient == 2.0


@pytest.mark.parametrize(
    ("by", "message"), [(-1.0, "got -1.0; expected a number >= 0"), (np.ones(2), r"shape \(2,\).*from_dense")]
)
def test_shift_refuses(by, message):
    with pytest.raises(ValueError, match=message):
        st.Spikes.from_dense(jnp.array([1.0, 2.0])).shift(by)


def test_merge_holds_all_spikes():
    one, two = st.Spikes.from_dense(jnp.array([1.0, INF])), st.Spikes.from_dense(jnp.array([[0.5, 3.0], [1.0, INF]]))
    both = st.merge([one, two])
    np.testing.assert_array_equal(both.time, [0.5, 1.0, 1.0, 3.0, INF, INF])
    np.testing.assert_array_equal(both.index, [0, 0, 1, 0, -1, -1])
    assert both.size == 2
    with pytest.raises(ValueError, match=r"trains of \[2, 3\] units.*same size"):
        st.merge([one, st.Spikes.empty(3)])


def test_a_silent_train():
    train = st.Spikes.empty(3)
    np.testing.assert_array_equal(train.first(), [INF] * 3)
    np.testing.assert_array_equal(train.count(), [0, 0, 0])
    np.testing.assert_array_equal(train.to_dense(2), np.full((3, 2), INF))


def test_to_dense_without_room_is_an_error_not_a_loss():
    train = st.Spikes.from_dense(jnp.array([[1.0, 2.0], [3.0, INF]]))
    with pytest.raises(Exception, match=r"a unit has more than 1 spikes.*larger k"):
        jax.block_until_ready(train.to_dense(1))
    with pytest.raises(Exception, match="more than 1 spikes"):
        jax.block_until_ready(jax.jit(lambda train: train.to_dense(1))(train))


@pytest.mark.parametrize(
    ("times", "message"),
    [
        ([[1.0, np.nan]], r"times\[0, 1\] = nan; expected times >= 0.*Replace NaN by inf"),
        ([[1.0], [-2.0]], r"times\[1, 0\] = -2.0; expected times >= 0.*shift negative"),
        (np.ones((2, 2, 2)), r"shape \(2, 2, 2\); expected \[n, k\].*jax.vmap"),
        (1.0, r"shape \(\); expected \[n, k\]"),
    ],
)
def test_from_dense_refuses(times, message):
    with pytest.raises(ValueError, match=message):
        st.Spikes.from_dense(times)


@pytest.mark.parametrize(
    ("time", "index", "message"),
    [
        ([1.0, np.nan], [0, 1], "time = nan at position 1; expected times >= 0"),
        ([-1.0, 2.0], [0, 1], "time = -1.0 at position 0"),
        ([2.0, 1.0], [0, 1], r"not sorted.*Spikes.from_dense\(times\[n, k\]\)"),
        ([1.0, 2.0], [0], r"shape \(2,\) and index of shape \(1,\).*from_dense"),
        (1.0, 0, r"expected two arrays of one shape \[K\]"),
        ([1.0, 2.0], [0, 2], r"index 2 for 2 units; expected -1 .. 1"),
        ([1.0, 2.0], [0, -2], r"index -2 for 2 units; expected -1 .. 1"),
        ([1.0, INF], [0, 1], "index = -1 exactly where time is inf"),
        ([1.0, 2.0], [0, -1], "index = -1 exactly where time is inf"),
        ([1.0, 2.0], [0.0, 1.0], "dtype float64; expected integers"),
    ],
)
def test_spikes_refuse(time, index, message):
    with pytest.raises(ValueError, match=message):
        st.Spikes(time, index, 2)


def test_what_is_traced_is_not_checked():
    # Its values are unknown: methods report bad times in Solution.result.
    train = jax.jit(lambda time: st.Spikes(time, jnp.array([0, 1]), 2))(jnp.array([2.0, jnp.nan]))
    assert jnp.isnan(train.time[1])


def test_integers_become_floats_and_float32_stays():
    assert st.Spikes([1, 2], [0, 1], 2).time.dtype == jnp.float64
    assert st.Spikes(jnp.array([1.0], jnp.float32), [0], 2).time.dtype == jnp.float32
    assert st.Spikes.from_dense(np.array([1, 2])).time.dtype == jnp.float64


def test_a_wrong_shape_is_caught_by_jaxtyping():
    with pytest.raises(Exception, match="Float"):
        st.argsort_times(jnp.ones((2, 2)))
