"""Layers of LIF neurons have a fast way of their own: it agrees with the general way, and with differences."""

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import saltation as st
from saltation_neurons import LIF, AtMostOnce
from saltation_ode import ODE
from saltation_testing import check_gradient

T1 = 40.0
ROOM = 12
SAVE = st.Save(states_at=jnp.array([0.0, 9.0, 23.0]))


def _arguments(shape):
    """Everything that a layer of three neurons can be differentiated by."""
    rng = np.random.default_rng(1)
    times = rng.uniform(1.0, 25.0, (3, 3))
    times[1, 2] = np.inf

    def constant(value, spread):
        return jnp.asarray(value + spread * rng.uniform(-1.0, 1.0, shape))

    return {
        "weight": jnp.asarray(rng.normal(1.6, 1.2, (3, 3))),
        "times": jnp.asarray(times),
        "drive": jnp.asarray(rng.normal(0.3, 0.2, 3)),
        "axonal": jnp.asarray(rng.uniform(0.2, 3.0, 3)),
        "dendritic": jnp.asarray(rng.uniform(0.2, 3.0, 3)),
        "synaptic": jnp.asarray(rng.uniform(0.2, 3.0, (3, 3))),
        "tau_mem": constant(10.0, 4.0),
        "tau_syn": constant(6.0, 2.0),
        "v_threshold": constant(1.0, 0.1),
        "v_reset": constant(-0.2, 0.1),
        "v_leak": constant(0.1, 0.1),
    }


def _layer(at, method, start, wrap=lambda neuron: neuron):
    constants = {name: at[name] for name in ("tau_mem", "tau_syn", "v_threshold", "v_reset", "v_leak")}
    delay = (
        st.Delay(at["axonal"], kind="axonal") + st.Delay(at["dendritic"], kind="dendritic") + st.Delay(at["synaptic"])
    )
    neuron = wrap(LIF(3, **constants))
    network = st.Network(
        {"in": 3, "drive": 3},
        {"lif": neuron},
        [
            st.Connection("in", "lif", st.Dense(at["weight"]), delay),
            st.Connection("drive", "lif", st.Dense(jnp.eye(3))),
        ],
        ["lif"],
    )
    stimulus = {"in": st.Spikes.from_dense(at["times"]), "drive": st.Current(at["drive"])}
    # Where a start is given, the general way is taken.
    initial = {"lif": neuron.init()} if start else None
    return method.solve(network, stimulus, t1=T1, initial=initial, save=SAVE, throw=False)


@pytest.fixture(scope="module")
def solved(projection):
    """`f(at, first) -> ((value, (signature, solution)), gradient)` by the fast way, in one program for all tests.

    The number is made of everything, or of first spikes alone if `first` is 1 instead of 0.
    """

    @eqx.filter_jit
    def solved(at, first, wrap=lambda neuron: neuron):
        def run(at):
            solution = _layer(at, ODE(max_spikes=ROOM), False, wrap)
            everything, signature = projection(solution)
            times = solution.spikes["lif"].first()
            earliest = jnp.sum(jnp.where(jnp.isfinite(times), times, 0.0) * jnp.array([1.0, 0.7, 0.4]))
            return (1.0 - first) * everything + first * earliest, (signature, solution)

        return jax.value_and_grad(run, has_aux=True)(at)

    return lambda at, first, *wrap: solved(at, jnp.asarray(first, float), *wrap)


@pytest.fixture(scope="module")
def by_the_fast_way(solved):
    """`f(at) -> ((value, signature), gradient)`, and the arguments: constants of each neuron."""

    def function(at):
        (value, (signature, _)), gradient = solved(at, 0)
        return (value, signature), gradient

    return function, _arguments((3,))


def _check(function, at):
    (_, (spikes, result)), gradient = function(at)
    assert (np.asarray(spikes["lif"]) >= 0).sum() >= 6 and result == st.RESULTS.successful._value
    # Times in any order: differences that change which spike comes first do not count.
    check_gradient(lambda at: function(at)[0], gradient, at, entries=9)


def test_gradient_of_a_layer_with_constants_of_each_neuron(by_the_fast_way):
    _check(*by_the_fast_way)


def test_gradient_of_a_layer_with_shared_constants(differentiated):
    _check(differentiated(lambda at: _layer(at, ODE(max_spikes=ROOM), False)), _arguments(()))


@pytest.mark.parametrize(
    ("method", "rtol"),
    [(ODE(max_spikes=ROOM), 1e-9), (ODE(max_spikes=ROOM, solver=diffrax.Tsit5()), 1e-5)],
    ids=["general closed form", "solver"],
)
def test_the_general_way_agrees(by_the_fast_way, differentiated, method, rtol):
    function, at = by_the_fast_way
    (value, (spikes, _)), gradient = function(at)
    (other_value, (other_spikes, _)), other = differentiated(lambda at: _layer(at, method, True))(at)
    np.testing.assert_array_equal(other_spikes["lif"], spikes["lif"])
    np.testing.assert_allclose(other_value, value, rtol=0.1 * rtol)
    for name in at:
        largest = np.abs(np.asarray(gradient[name])).max()
        np.testing.assert_allclose(other[name], gradient[name], rtol=0, atol=rtol * largest, err_msg=name)


def test_numbers_and_arrays_are_one_layer(by_the_fast_way, solved):
    _, at = by_the_fast_way
    numbers = {"tau_mem": 10.0, "tau_syn": 5.0, "v_threshold": 1.0, "v_reset": -0.2, "v_leak": 0.1}
    arrays = {name: jnp.full(3, value) for name, value in numbers.items()}
    solution = eqx.filter_jit(_layer)({**at, **numbers}, ODE(max_spikes=ROOM), False)
    (_, (_, expected)), _ = solved({**at, **arrays}, 0)
    for one, other in zip(jax.tree.leaves(solution), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-11, atol=1e-11)


def test_delays_add_up_for_each_synapse(by_the_fast_way, solved, solve):
    # A synapse with a delay is one from an input of its own that spikes later.
    _, at = by_the_fast_way
    (_, (_, solution)), _ = solved(at, 0)
    total = at["axonal"][:, None] + at["dendritic"][None, :] + at["synaptic"]
    own = (at["times"][:, None, :] + total[:, :, None]).reshape(9, 3)
    weight = (at["weight"][:, :, None] * jnp.eye(3)[None]).reshape(9, 3)
    constants = {name: at[name] for name in ("tau_mem", "tau_syn", "v_threshold", "v_reset", "v_leak")}
    network = st.Network(
        {"in": 9, "drive": 3},
        {"lif": LIF(3, **constants)},
        [st.Connection("in", "lif", st.Dense(weight)), st.Connection("drive", "lif", st.Dense(jnp.eye(3)))],
        ["lif"],
    )
    stimulus = {"in": st.Spikes.from_dense(own), "drive": st.Current(at["drive"])}
    expected = solve(ODE(max_spikes=ROOM), network, stimulus, t1=T1, save=SAVE)
    np.testing.assert_array_equal(solution.spikes["lif"].index, expected.spikes["lif"].index)
    np.testing.assert_allclose(solution.spikes["lif"].time, expected.spikes["lif"].time, rtol=1e-12)
    np.testing.assert_allclose(solution.states["lif"].v, expected.states["lif"].v, rtol=1e-10)


def test_at_most_once_keeps_the_first_spike_and_its_gradient(by_the_fast_way, solved):
    _, at = by_the_fast_way
    (value, (_, solution)), gradient = solved(at, 1, AtMostOnce)
    (expected, (_, plain)), expected_gradient = solved(at, 1)
    assert value == expected and max(plain.spikes["lif"].count()) > 1
    np.testing.assert_array_equal(solution.spikes["lif"].count(), jnp.minimum(plain.spikes["lif"].count(), 1))
    np.testing.assert_array_equal(solution.final["lif"].spiked, solution.spikes["lif"].count())
    for name in at:
        np.testing.assert_allclose(gradient[name], expected_gradient[name], rtol=1e-10, atol=1e-12, err_msg=name)
    # The membrane goes on after the spike: as that of a neuron that nothing but this one spike has reset.
    other = eqx.filter_jit(_layer)(at, ODE(max_spikes=ROOM), True, AtMostOnce)
    for one, two in zip(jax.tree.leaves(solution.final), jax.tree.leaves(other.final), strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-10, atol=1e-12)
