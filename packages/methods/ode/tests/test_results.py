"""What goes wrong at run time is reported, for the sample in which it did, and never as a NaN that looks well."""

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import saltation as st
from saltation_neurons import IF, LIF, QIF, AtMostOnce, LIFState
from saltation_ode import ODE

T1 = 20.0
RESULTS = st.RESULTS
TIMES = jnp.array([[1.0, 4.0], [2.0, jnp.inf]])


def _network(neuron, weight=4.0, *, recurrent=False):
    n = neuron.size
    connections = [st.Connection("in", "n", st.Dense(weight * jnp.ones((2, n))))]
    if recurrent:
        connections.append(st.Connection("n", "n", st.Dense(0.1 * jnp.ones((n, n)))))
    return st.Network({"in": 2}, {"n": neuron}, connections, ["n"])


LAYER = _network(LIF(2))
CYCLE = _network(LIF(2), recurrent=True)
NUMERICAL = _network(QIF(1), 20.0)


def _spikes(times):
    return {"in": st.Spikes.from_dense(times)}


@pytest.mark.parametrize("network", [LAYER, CYCLE], ids=["layer", "cycle"])
def test_too_many_spikes_are_reported(solve, network):
    count = int(solve(ODE(max_spikes=8), network, _spikes(TIMES), t1=T1).stats["spike_count"]["n"].max())
    assert count > 1
    enough = solve(ODE(max_spikes=count), network, _spikes(TIMES), t1=T1)
    short = solve(ODE(max_spikes=count - 1), network, _spikes(TIMES), t1=T1)
    assert enough.result == RESULTS.successful and short.result == RESULTS.max_spikes_reached
    assert not any(np.isnan(leaf).any() for leaf in jax.tree.leaves((short.spikes, short.final)))
    with pytest.raises(st.SolveError, match="Raise `max_spikes`"):
        ODE(max_spikes=count - 1).solve(network, _spikes(TIMES), t1=T1)


def test_throw_raises_inside_jit_as_well():
    @eqx.filter_jit
    def first(times):
        return ODE(max_spikes=1).solve(LAYER, _spikes(times), t1=T1).spikes["n"].first()

    assert jnp.all(jnp.isfinite(first(TIMES + 12.0)))
    with pytest.raises(eqx.EquinoxRuntimeError, match="Raise `max_spikes`"):
        jax.block_until_ready(first(TIMES))


def test_one_spike_is_room_enough_for_neurons_that_spike_once(solve):
    solution = solve(ODE(max_spikes=1), _network(AtMostOnce(LIF(2))), _spikes(TIMES), t1=T1)
    assert solution.result == RESULTS.successful and solution.spikes["n"].count().tolist() == [1, 1]


def test_too_few_steps_are_reported(solve):
    assert solve(ODE(max_steps=5000), NUMERICAL, _spikes(TIMES), t1=T1).result == RESULTS.successful
    short = solve(ODE(max_steps=5), NUMERICAL, _spikes(TIMES), t1=T1)
    assert short.result == RESULTS.max_steps_reached
    assert not any(np.isnan(leaf).any() for leaf in jax.tree.leaves(short.spikes))


@pytest.mark.parametrize(
    "method",
    [
        pytest.param(ODE(max_steps=3000), id="adaptive"),
        pytest.param(ODE(solver=diffrax.Euler(), step=0.1), id="fixed steps"),
        pytest.param(ODE(solver=diffrax.Tsit5(), step=0.1), id="fixed steps of several stages", marks=pytest.mark.slow),
    ],
)
def test_a_state_that_runs_away_is_reported(method):
    # So late a threshold takes ever shorter steps; fixed ones too are cut where they would jump over the upstroke.
    network = _network(QIF(1, v_threshold=1e25), 1e4)

    def total(times):
        solution = method.solve(network, _spikes(times), t1=T1, throw=False)
        found = solution.spikes["n"].time
        return jnp.sum(jnp.where(jnp.isfinite(found), found, 0.0)), (found, solution.result)

    gradient, (found, result) = eqx.filter_jit(eqx.filter_grad(total, has_aux=True))(TIMES)
    assert result in (RESULTS.diverged, RESULTS.max_steps_reached)
    assert not np.isnan(found).any()
    assert np.isfinite(gradient).all()


@pytest.mark.parametrize("solver", [diffrax.Euler(), diffrax.Bosh3(), diffrax.Tsit5()], ids=lambda s: type(s).__name__)
def test_fixed_steps_do_not_jump_over_an_upstroke(solve, solver):
    # From rest to the end of the upstroke it takes this neuron 0.02 ms; the fixed step is five times that.
    network = _network(QIF(1, tau_mem=1.0, v_threshold=1e3, v_reset=-1e3), 5e3)
    exact = solve(ODE(max_spikes=32), network, _spikes(TIMES), t1=1.5).spikes["n"].first()
    found = solve(ODE(max_spikes=32, solver=solver, step=0.1, max_steps=1000), network, _spikes(TIMES), t1=1.5)
    assert found.result == RESULTS.successful
    np.testing.assert_allclose(found.spikes["n"].first(), exact, atol=0.03)


def test_a_steep_upstroke_is_no_divergence(solve):
    solution = solve(ODE(max_spikes=16), _network(QIF(1, tau_mem=10.0, v_threshold=200.0), 6.0), _spikes(TIMES), t1=T1)
    assert solution.result == RESULTS.successful and solution.spikes["n"].count()[0] >= 2
    assert solution.stats["min_slope"]["n"] > 1e3


@eqx.filter_jit
def _result(network, times, states_at=None, current=None, initial=None):
    stimulus = _spikes(times) if current is None else {"in": st.Current(current)}
    solution = ODE().solve(network, stimulus, t1=T1, save=st.Save(states_at=states_at), initial=initial, throw=False)
    return solution.result


def _with_weight(network, value):
    weight = network.connections[0].synapse.weight
    return eqx.tree_at(lambda n: n.connections[0].synapse.weight, network, weight.at[0, 0].set(value))


@pytest.mark.parametrize("network", [LAYER, CYCLE], ids=["layer", "cycle"])
def test_bad_numbers_are_reported_where_they_cannot_be_seen_before(network):
    assert _result(network, TIMES) == RESULTS.successful
    for bad in (jnp.nan, -1.0, -jnp.inf):
        assert _result(network, TIMES.at[0, 1].set(bad)) == RESULTS.non_finite_input, bad
    for bad in (jnp.nan, jnp.inf):
        assert _result(_with_weight(network, bad), TIMES) == RESULTS.non_finite_input, bad
    assert _result(network, TIMES, current=jnp.array([jnp.nan, 0.0])) == RESULTS.non_finite_input
    parameter = eqx.tree_at(lambda n: n.neurons["n"], network, LIF(2, tau_mem=jnp.array([20.0, 10.0])))
    assert _result(parameter, TIMES) == RESULTS.successful
    parameter = eqx.tree_at(lambda n: n.neurons["n"].tau_mem, parameter, jnp.array([20.0, jnp.nan]))
    assert _result(parameter, TIMES) == RESULTS.non_finite_input


def test_bad_times_of_states_are_reported():
    assert _result(LAYER, TIMES, jnp.array([0.0, 5.0, T1])) == RESULTS.successful
    for bad in ([0.0, 5.0, T1 + 1.0], [5.0, 4.0, 6.0], [-1.0, 5.0, 6.0], [0.0, jnp.nan, 6.0]):
        assert _result(LAYER, TIMES, jnp.array(bad)) == RESULTS.bad_save_times, bad
    with pytest.raises(st.SolveError, match="states_at"):
        ODE().solve(LAYER, _spikes(TIMES), t1=T1, save=st.Save(states_at=jnp.array([T1 + 1.0])))


def test_a_start_above_the_threshold_is_a_mistake():
    start = {"n": LIFState(jnp.array([0.0, 1.5]), jnp.zeros(2))}
    with pytest.raises(ValueError, match="at or above their threshold at the start"):
        ODE().solve(LAYER, _spikes(TIMES), t1=T1, initial=start)
    assert _result(LAYER, TIMES, initial=start) == RESULTS.guard_at_start
    assert _result(LAYER, TIMES, initial=jax.tree.map(lambda x: 0.5 * x, start)) == RESULTS.successful


def test_a_neuron_that_starts_above_its_threshold_spikes_after_it_has_been_below(solve):
    # v falls from 1.5 to below 1 and comes back with the current of the second input.
    network = _network(LIF(1, tau_mem=4.0), 8.0)
    start = {"n": LIFState(jnp.array([1.5]), jnp.zeros(1))}
    solution = solve(ODE(), network, _spikes(jnp.array([[10.0], [jnp.inf]])), t1=T1, initial=start)
    assert solution.result == RESULTS.guard_at_start
    assert 10.0 < solution.spikes["n"].first()[0] < 12.0


def test_a_reset_above_the_threshold_is_a_mistake():
    network = eqx.tree_at(lambda n: n.neurons["n"], LAYER, LIF(2, v_reset=jnp.zeros(2)))
    network = eqx.tree_at(lambda n: n.neurons["n"].v_reset, network, jnp.array([0.0, 1.0]))
    with pytest.raises(ValueError, match="right after a reset"):
        ODE().solve(network, _spikes(TIMES), t1=T1)
    assert _result(network, TIMES) == RESULTS.guard_at_start


def test_a_kick_beyond_what_a_reset_by_subtraction_takes_is_reported(solve):
    network = _network(IF(1, tau_syn=None, reset_mode="subtract"), 2.5)
    solution = solve(ODE(), network, _spikes(jnp.array([[2.0], [jnp.inf]])), t1=T1)
    assert solution.spikes["n"].time.tolist()[:2] == [2.0, np.inf]
    assert solution.result == RESULTS.guard_at_start


def test_flatness_and_counts_are_reported(solve):
    # v(u) = 9 (exp(-u/20) - exp(-u/10)) grazes 1 from above: the crossing is flat.
    network = _network(LIF(1, tau_mem=20.0, tau_syn=10.0), 4.001)
    solution = solve(ODE(), network, _spikes(jnp.array([[1.0], [jnp.inf]])), t1=T1)
    assert solution.stats["spike_count"]["n"].tolist() == [1]
    assert 0 < solution.stats["min_slope"]["n"] < 5e-3
    silent = solve(ODE(), network, _spikes(jnp.full((2, 1), jnp.inf)), t1=T1)
    assert silent.stats["spike_count"]["n"].tolist() == [0] and silent.stats["min_slope"]["n"] == jnp.inf


@pytest.mark.parametrize(
    "network",
    [
        pytest.param(LAYER, id="layer"),
        pytest.param(CYCLE, id="cycle"),
        pytest.param(NUMERICAL, id="numerical", marks=pytest.mark.slow),
    ],
)
def test_a_sample_that_fails_leaves_the_others_alone(network):
    good, more = np.array([[2.0, jnp.inf], [3.0, jnp.inf]]), np.array([[2.0, jnp.inf], [3.0, 9.0]])
    failing = np.array([[1.0, 1.2], [1.4, 1.6]])
    batch = jnp.asarray(np.stack([good, failing, np.full((2, 2), np.nan), more]))
    method = ODE(max_spikes=2)

    def run(times):
        solution = method.solve(network, _spikes(times), t1=T1, throw=False)
        return solution.spikes["n"].time, solution.final["n"], solution.result

    def loss(times):
        found, final, result = jax.vmap(run)(times)
        # As a training run does: failed samples are masked.
        finite = jnp.isfinite(found) & (result == RESULTS.successful)[:, None]
        return jnp.sum(jnp.where(finite, found, 0.0)), (found, final, result)

    together = eqx.filter_jit(eqx.filter_grad(loss, has_aux=True))
    gradient, (times, final, result) = together(batch)
    assert np.asarray(result == RESULTS.successful).tolist() == [True, False, False, True]
    assert np.asarray(result == RESULTS.max_spikes_reached).tolist() == [False, True, False, False]
    assert np.asarray(result == RESULTS.non_finite_input).tolist() == [False, False, True, False]
    others = jnp.stack([batch[0], batch[0], batch[3], batch[3]])
    expected_gradient, expected = together(others)
    for sample in (0, 3):
        for one, other in zip(jax.tree.leaves((times, final)), jax.tree.leaves(expected[:2]), strict=True):
            np.testing.assert_allclose(one[sample], other[sample], rtol=1e-9, atol=1e-12)
        finite = np.isfinite(batch[sample])
        np.testing.assert_allclose(
            np.asarray(gradient[sample])[finite], np.asarray(expected_gradient[sample])[finite], rtol=1e-7
        )
    assert np.isfinite(np.asarray(gradient)[[0, 3]]).all()
