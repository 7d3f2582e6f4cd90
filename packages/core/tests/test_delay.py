"""Delays: of every kind, never below their minimum, and trained without ever becoming so."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import saltation as st

POSITIVE = {
    "clip": st.Clip(),
    "softplus": st.Softplus(),
    "softplus scaled": st.Softplus(scale=5.0),
    "sigmoid": st.Sigmoid(scale=20.0, shift=1.5),
}
PARTS = {
    "scalar": ((), None, [True, False, False]),
    "axonal": ((2,), None, [True, False, False]),
    "dendritic": ((3,), None, [False, True, False]),
    "synaptic": ((2, 3), None, [False, False, True]),
    "axonal by name": ((2,), "axonal", [True, False, False]),
    "dendritic by name": ((3,), "dendritic", [False, True, False]),
}


def total(delay: st.AbstractDelay, pre: int, post: int) -> np.ndarray:
    """`d[i, j]`, from the parts that methods ask for."""
    matrix = np.zeros((pre, post))
    if (part := delay.per_source(pre, post)) is not None:
        assert part.shape == (pre,)
        matrix = matrix + np.asarray(part)[:, None]
    if (part := delay.per_target(pre, post)) is not None:
        assert part.shape == (post,)
        matrix = matrix + np.asarray(part)[None, :]
    if (part := delay.per_synapse(pre, post)) is not None:
        assert part.shape == (pre, post)
        matrix = matrix + np.asarray(part)
    return matrix


def full(value: np.ndarray, kind: str) -> np.ndarray:
    columns = kind.startswith("axonal")
    return np.broadcast_to(value[:, None] if columns else value, (2, 3))


@pytest.mark.parametrize("positive", POSITIVE.values(), ids=POSITIVE)
@pytest.mark.parametrize("kind", PARTS)
def test_each_kind_delays_the_right_synapses(kind, positive):
    shape, given, present = PARTS[kind]
    value = 0.5 + np.arange(np.prod(shape, dtype=int)).reshape(shape)
    delay = st.Delay(value, minimum=0.25, kind=given, positive=positive)
    delay.check(2, 3)
    parts = [delay.per_source(2, 3), delay.per_target(2, 3), delay.per_synapse(2, 3)]
    assert [part is not None for part in parts] == present
    np.testing.assert_allclose(total(delay, 2, 3), full(value, kind))
    np.testing.assert_allclose(delay.value, value)


def test_a_python_number_is_fixed():
    delay = st.Delay(2, minimum=0.5)
    assert delay.value == 2.0 and isinstance(delay.value, float)
    assert not jax.tree.leaves(jax.tree.map(lambda x: x if isinstance(x, jax.Array) else None, delay))
    np.testing.assert_array_equal(total(delay, 2, 3), np.full((2, 3), 2.0))
    assert isinstance(st.Delay(np.float64(2.0)).value, float)


def test_delays_add_up():
    synaptic = np.arange(6.0).reshape(2, 3)
    delay = (
        st.Delay(jnp.array([1.0, 2.0]), minimum=1.0)
        + st.Delay(jnp.array([10.0, 20.0, 30.0]), minimum=2.0)
        + st.Delay(synaptic)
        + st.Delay(0.5, minimum=0.5)
    )
    delay.check(2, 3)
    expected = np.array([1.0, 2.0])[:, None] + np.array([10.0, 20.0, 30.0])[None, :] + synaptic + 0.5
    np.testing.assert_allclose(total(delay, 2, 3), expected)
    assert delay.minimum == 3.5
    with pytest.raises(ValueError, match=r"shape \(3,\)"):
        delay.check(2, 4)


def test_a_vector_for_a_square_connection_must_say_which():
    delay = st.Delay(jnp.array([1.0, 2.0]))
    with pytest.raises(ValueError, match=r"2 to 2 units.*kind='axonal'.*kind='dendritic'"):
        delay.check(2, 2)
    value = jnp.array([1.0, 2.0])
    np.testing.assert_array_equal(total(st.Delay(value, kind="axonal"), 2, 2), [[1.0, 1.0], [2.0, 2.0]])
    np.testing.assert_array_equal(total(st.Delay(value, kind="dendritic"), 2, 2), [[1.0, 2.0], [1.0, 2.0]])


@pytest.mark.parametrize("positive", POSITIVE.values(), ids=POSITIVE)
def test_transforms_there_and_back(positive):
    value = jnp.linspace(0.1, 19.0, 50)
    np.testing.assert_allclose(positive.forward(positive.inverse(value)), value, rtol=1e-12)
    narrow = value.astype(jnp.float32)
    back = positive.forward(positive.inverse(narrow))
    assert back.dtype == jnp.float32
    np.testing.assert_allclose(back, narrow, rtol=3e-5)


@pytest.mark.parametrize("positive", POSITIVE.values(), ids=POSITIVE)
def test_training_never_goes_below_the_minimum(positive):
    delay = st.Delay(jnp.array([1.0, 2.0]), minimum=0.5, positive=positive)
    for raw in (-1e3, -30.0, -1.0, 0.0, 1.0):
        moved = jax.tree.map(lambda leaf, raw=raw: jnp.full_like(leaf, raw), delay)
        assert (total(moved, 2, 3) >= 0.5).all()
        gradient = jax.grad(lambda d: jnp.sum(d.value))(moved)
        assert np.isfinite(gradient.raw).all()


def test_a_delay_at_its_minimum_has_a_whole_gradient():
    # `maximum(raw, 0)` would halve it, and a delay that starts at its minimum would learn at half the rate.
    delay = st.Delay(jnp.array([0.5, 1.0]), minimum=0.5)
    np.testing.assert_array_equal(jax.grad(lambda d: jnp.sum(d.value))(delay).raw, [1.0, 1.0])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"value": -1.0}, "got a value of -1.0 with minimum=0.0; expected finite delays at or above"),
        ({"value": np.array([1.0, 0.2]), "minimum": 0.5}, "0.2 with minimum=0.5.*Raise the value or lower"),
        ({"value": np.nan}, "expected finite"),
        ({"value": np.array([np.inf])}, "expected finite"),
        ({"value": 1.0, "minimum": -1.0}, "minimum=-1.0; expected a finite number >= 0"),
        ({"value": 1.0, "kind": "synaptic"}, "kind='synaptic'; expected 'axonal'"),
        ({"value": np.array([0.5]), "minimum": 0.5, "positive": st.Softplus()}, "Softplus.* cannot represent.*Clip"),
        ({"value": np.array([2.0]), "positive": st.Sigmoid(scale=1.0)}, "Sigmoid.* cannot represent"),
    ],
)
def test_delay_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        st.Delay(**arguments)


@pytest.mark.parametrize(
    ("delay", "message"),
    [
        (
            st.Delay(jnp.ones(4)),
            r"shape \(4,\) for a connection of 2 to 3 units; expected \(\).*\(2,\).*\(3,\).*\(2, 3\)",
        ),
        (st.Delay(jnp.ones((3, 2))), r"shape \(3, 2\)"),
        (st.Delay(jnp.ones(3), kind="axonal"), r"shape \(3,\) with kind='axonal'"),
    ],
)
def test_a_shape_that_does_not_fit(delay, message):
    with pytest.raises(ValueError, match=message):
        delay.check(2, 3)


def test_integers_and_lists_become_floats():
    # A delay of integers would round what is above a fractional minimum.
    np.testing.assert_array_equal(st.Delay(jnp.array([1, 2]), minimum=0.75).value, [1.0, 2.0])
    np.testing.assert_array_equal(st.Delay([1, 2]).value, [1.0, 2.0])
    assert st.Delay(np.ones(2, np.float32)).value.dtype == jnp.float32


def test_parts_hold_the_values_of_any_delay():
    delay = st.Delay(jnp.array([1.0, 2.0])) + st.Delay(jnp.array([3.0, 4.0, 5.0])) + st.Delay(0.5, minimum=0.5)
    parts = st.DelayParts.of(delay, 2, 3)
    np.testing.assert_allclose(parts.per_source(2, 3), [1.5, 2.5])
    np.testing.assert_allclose(parts.per_target(2, 3), [3.0, 4.0, 5.0])
    assert parts.per_synapse(2, 3) is None and parts.minimum == 0.5
    parts.check(2, 3)
    with pytest.raises(ValueError, match=r"got source of shape \(2,\); expected \(4,\)"):
        parts.check(4, 3)
