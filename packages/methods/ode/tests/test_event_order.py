"""What happens at one instant: a neuron's own crossing, then the sum of all arrivals, then the guard.

Integrate-and-fire neurons with delta synapses make times that are exact in binary, so that coincidences are real.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import saltation as st
from saltation_neurons import IF, LIF
from saltation_ode import ODE
from saltation_testing import check_gradient

T1 = 16.0
SILENT = [np.inf, np.inf]


@pytest.fixture(scope="module")
def one_neuron():
    """`f(weight, times, drive)`: spike times, and their Jacobian by each of the three."""

    @eqx.filter_jit
    def solved(at):
        def times(at):
            network = st.Network(
                {"in": 2, "drive": 1},
                {"if": IF(1, tau_syn=None)},
                [
                    st.Connection("in", "if", st.Dense(at["weight"][:, None])),
                    st.Connection("drive", "if", st.Dense(jnp.ones((1, 1)))),
                ],
                ["if"],
            )
            stimulus = {"in": st.Spikes.from_dense(at["times"]), "drive": st.Current(at["drive"][None])}
            solution = ODE(max_spikes=4).solve(network, stimulus, t1=T1, throw=False)
            return solution.spikes["if"].time, solution

        jacobian, solution = jax.jacrev(times, has_aux=True)(at)
        return solution, jacobian

    def run(weight, times, drive=0.0):
        solution, jacobian = solved(
            {"weight": jnp.asarray(weight), "times": jnp.asarray(times), "drive": jnp.asarray(drive)}
        )
        assert all(np.isfinite(leaf).all() for leaf in jacobian.values())
        found = solution.spikes["if"].time
        return np.asarray(found[np.isfinite(found)]), jacobian, solution

    return run


def test_a_kick_that_lifts_the_guard_over_zero_gives_the_spike_its_own_time(one_neuron):
    times, jacobian, _ = one_neuron([1.5, 0.0], [[2.0, np.inf], SILENT])
    np.testing.assert_array_equal(times, [2.0])
    np.testing.assert_array_equal(jacobian["times"][0], [[1.0, 0.0], [0.0, 0.0]])
    np.testing.assert_array_equal(jacobian["weight"][0], [0.0, 0.0])
    np.testing.assert_array_equal(jacobian["drive"][0], 0.0)


@pytest.mark.parametrize(
    ("weight", "count"), [([1.5, -1.0], 0), ([-1.0, 1.5], 0), ([0.625, 0.625], 1), ([0.5, 0.5], 1), ([0.5, 0.25], 0)]
)
def test_arrivals_of_one_instant_are_added_before_the_guard_is_asked(one_neuron, weight, count):
    times, jacobian, _ = one_neuron(weight, [[2.0, np.inf], [2.0, np.inf]])
    np.testing.assert_array_equal(times, [2.0] * count)
    # Moved together, they take the spike with them.
    assert jacobian["times"][0].sum() == count


def test_own_crossing_comes_before_an_arrival_at_the_same_time(one_neuron):
    # With a drive of 1/2 it crosses at 2; there comes an inhibition that would have prevented it a moment before.
    times, jacobian, _ = one_neuron([-1.0, 0.0], [[2.0, np.inf], SILENT], drive=0.5)
    np.testing.assert_array_equal(times, [2.0, 6.0, 8.0, 10.0][: len(times)])
    assert len(times) >= 4
    # The derivative from the left: the arrival comes later than the spike.
    np.testing.assert_allclose(jacobian["drive"][:2], [-4.0, -4.0 - 2.0 / 0.25])
    np.testing.assert_allclose(jacobian["weight"][:2], [[0.0, 0.0], [-2.0, 0.0]])
    np.testing.assert_allclose(jacobian["times"][:2], np.zeros((2, 2, 2)))


def test_an_arrival_after_the_reset_is_not_lost(one_neuron):
    # The spike at 2 is its own; the kick that comes with it stays in the reset membrane.
    times, jacobian, _ = one_neuron([0.5, 0.0], [[2.0, np.inf], SILENT], drive=0.5)
    np.testing.assert_array_equal(times[:3], [2.0, 3.0, 5.0])
    np.testing.assert_allclose(jacobian["weight"][:2], [[0.0, 0.0], [-2.0, 0.0]])


def test_two_kicks_at_one_time_give_two_spikes_if_each_suffices(one_neuron):
    # One unit spikes twice at one time: one sum, one spike. At two times: two.
    assert len(one_neuron([1.5, 0.0], [[2.0, 2.0], SILENT])[0]) == 1
    times, jacobian, _ = one_neuron([1.5, 0.0], [[2.0, 2.25], SILENT])
    np.testing.assert_array_equal(times, [2.0, 2.25])
    np.testing.assert_array_equal(jacobian["times"][:2, 0], np.eye(2))


def test_spikes_at_the_end_of_the_trial_count_and_later_ones_do_not(one_neuron):
    assert one_neuron([1.5, 1.5], [[T1, np.inf], [T1 + 1e-9, np.inf]])[0].tolist() == [T1]
    assert one_neuron([0.0, 0.0], [SILENT, SILENT], drive=1.0 / T1)[0].tolist() == [T1]


def test_an_input_at_time_zero_arrives(one_neuron):
    times, jacobian, _ = one_neuron([1.5, 0.0], [[0.0, np.inf], SILENT])
    assert times.tolist() == [0.0] and jacobian["times"][0, 0, 0] == 1.0


@pytest.fixture(scope="module")
def ring():
    """`f(weight, time, delay)`: four relays that feed back, through one matrix; an input at the first one."""

    @eqx.filter_jit
    def solved(weight, time, delay):
        def times(time):
            network = st.Network(
                {"in": 1},
                {"relay": IF(4, tau_syn=None)},
                [
                    st.Connection("in", "relay", st.Dense(jnp.array([[1.5, 0.0, 0.0, 0.0]]))),
                    st.Connection("relay", "relay", st.Dense(weight), st.Delay(delay)),
                ],
                ["relay"],
            )
            solution = ODE(max_spikes=3).solve(network, {"in": st.Spikes.from_dense(time)}, t1=T1, throw=False)
            return solution.spikes["relay"].to_dense(3), solution

        jacobian, solution = jax.jacfwd(times, has_aux=True)(time)
        return solution.spikes["relay"].to_dense(3), jacobian[:, :, 0, 0], solution

    return lambda weight, delay=np.zeros((4, 4)): solved(
        jnp.asarray(weight, float), jnp.array([[3.0]]), jnp.asarray(delay, float)
    )


def test_a_cascade_without_delay_happens_at_one_time(ring):
    times, by_input, solution = ring(np.diag([1.5, 1.5, 1.5], k=1))
    assert solution.result == st.RESULTS.successful
    np.testing.assert_array_equal(times[:, 0], [3.0] * 4)
    np.testing.assert_array_equal(by_input[:, 0], [1.0] * 4)
    assert np.isinf(times[:, 1:]).all() and not np.any(by_input[:, 1:])


def test_a_cascade_without_end_is_reported(ring):
    weight = np.diag([1.5, 1.5, 1.5], k=1)
    weight[3, 0] = 1.5
    times, _, solution = ring(weight)
    assert solution.result == st.RESULTS.max_spikes_reached
    assert not np.isnan(times).any()


def test_a_cascade_ends_where_the_kicks_are_too_small(ring):
    weight = np.diag([1.5, 1.5, 0.5], k=1)
    weight[2, 0] = 0.75
    times, _, solution = ring(weight)
    assert solution.result == st.RESULTS.successful
    np.testing.assert_array_equal(np.isfinite(times).sum(1), [1, 1, 1, 0])
    np.testing.assert_array_equal(solution.final["relay"].v, [0.75, 0.0, 0.0, 0.5])


def test_each_synapse_of_a_cycle_has_its_own_delay(ring):
    weight, delay = np.diag([1.5, 1.5, 1.5], k=1), np.full((4, 4), 99.0)
    weight[0, 3] = 0.75
    delay[0, 1], delay[1, 2], delay[2, 3], delay[0, 3] = 1.0, 2.0, 4.0, 0.25
    times, by_input, _ = ring(weight, delay)
    np.testing.assert_array_equal(times[:, 0], [3.0, 4.0, 6.0, 10.0])
    np.testing.assert_array_equal(by_input[:, 0], [1.0] * 4)


@pytest.mark.parametrize("inhibition", [0.5, 2.0])
def test_own_crossings_of_one_instant_all_come_before_the_kicks_they_send(inhibition):
    # Two equal neurons with equal drives cross together, and inhibit each other at once.
    network = st.Network(
        {"drive": 1},
        {"if": IF(2, tau_syn=None)},
        [
            st.Connection("drive", "if", st.Dense(jnp.ones((1, 2)))),
            st.Connection("if", "if", st.Dense(-inhibition * (1.0 - jnp.eye(2)))),
        ],
        ["if"],
    )
    solution = ODE(max_spikes=4).solve(network, {"drive": st.Current(jnp.array([0.5]))}, t1=2.5)
    assert solution.spikes["if"].time[:3].tolist() == [2.0, 2.0, np.inf]
    assert sorted(solution.spikes["if"].index[:2].tolist()) == [0, 1]
    np.testing.assert_array_equal(solution.final["if"].v, [0.25 - inhibition] * 2)


def test_equal_neurons_spike_together_with_the_gradient_of_one(differentiated):
    # They excite each other without a delay; what moves them moves them together.
    def run(at):
        weight = at["weight"] * jnp.ones((1, 2))
        recurrent = at["recurrent"] * (1.0 - jnp.eye(2))
        network = st.Network(
            {"in": 1},
            {"lif": LIF(2, tau_mem=at["tau_mem"])},
            [st.Connection("in", "lif", st.Dense(weight)), st.Connection("lif", "lif", st.Dense(recurrent))],
            ["lif"],
        )
        return ODE(max_spikes=6).solve(network, {"in": st.Spikes.from_dense(at["times"])}, t1=30.0, throw=False)

    function = differentiated(run)
    at = {
        "weight": jnp.array(9.0),
        "recurrent": jnp.array(2.0),
        "tau_mem": jnp.array(20.0),
        "times": jnp.array([[1.0, 12.0]]),
    }
    (_, (spikes, result)), gradient = function(at)
    assert result == st.RESULTS.successful._value
    count = np.bincount(np.asarray(spikes["lif"]) + 1, minlength=3)[1:]
    assert count[0] == count[1] >= 2
    check_gradient(lambda at: function(at)[0], gradient, at)
