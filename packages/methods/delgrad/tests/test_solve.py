"""What `solve` refuses, reports and leaves alone."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import saltation as st
from saltation_delgrad import DelGrad
from saltation_neurons import IF, LIF, AtMostOnce, Refractory

ONCE = AtMostOnce(LIF(tau_mem=20.0, tau_syn=10.0))
STIMULUS = {"in": st.Spikes.from_dense(jnp.array([1.0, 2.0, 4.0]))}


def _network(neuron=ONCE, delay=None, size=2, weight=2.0, port="current"):
    connection = st.Connection("in", "out", st.Dense(jnp.full((3, size), weight)), delay, port)
    return st.Network({"in": 3}, {"out": neuron.with_shape(size)}, [connection], ["out"])


@pytest.mark.parametrize(
    ("network", "words"),
    [
        (_network(LIF()), "may spike more than once.*AtMostOnce"),
        (_network(AtMostOnce(Refractory(LIF(), 2.0))), "not integrate-and-fire neurons.*method 'ode'"),
        (_network(AtMostOnce(IF(tau_syn=None))), "not integrate-and-fire neurons with a synaptic current"),
        (_network(AtMostOnce(IF(reset_mode="subtract"))), "reset to a value"),
        (_network(port="other"), "ends at the port 'other'"),
        (st.recurrent(3, {"a": AtMostOnce(LIF(2))}, key=jax.random.key(0)), r"\['a'\] are recurrent.*method 'ode'"),
    ],
)
def test_what_has_no_closed_form_is_refused_with_what_would_help(network, words):
    support = DelGrad().supports(network)
    assert not support
    with pytest.raises(st.UnsupportedError, match=f"(?s)DelGrad cannot solve this network: .*{words}"):
        DelGrad().solve(network, STIMULUS, t1=60.0)


def test_first_spikes_are_those_of_the_trains():
    network = _network(delay=st.Delay(jnp.array([0.5, 80.0])), weight=9.0)

    @eqx.filter_jit
    @eqx.filter_value_and_grad
    def total(network, ask):
        times = ask(DelGrad().solve(network, STIMULUS, t1=60.0))
        return jnp.sum(jnp.where(jnp.isfinite(times), times, 0.0))

    value, gradient = total(network, lambda solution: solution.first_spikes("out"))
    expected, wanted = total(network, lambda solution: solution.spikes["out"].first())
    assert value == expected > 0.0
    found = jax.tree.leaves(gradient)
    assert any(np.abs(leaf).max() > 0 for leaf in found)
    for leaf, right in zip(found, jax.tree.leaves(wanted), strict=True):
        np.testing.assert_array_equal(leaf, right)


def test_states_are_refused():
    with pytest.raises(ValueError, match="got Save.*spikes only"):
        DelGrad().solve(_network(), STIMULUS, t1=60.0, save=st.Save(states_at=jnp.array([1.0])))
    with pytest.raises(ValueError, match="got initial states.*start at rest"):
        DelGrad().solve(_network(), STIMULUS, t1=60.0, initial={"out": ONCE.with_shape(2).init()})


def test_currents_must_be_constant_and_undelayed():
    pulse = st.Current(jnp.ones((1, 3)), start=jnp.array([2.0]))
    with pytest.raises(st.UnsupportedError, match="changes in time.*constant"):
        DelGrad().solve(_network(), {"in": pulse}, t1=60.0)
    with pytest.raises(st.UnsupportedError, match="a current and a delay"):
        DelGrad().solve(_network(delay=st.Delay(1.0)), {"in": st.Current(jnp.ones(3))}, t1=60.0)


def test_parameters_must_fit_and_start_below_the_threshold():
    with pytest.raises(ValueError, match=r"tau_mem of shape \(3,\); expected \(\) or \(2,\)"):
        DelGrad().solve(_network(AtMostOnce(LIF(tau_mem=jnp.ones(3)))), STIMULUS, t1=60.0)
    above = _network(AtMostOnce(LIF(v_leak=2.0)))
    with pytest.raises(ValueError, match="at or above their threshold.*expected v_leak < v_threshold"):
        DelGrad().solve(above, STIMULUS, t1=60.0)


@pytest.mark.parametrize("limit", [0.0, -1.0, float("nan"), "0.2"])
def test_a_limit_must_be_positive(limit):
    with pytest.raises((ValueError, TypeError)):
        DelGrad(gradient_limit=limit)


def test_values_that_are_not_finite_or_negative_are_reported(solve):
    network = _network(delay=st.Delay(jnp.array([1.0, 1.0, 2.0])))
    assert solve(network, STIMULUS, t1=60.0).result == st.RESULTS.successful
    late = eqx.tree_at(lambda s: s["in"].time, STIMULUS, jnp.array([1.0, 2.0, jnp.nan]))
    weight = eqx.tree_at(lambda n: n.connections[0].synapse.weight, network, jnp.full((3, 2), jnp.nan))
    for bad in ((network, late), (weight, STIMULUS)):
        assert solve(*bad, t1=60.0).result == st.RESULTS.non_finite_input
    with pytest.raises(st.SolveError, match="NaN, infinite or negative"):
        DelGrad().solve(network, late, t1=60.0)
    # A delay that someone made negative behind the back of its parametrisation.
    fixed = _network(delay=st.Delay(1.0))
    negative = eqx.tree_at(lambda n: n.connections[0].delay.raw, fixed, -0.5)
    assert DelGrad().solve(negative, STIMULUS, t1=60.0, throw=False).result == st.RESULTS.non_finite_input


def test_statistics(solve):
    weight = jnp.array([[2.0, 0.0], [2.0, 0.1], [2.0, 0.0]])
    network = eqx.tree_at(lambda n: n.connections[0].synapse.weight, _network(), weight)
    stats = solve(network, STIMULUS, t1=60.0).stats
    np.testing.assert_array_equal(stats["spike_count"]["out"], [1, 0])
    assert stats["flat"]["out"] == 0 and 0 < stats["min_slope"]["out"] < 1


def test_a_spike_after_the_end_is_none(solve):
    first = solve(_network(), STIMULUS, t1=60.0).spikes["out"].first()
    before, at = (DelGrad().solve(_network(), STIMULUS, t1=float(first[0]) + by) for by in (-1e-6, 1e-6))
    assert np.isinf(before.spikes["out"].first()).all()
    np.testing.assert_allclose(at.spikes["out"].first(), first)


def test_postponing_all_arrivals_of_a_neuron_postpones_its_spike(solve):
    alone = solve(_network(), STIMULUS, t1=60.0).spikes["out"].first()
    late = solve(_network(delay=st.Delay(jnp.array([3.0, 70.0]))), STIMULUS, t1=60.0).spikes["out"].first()
    np.testing.assert_allclose(late, [alone[0] + 3.0, np.inf])


def test_many_arrivals_are_few_arrivals_and_silence(solve):
    few = solve(_network(), STIMULUS, t1=60.0).spikes["out"].first()
    padding = 500
    stimulus = {"in": st.Spikes.from_dense(jnp.concatenate([STIMULUS["in"].time, jnp.full(padding, jnp.inf)]))}
    weight = jnp.full((3 + padding, 2), 2.0)
    network = st.Network(
        {"in": 3 + padding}, {"out": ONCE.with_shape(2)}, [st.Connection("in", "out", st.Dense(weight))], ["out"]
    )
    np.testing.assert_allclose(solve(network, stimulus, t1=60.0).spikes["out"].first(), few, rtol=1e-14)


def test_rates_have_no_derivative():
    save = st.Save(rates=True)
    solution = DelGrad().solve(_network(), STIMULUS, t1=60.0, save=save)
    np.testing.assert_allclose(solution.rates["out"], 1 / 60.0)
    with pytest.raises(TypeError, match="a count has no derivative"):
        eqx.filter_grad(lambda n: jnp.sum(DelGrad().solve(n, STIMULUS, t1=60.0, save=save).rates["out"]))(_network())
