"""Read-outs of states and of spike trains, losses on them, and the term for silent neurons."""

import itertools
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import saltation as st

INF = np.inf


class State(NamedTuple):
    v: jax.Array
    i: jax.Array


class Integrator(st.AbstractODENeuron):
    shape: tuple[int, ...] = eqx.field(converter=st.population_shape, static=True, default=())

    def init(self, *, key=None):
        return State(jnp.full(self.shape, 0.5), jnp.zeros(self.shape))

    def vector_field(self, t, state, current):
        return State(current, -state.i)

    def guard(self, state):
        return state.v - 1.0

    def reset(self, state, *, key=None):
        return State(jnp.zeros_like(state.v), state.i)

    def receive(self, state, kick, port):
        return State(state.v + kick, state.i)

    def observe(self, state):
        return state.v


def solution(times=None, v=None, final=None):
    def state(v):
        return {"out": State(jnp.asarray(v), 2.0 * jnp.asarray(v))}

    return st.Solution(
        None if times is None else {"out": st.Spikes.from_dense(jnp.asarray(times))},
        None,
        None if v is None else state(v),
        None if final is None else state(final),
        {},
        {},
        st.RESULTS.successful,
    )


V = np.array([[0.0, 2.0, 1.0], [1.0, 1.5, 1.0], [0.5, 3.0, -1.0]])


def test_a_state_at_a_time():
    np.testing.assert_array_equal(st.StateAt()(solution(v=V)), V[-1])
    np.testing.assert_array_equal(st.StateAt(variable="i", position=1)(solution(v=V)), 2.0 * V[1])
    assert st.StateAt().predict(jnp.asarray(V[-1])) == 1 and st.StateAt().needs == {"states"}
    with pytest.raises(ValueError, match=r"variable 'w'.*expected one of \['v', 'i'\]"):
        st.StateAt(variable="w")(solution(v=V))


def test_the_integral_of_the_potential():
    readout = st.IntegratedMembrane([0.0, 1.0, 4.0])
    expected = np.trapezoid(V, [0.0, 1.0, 4.0], axis=0)
    np.testing.assert_allclose(readout(solution(v=V)), expected)
    gradient = jax.grad(lambda v: readout(solution(v=v))[1])(jnp.asarray(V))
    np.testing.assert_allclose(gradient, np.array([0.5, 2.0, 1.5])[:, None] * np.eye(3)[1])
    assert readout.predict(jnp.asarray(expected)) == 1
    with pytest.raises(ValueError, match="has 2 times, but states were saved at 3"):
        st.IntegratedMembrane([0.0, 1.0])(solution(v=V))
    with pytest.raises(ValueError, match="at least two"):
        st.IntegratedMembrane([1.0])


def test_the_largest_potential():
    readout = st.MaxMembrane()
    np.testing.assert_array_equal(readout(solution(v=V)), [1.0, 3.0, 1.0])
    gradient = jax.grad(lambda v: jnp.sum(readout(solution(v=v))))(jnp.asarray(V))
    # A tie goes to the first one, whole.
    np.testing.assert_array_equal(gradient, [[0, 0, 1], [1, 0, 0], [0, 1, 0]])
    assert readout.predict(readout(solution(v=V))) == 1


@pytest.mark.parametrize(
    "readout", [st.StateAt(), st.MaxMembrane(), st.SpikeTimes(), st.SmoothCounts(9.0, 1.0), st.SpikesBefore(5.0, 9.0)]
)
def test_what_was_not_saved_is_missed(readout):
    with pytest.raises(AssertionError, match="needs Save"):
        readout(solution())


def test_spike_times_of_each_neuron():
    readout = st.SpikeTimes(room=2)
    output = readout(solution([[3.0, 1.0, 7.0], [INF, 4.0, INF]]))
    np.testing.assert_array_equal(output, [[1.0, 3.0], [4.0, INF]])
    assert readout.predict(output) == -1 and readout.needs == {"spikes"}


def test_smooth_counts():
    times = jnp.array([[2.0, 5.0, 11.0], [9.999, INF, INF], [INF, INF, INF]])
    readout = st.SmoothCounts(10.0, 2.0)
    expected = [2.0 - np.exp(-4.0) - np.exp(-2.5), 1.0 - np.exp(-0.0005), 0.0]
    value, gradient = jax.value_and_grad(lambda t: jnp.sum(readout(solution(t))))(times)
    np.testing.assert_allclose(readout(solution(times)), expected)
    np.testing.assert_allclose(value, sum(expected))
    slopes = np.where(np.asarray(times) < 10, -np.exp(-(10.0 - np.minimum(times, 10.0)) / 2.0) / 2.0, 0.0)
    np.testing.assert_allclose(gradient, slopes)
    assert readout.predict(readout(solution(times))) == 0
    with pytest.raises(ValueError, match="expected positive numbers"):
        st.SmoothCounts(10.0, 0.0)


def test_two_classes_by_a_deadline():
    readout = st.SpikesBefore(5.0, 9.0)
    for time, expected, label in ((3.0, [5.0, 3.0], 1), (6.0, [5.0, 6.0], 0), (INF, [5.0, 9.0], 0)):
        output = readout(solution([[time]]))
        np.testing.assert_array_equal(output, expected)
        assert readout.predict(output) == label
    with pytest.raises(ValueError, match="of 2 neurons"):
        readout(solution([[3.0], [4.0]]))
    with pytest.raises(ValueError, match="silent > deadline"):
        st.SpikesBefore(5.0, 5.0)


def test_a_silent_neuron_has_the_time_at_which_it_would_spike():
    readout = st.Pseudospikes(10.0, lambda state: 1.0 - state.v)
    at = solution([[3.0], [INF], [INF]], final=[0.9, 0.5, -1.0])
    np.testing.assert_allclose(readout(at), [3.0, 10.5, 12.0])
    assert readout.predict(readout(at)) == 0 and readout.needs == {"spikes", "final"}
    gradient = jax.grad(lambda v: jnp.sum(readout(solution([[3.0], [INF], [INF]], final=v))))(jnp.zeros(3))
    np.testing.assert_array_equal(gradient, [0.0, -1.0, -1.0])


TRAINS = jnp.array([[1.0, 4.0, INF], [2.0, INF, INF]]), jnp.array([[1.5, INF], [INF, INF]])


def test_van_rossum_distance_is_the_integral():
    t = np.arange(0.0, 60.0, 1e-3)
    filtered = [
        [
            sum(np.where(t >= s, np.exp(-(t - s) / 2.0), 0.0) for s in unit if np.isfinite(s))
            for unit in np.asarray(train)
        ]
        for train in TRAINS
    ]
    expected = sum(np.sum((np.asarray(f) - g) ** 2) * 1e-3 / 2.0 for f, g in zip(*filtered, strict=True))
    np.testing.assert_allclose(st.van_rossum_distance(*TRAINS, tau=2.0), expected, rtol=1e-3)


def test_van_rossum_distance_of_what_is_equal_and_of_one_spike_more():
    np.testing.assert_allclose(st.van_rossum_distance(TRAINS[0], TRAINS[0], tau=3.0), 0.0, atol=1e-15)
    nothing = jnp.full((2, 1), INF)
    np.testing.assert_allclose(st.van_rossum_distance(jnp.array([[7.0], [INF]]), nothing, tau=3.0), 0.5)
    value, gradient = jax.value_and_grad(lambda t: st.van_rossum_distance(t, nothing, tau=3.0))(nothing)
    assert value == 0.0 and not gradient.any()


def test_gradient_of_the_van_rossum_distance():
    distance = lambda t: st.van_rossum_distance(t, TRAINS[1], tau=2.0)  # noqa: E731
    gradient = jax.grad(distance)(TRAINS[0])
    for n, k in itertools.product(range(2), range(3)):
        step = np.zeros((2, 3))
        step[n, k] = 1e-6
        up, down = (distance(TRAINS[0] + sign * step) for sign in (1, -1))
        np.testing.assert_allclose(gradient[n, k], (up - down) / 2e-6, atol=1e-8)


def test_van_rossum_distance_refuses_what_does_not_fit():
    with pytest.raises(ValueError, match="2 and 1 units"):
        st.van_rossum_distance(TRAINS[0], TRAINS[1][:1], tau=2.0)
    with pytest.raises(ValueError, match="tau=0"):
        st.van_rossum_distance(*TRAINS, tau=0.0)


def test_squared_error():
    value = st.squared_error(jnp.array([1.0, 3.0]), jnp.array([0.0, 1.0]), scale=2.0)
    np.testing.assert_allclose(value, 5.0 / 4.0)
    np.testing.assert_allclose(st.squared_error(jnp.array([3.0]), jnp.array(1.0)), 4.0)
    with pytest.raises(ValueError, match="2 outputs and 3 targets"):
        st.squared_error(jnp.zeros(2), jnp.zeros(3))


def test_existence_is_how_near_silent_neurons_came():
    synapse = st.Dense(jnp.ones((1, 3)))
    network = st.Network({"in": 1}, {"out": Integrator(3)}, [st.Connection("in", "out", synapse)], ["out"])

    def pull(v, **options):
        return st.existence(network, solution([[INF], [4.0], [INF]], v=v), strength=6.0, **options)

    v = jnp.array([[0.2, 0.0, 0.5], [0.75, 0.0, 0.5], [0.25, 0.0, 0.0]])
    # Guards start at -0.5; the neuron in the middle has spiked.
    value, gradient = jax.value_and_grad(pull)(v)
    np.testing.assert_allclose(value, 6.0 * (0.25 / 0.5 + 0.5 / 0.5) / 3.0)
    np.testing.assert_allclose(gradient, [[0, 0, -4.0], [-4.0, 0, 0], [0, 0, 0]])
    assert pull(v, populations=[]) == 0.0
    with pytest.raises(ValueError, match=r"\['hidden'\]; expected some of \['out'\]"):
        pull(v, populations=["hidden"])
    with pytest.raises(ValueError, match="without states"):
        st.existence(network, solution([[INF]] * 3), strength=1.0)
