"""Recurrent LIF neurons in slices of their least delay: the same solution as by the joint search for events."""

import contextlib

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import saltation as st
from saltation_neurons import LIF, QIF, AtMostOnce
from saltation_ode import ODE, _ode, _slice_layer

T1, LEAST = 24.0, 1.5
KINDS = ["axonal", "all"]


def _arguments():
    rng = np.random.default_rng(4)
    times = np.sort(rng.uniform(0.0, 18.0, (3, 6)))
    times[2, 4:] = np.inf
    return {
        "in_a": jnp.asarray(rng.normal(1.2, 1.0, (3, 2))),
        "in_b": jnp.asarray(rng.normal(0.8, 1.0, (3, 2))),
        "a_a": jnp.asarray(rng.normal(0.2, 0.4, (2, 2))),
        "a_b": jnp.asarray(rng.normal(0.4, 0.5, (2, 2))),
        "b_a": jnp.asarray(rng.normal(0.2, 0.5, (2, 2))),
        "times": jnp.asarray(times),
        "inward": jnp.asarray(rng.uniform(0.0, 3.0, (3, 2))),
        "axonal": jnp.asarray(rng.uniform(LEAST, 4.0, 2)),
        "dendritic": jnp.asarray(rng.uniform(LEAST, 4.0, 2)),
        "synaptic": jnp.asarray(rng.uniform(LEAST, 4.0, (2, 2))),
        "tau_mem": jnp.array([12.0, 15.0]),
        "v_threshold": jnp.array(1.0),
        "v_reset": jnp.array([-0.1, 0.0]),
        "drive": jnp.array([0.3, 0.5]),
        "start": jnp.array([0.1, -0.2]),
        "samples": jnp.array([0.0, 7.3, 9.0]),
    }


def _run(at, kind, slices, once=False, given=None):
    """Two populations that excite each other, and a current."""
    own = kind != "axonal"
    a = LIF(2, tau_mem=at["tau_mem"], tau_syn=6.0, v_threshold=at["v_threshold"], v_reset=at["v_reset"])
    initial = {"a": eqx.tree_at(lambda state: state.v, a.init(), at["start"])}
    b = LIF(2, tau_mem=10.0, tau_syn=5.0)
    axonal = st.Delay(at["axonal"], LEAST, kind="axonal")
    connections = [
        st.Connection("in", "a", st.Dense(at["in_a"]), st.Delay(at["inward"]) if own else None),
        st.Connection("in", "b", st.Dense(at["in_b"])),
        st.Connection("drive", "a", st.Dense(jnp.eye(2))),
        st.Connection("a", "a", st.Dense(at["a_a"]), axonal),
        st.Connection(
            "a", "b", st.Dense(at["a_b"]), st.Delay(at["dendritic"], LEAST, kind="dendritic") if own else axonal
        ),
        st.Connection("b", "a", st.Dense(at["b_a"]), st.Delay(at["synaptic"], LEAST) if own else axonal),
    ]
    neurons = {"a": AtMostOnce(a) if once else a, "b": b}
    network = st.Network({"in": 3, "drive": 2}, neurons, connections, ["a", "b"])
    stimulus = {"in": st.Spikes.from_dense(at["times"]), "drive": st.Current(at["drive"])}
    method = ODE(max_spikes=24, slices=slices)
    if given is not None:
        return method.replay(network, stimulus, given, t1=T1, throw=False)
    if once:
        return method.solve(network, stimulus, t1=T1, throw=False)
    return method.solve(network, stimulus, t1=T1, initial=initial, save=st.Save(states_at=at["samples"]), throw=False)


@pytest.fixture(scope="module")
def both(projection):
    """`f(kind)(at)`: value, signature and gradient in slices and by the joint search, in one program."""
    made = {}

    def make(kind):
        if kind not in made:
            ways = [
                eqx.filter_value_and_grad(lambda at, slices=slices: projection(_run(at, kind, slices)), has_aux=True)
                for slices in (True, False)
            ]
            made[kind] = jax.jit(lambda at: [way(at) for way in ways])
        return made[kind]

    return make


def _agree(pair, *, spikes):
    ((value, (which, result)), gradient), ((expected, (also, ended)), by_events) = pair
    assert result == ended == st.RESULTS.successful._value
    assert sum((np.asarray(index) >= 0).sum() for index in which.values()) >= spikes
    for name in which:
        np.testing.assert_array_equal(which[name], also[name])
    np.testing.assert_allclose(value, expected, rtol=1e-12)
    for name, leaf in by_events.items():
        largest = np.abs(np.asarray(leaf)).max()
        np.testing.assert_allclose(gradient[name], leaf, rtol=0, atol=1e-10 * max(largest, 1e-3), err_msg=name)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_slices_and_the_joint_search_agree(both, kind):
    at = _arguments()
    _agree(both(kind)(at), spikes=10)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(3))
def test_they_agree_at_the_borders_of_slices(both, kind, seed):
    # Inputs, samples and delays on the grid, and delays of exactly the minimum: arrivals meet borders.
    at = _arguments()
    rng = np.random.default_rng(seed)
    at["times"] = jnp.asarray(np.sort(LEAST * rng.integers(0, 12, (3, 6)), axis=1))
    at["inward"] = jnp.asarray(LEAST * rng.integers(0, 3, (3, 2)))
    at["samples"] = jnp.array([LEAST, 6 * LEAST, 6 * LEAST])
    for name in ("axonal", "dendritic", "synaptic"):
        at[name] = jnp.full_like(at[name], LEAST) if seed == 0 else at[name] + 0.3 * seed
    _agree(both(kind)(at), spikes=8)


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_replay_agrees(differentiated, kind):
    # Spikes that the network would not have: moved, one too many, one missing.
    at = _arguments()
    own = jax.jit(lambda at: _run(at, kind, True).spikes)(at)
    given = {name: train.to_dense(24) for name, train in own.items()}
    given = {name: jnp.sort(jnp.where(times < 20.0, times + 0.4, jnp.inf)) for name, times in given.items()}
    given["b"] = given["b"].at[0, 0].set(0.2).at[1, 0].set(jnp.inf)
    given = {name: st.Spikes.from_dense(times) for name, times in given.items()}
    ways = [
        differentiated(lambda at, slices=slices: _run(at, kind, slices, given=given))(at) for slices in (True, False)
    ]
    _agree(ways, spikes=8)


@pytest.fixture(scope="module")
def forward():
    return eqx.filter_jit(lambda at, slices: _run(at, "axonal", slices, once=True))


def in_rooms_of(monkeypatch, at, slices):
    """The solution with room for two arrivals and one spike in each of at most so many slices."""
    monkeypatch.setattr(_slice_layer, "_rooms", lambda *args: _slice_layer.Rooms(2, 2, 1, slices))
    return eqx.filter_jit(lambda at: _run(at, "axonal", True, once=True))(at)


@pytest.fixture
def at_once():
    """Several inputs at one time."""
    at = _arguments()
    at["times"] = jnp.round(at["times"] / 3.0) * 3.0
    return at


def test_rooms_are_never_too_small(forward, monkeypatch, at_once):
    # With room for two arrivals and one spike a slice, there are more slices.
    expected = forward(at_once, True)
    solution = in_rooms_of(monkeypatch, at_once, 400)
    assert solution.result == expected.result == st.RESULTS.successful
    assert max(solution.spikes["a"].count()) == 1 and sum(solution.spikes["b"].count()) > 4
    for one, other in zip(jax.tree.leaves(solution), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-12)


@pytest.mark.slow
def test_too_few_slices_are_reported(monkeypatch, at_once):
    assert in_rooms_of(monkeypatch, at_once, 12).result == st.RESULTS.max_steps_reached


@pytest.mark.slow
def test_at_most_once_agrees(forward):
    at = _arguments()
    for one, other in zip(*(jax.tree.leaves(forward(at, slices)) for slices in (True, False)), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-12)


def test_too_many_spikes_are_reported(forward):
    at = _arguments()
    at["in_b"] = jnp.full((3, 2), 500.0)
    assert forward(at, True).result == st.RESULTS.max_spikes_reached


def _cycle(neuron, delay):
    connections = [
        st.Connection("in", "n", st.Dense(jnp.ones((1, 2)))),
        st.Connection("n", "n", st.Dense(jnp.ones((2, 2))), delay),
    ]
    return st.Network({"in": 1}, {"n": neuron}, connections, ["n"])


@pytest.mark.parametrize(
    ("neuron", "delay", "reason"),
    [
        (QIF(2), st.Delay(2.0, 1.0), "'n' are not leaky integrate-and-fire"),
        (LIF(2), st.Delay(2.0), "'n' -> 'n' has no least delay; give it one, such as Delay.value, minimum=1.0"),
        (LIF(2), None, "'n' -> 'n' has no least delay"),
    ],
)
def test_slices_that_cannot_be_say_why(neuron, delay, reason):
    stimulus = {"in": st.Spikes.from_dense(jnp.array([[1.0]]))}
    with pytest.raises(ValueError, match=reason):
        ODE(slices=True).solve(_cycle(neuron, delay), stimulus, t1=T1)


def test_a_delay_below_its_minimum_is_an_error():
    delay = st.DelayParts(source=jnp.array([2.0, 0.5]), minimum=1.0)
    stimulus = {"in": st.Spikes.from_dense(jnp.array([[1.0]]))}
    solution = eqx.filter_jit(lambda net: ODE(slices=True).solve(net, stimulus, t1=4.0, throw=False))(
        _cycle(LIF(2), delay)
    )
    assert solution.result == st.RESULTS.non_finite_input


@pytest.mark.parametrize(("spikes", "slices", "wanted"), [(200, None, True), (2, None, False), (200, False, False)])
def test_slices_are_taken_where_there_are_events_enough(monkeypatch, spikes, slices, wanted):
    class TakenError(Exception):
        pass

    def taken(*args):
        raise TakenError

    monkeypatch.setattr(_ode, "solve_slices", taken)
    network = _cycle(LIF(2), st.Delay(2.0, 1.0))
    stimulus = {"in": st.Spikes.from_dense(jnp.linspace(1.0, 20.0, spikes)[None])}
    method = ODE(max_spikes=4, slices=slices)
    with pytest.raises(TakenError) if wanted else contextlib.nullcontext():
        eqx.filter_eval_shape(lambda: method.solve(network, stimulus, t1=T1, throw=False))
