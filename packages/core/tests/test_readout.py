"""Read-outs: from a solution to scores and a class."""

import dataclasses
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import saltation as st

INF = np.inf


class State(NamedTuple):
    v: jax.Array


class Scaled(NamedTuple):
    z: jax.Array


def solution(times=None, rates=None, v=None):
    return st.Solution(
        None if times is None else {"out": st.Spikes.from_dense(jnp.asarray(times))},
        None if rates is None else {"out": jnp.asarray(rates)},
        None if v is None else {"out": State(jnp.asarray(v))},
        None,
        {},
        {},
        st.RESULTS.successful,
    )


def test_first_spikes():
    readout = st.FirstSpikes()
    output = readout(solution([[3.0, 1.0], [2.0, INF], [INF, INF]]))
    np.testing.assert_array_equal(output, [1.0, 2.0, INF])
    assert readout.predict(output) == 0
    assert readout.predict(jnp.full(3, INF)) == -1  # nobody spiked: no decision
    assert readout.needs == {"spikes"}


def test_a_solution_answers_from_its_spikes_or_from_what_the_method_reports():
    found = solution([[3.0, 1.0], [2.0, INF], [INF, INF]])
    np.testing.assert_array_equal(found.first_spikes("out"), [1.0, 2.0, INF])
    np.testing.assert_array_equal(found.spike_count("out"), [2, 1, 0])
    reported = dataclasses.replace(
        solution(), first={"out": jnp.array([4.0, INF])}, stats={"spike_count": {"out": jnp.array([1, 0])}}
    )
    np.testing.assert_array_equal(reported.first_spikes("out"), [4.0, INF])
    np.testing.assert_array_equal(reported.spike_count("out"), [1, 0])
    for ask in (solution().first_spikes, solution().spike_count):
        with pytest.raises(ValueError, match="without spikes; solve with"):
            ask("out")


def test_membrane_is_the_mean_over_the_saved_times():
    readout = st.Membrane()
    output = readout(solution(v=[[0.0, 2.0], [1.0, 1.0]]))
    np.testing.assert_array_equal(output, [0.5, 1.5])
    assert readout.predict(output) == 1 and readout.needs == {"states"}
    without_v = dataclasses.replace(solution(), states={"out": Scaled(jnp.ones((2, 2)))})
    with pytest.raises(ValueError, match=r"Membrane got the variable 'v', which the neurons 'out' do not.*\['z'\]"):
        readout(without_v)


def test_rates():
    readout = st.Rates()
    output = readout(solution(rates=[0.5, 0.25]))
    assert readout.predict(output) == 0 and readout.needs == {"rates"}


@pytest.mark.parametrize("readout", [st.FirstSpikes(), st.Membrane(), st.Rates()])
def test_what_was_not_saved_is_missed(readout):
    with pytest.raises(AssertionError, match="needs Save"):
        readout(solution())


def test_linear_fills_silent_units(getkey):
    readout = st.Linear(st.FirstSpikes(), 3, 2, fill=7.0, key=getkey())
    assert readout.needs == {"spikes"} and readout.bias.shape == (2,)
    output = readout(solution([1.0, INF, 2.0]))
    np.testing.assert_allclose(output, np.array([1.0, 7.0, 2.0]) @ np.asarray(readout.weight))
    assert readout.predict(jnp.array([0.0, 3.0])) == 1


def test_linear_has_finite_gradients_where_units_are_silent(getkey):
    readout = st.Linear(st.FirstSpikes(), 3, 2, key=getkey())

    def total(times, weight):
        return jnp.sum(st.Linear.__call__(_with(readout, weight), solution(times)))

    by_time, by_weight = jax.grad(total, argnums=(0, 1))(jnp.array([1.0, INF, 2.0]), readout.weight)
    np.testing.assert_allclose(by_time, [readout.weight[0].sum(), 0.0, readout.weight[2].sum()])
    np.testing.assert_allclose(by_weight, np.array([1.0, 0.0, 2.0])[:, None] * np.ones((1, 2)))


def _with(readout, weight):
    import equinox as eqx

    return eqx.tree_at(lambda r: r.weight, readout, weight)


def test_a_model_is_a_network_and_a_readout(leaky, getkey):
    net = st.feedforward([2, 3], leaky(), key=getkey())
    model = st.Model(net, st.FirstSpikes())
    assert len(jax.tree.leaves(jax.tree.map(lambda x: x, model))) == len(jax.tree.leaves(net))
