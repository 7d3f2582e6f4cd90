"""Networks of every kind: cycles with delays, mixed populations, refractory periods, currents that change, layers."""

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import saltation as st
from saltation_neurons import IF, LIF, QIF, AdEx, Izhikevich, Refractory
from saltation_ode import ODE
from saltation_testing import check_gradient

T1 = 30.0
SAVE = st.Save(states_at=jnp.array([7.0, 21.0]))


def _mixed(at, method):
    """Two populations of different neurons in one cycle, with a delay of each kind."""
    neurons = {
        "a": Refractory(LIF(2, tau_mem=at["tau_mem"]), at["t_refractory"]),
        "b": QIF(2, tau_mem=at["tau_mem"]),
    }
    connections = [
        st.Connection("in", "a", st.Dense(at["in_a"])),
        st.Connection("in", "b", st.Dense(2.0 * at["in_a"]), st.Delay(at["scalar"])),
        st.Connection("a", "b", st.Dense(at["a_b"]), st.Delay(at["axonal"], kind="axonal")),
        st.Connection("b", "a", st.Dense(at["b_a"]), st.Delay(at["dendritic"], kind="dendritic")),
        st.Connection("a", "a", st.Dense(at["a_a"]), st.Delay(at["synaptic"]) + st.Delay(at["scalar"])),
        st.Connection("b", "b", st.Dense(at["a_a"]), st.Delay(1.5, minimum=0.5)),
    ]
    network = st.Network({"in": 2}, neurons, connections, ["a", "b"])
    return method.solve(network, {"in": st.Spikes.from_dense(at["times"])}, t1=T1, save=SAVE, throw=False)


@pytest.fixture(scope="module")
def mixed():
    values = {
        "tau_mem": [14.0, 17.0],
        "t_refractory": [1.5, 2.25],
        "in_a": [[5.0, 2.0], [1.0, 4.5]],
        "a_b": [[4.0, 2.0], [-1.0, 3.0]],
        "b_a": [[1.0, -2.0], [2.0, 1.5]],
        "a_a": [[0.5, -1.0], [2.0, 0.25]],
        "axonal": [0.5, 1.75],
        "dendritic": [2.25, 0.75],
        "synaptic": [[1.0, 2.0], [0.25, 3.0]],
        # No sum of delays is a refractory period: a spike that comes back as it ends has one-sided derivatives.
        "scalar": 0.6,
        "times": [[1.0, 11.0, np.inf], [4.0, 14.5, 19.0]],
    }
    return {name: jnp.asarray(value) for name, value in values.items()}


def test_gradient_of_a_mixed_cycle_with_delays(mixed, differentiated):
    # With fixed steps the computed solution is smooth up to its own error, and its derivative can be asked for.
    method = ODE(max_spikes=6, solver=diffrax.Dopri5(), step=0.1)
    function = differentiated(lambda at: _mixed(at, method))
    (_, (spikes, result)), gradient = function(mixed)
    assert result == st.RESULTS.successful._value
    for name in ("a", "b"):
        assert (np.bincount(np.asarray(spikes[name]) + 1, minlength=3)[1:] > 1).all(), name
    check_gradient(lambda at: function(at)[0], gradient, mixed, entries=4)


def test_accurate_and_coarse_solutions_of_a_mixed_cycle_agree(mixed):
    fine = eqx.filter_jit(_mixed)(mixed, ODE(max_spikes=6))
    coarse = eqx.filter_jit(_mixed)(mixed, ODE(max_spikes=6, solver=diffrax.Dopri5(), step=0.5))
    for name in ("a", "b"):
        np.testing.assert_array_equal(fine.spikes[name].index, coarse.spikes[name].index)
        np.testing.assert_allclose(fine.spikes[name].time, coarse.spikes[name].time, rtol=0, atol=1e-4)


def test_the_end_of_a_refractory_period_moves_with_the_period(solve):
    # A constant drive: every interval is the period and the time to charge from the reset to the threshold.
    drive = jnp.array([1.5, 3.0, 2.0])

    def times(t_refractory):
        neuron = Refractory(LIF(3, tau_mem=10.0), t_refractory)
        network = st.Network({"in": 3}, {"n": neuron}, [st.Connection("in", "n", st.Dense(jnp.eye(3)))], ["n"])
        spikes = ODE(max_spikes=16).solve(network, {"in": st.Current(drive)}, t1=T1, throw=False).spikes["n"]
        found = spikes.to_dense(16)[:, :2]
        return found, found

    period = jnp.array([2.0, 0.5, 1.25])
    charging = 10.0 * jnp.log(drive / (drive - 1.0))
    derivative, found = jax.jit(jax.jacrev(times, has_aux=True))(period)
    np.testing.assert_allclose(found, jnp.stack([charging, 2 * charging + period], axis=1), rtol=1e-12)
    np.testing.assert_allclose(derivative[:, 0], np.zeros((3, 3)), atol=1e-12)
    np.testing.assert_allclose(derivative[:, 1], np.eye(3), atol=1e-12)


def test_kicks_to_a_clamped_membrane_are_dropped(solve):
    network = st.Network(
        {"in": 1},
        {"n": Refractory(IF(1, tau_syn=None), 2.0)},
        [st.Connection("in", "n", st.Dense(jnp.array([[1.5]])))],
        ["n"],
    )
    stimulus = {"in": st.Spikes.from_dense(jnp.array([[1.0, 2.0, 2.5, 3.5]]))}
    solution = solve(ODE(max_spikes=4), network, stimulus, t1=T1)
    assert solution.spikes["n"].time.tolist() == [1.0, 3.5, np.inf, np.inf]


def test_gradient_by_the_steps_of_a_current(differentiated):
    def run(at):
        network = st.Network(
            {"current": 2, "in": 1},
            {"n": LIF(2, tau_mem=10.0, tau_syn=4.0)},
            [
                st.Connection("current", "n", st.Dense(at["weight"])),
                st.Connection("in", "n", st.Dense(jnp.array([[1.0, 2.0]]))),
            ],
            ["n"],
        )
        current = st.Current(at["value"], start=at["start"])
        stimulus = {"current": current, "in": st.Spikes.from_dense(jnp.array([[5.0, 13.0]]))}
        return ODE(max_spikes=8).solve(network, stimulus, t1=T1, save=SAVE, throw=False)

    function = differentiated(run)
    at = {
        "weight": jnp.array([[1.0, 0.5], [0.25, 1.0]]),
        "value": jnp.array([[1.5, 0.5], [-1.0, 2.0], [2.5, 0.0]]),
        "start": jnp.array([1.0, 10.0, 17.0]),
    }
    (_, (spikes, result)), gradient = function(at)
    assert result == st.RESULTS.successful._value and (np.asarray(spikes["n"]) >= 0).sum() >= 4
    assert all(np.abs(leaf).min() > 0 for leaf in jax.tree.leaves(gradient["start"]))
    check_gradient(lambda at: function(at)[0], gradient, at)


@pytest.mark.parametrize("method", [ODE(), ODE(solver=diffrax.Tsit5())], ids=["closed form", "solver"])
def test_a_current_that_changes_is_what_it_is_between_its_changes(solve, method):
    # A neuron without a leak integrates the current: 0, then 1/4 from 2 on, then 1 from 4 on.
    network = st.Network({"in": 1}, {"n": IF(1)}, [st.Connection("in", "n", st.Dense(jnp.ones((1, 1))))], ["n"])
    current = st.Current(jnp.array([[0.25], [1.0]]), start=jnp.array([2.0, 4.0]))
    save = st.Save(states_at=jnp.array([2.0, 3.0, 4.0, 4.25, 4.5]))
    solution = solve(method, network, {"in": current}, t1=5.0, save=save)
    np.testing.assert_allclose(solution.states["n"].v[:, 0], [0.0, 0.25, 0.5, 0.75, 0.0], atol=1e-8)
    np.testing.assert_allclose(solution.spikes["n"].time[:1], [4.5], atol=1e-8)


def test_a_network_is_its_layers_one_after_the_other(solve):
    rng = np.random.default_rng(3)
    first, second = jnp.asarray(rng.normal(2.0, 1.0, (2, 3))), jnp.asarray(rng.normal(4.0, 1.0, (3, 2)))
    lif, qif = LIF(3, tau_mem=10.0), QIF(2, tau_mem=10.0)
    stimulus = st.Spikes.from_dense(jnp.asarray(rng.uniform(0.0, 15.0, (2, 3))))
    method = ODE(max_spikes=4)
    to_lif = st.Connection("in", "lif", st.Dense(first))
    to_qif = st.Connection("lif", "qif", st.Dense(second), st.Delay(1.25))
    whole = st.Network({"in": 2}, {"qif": qif, "lif": lif}, [to_qif, to_lif], ["qif"])
    solution = solve(method, whole, {"in": stimulus}, t1=T1)
    one = solve(method, st.Network({"in": 2}, {"lif": lif}, [to_lif], ["lif"]), {"in": stimulus}, t1=T1)
    passed_on = {"lif": one.spikes["lif"]}
    two = solve(method, st.Network({"lif": 3}, {"qif": qif}, [to_qif], ["qif"]), passed_on, t1=T1)
    assert solution.stats["spike_count"]["lif"].sum() > 2 and solution.stats["spike_count"]["qif"].sum() > 1
    for name, part in (("lif", one), ("qif", two)):
        np.testing.assert_array_equal(solution.spikes[name].index, part.spikes[name].index)
        np.testing.assert_allclose(solution.spikes[name].time, part.spikes[name].time, rtol=1e-12)


@pytest.mark.parametrize("model", [QIF, pytest.param(LIF, marks=pytest.mark.slow)])
def test_neurons_of_a_population_may_differ(solve, model):
    # What each one does, it does with the parameters of its own, in a population of any shape.
    tau_mem, threshold = jnp.array([[5.0, 10.0], [20.0, 40.0]]), jnp.array([[1.0, 2.0], [0.5, 1.0]])
    current = {"in": st.Current(jnp.array([2.5]))}

    def solved(shape, tau_mem, threshold):
        network = st.Network(
            {"in": 1},
            {"n": model(shape, tau_mem=tau_mem, v_threshold=threshold)},
            [st.Connection("in", "n", st.Dense(jnp.ones((1, int(np.prod(shape))))))],
            ["n"],
        )
        return solve(ODE(max_spikes=16), network, current, t1=T1, save=SAVE)

    together = solved((2, 2), tau_mem, threshold)
    assert together.final["n"].v.shape == (2, 2) and together.states["n"].v.shape == (2, 2, 2)
    assert together.spikes["n"].size == 4
    alone = solved(1, tau_mem[1, :1], threshold[1, :1])
    np.testing.assert_allclose(together.states["n"].v[:, 1, 0], alone.states["n"].v[:, 0], rtol=1e-6)
    np.testing.assert_allclose(together.spikes["n"].to_dense(16)[2], alone.spikes["n"].to_dense(16)[0], rtol=1e-7)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("neuron", "scale"), [(AdEx(2), 1200.0), (Izhikevich(2, a=0.1), 20.0)], ids=["AdEx", "Izhikevich"]
)
def test_gradient_of_neurons_with_adaptation(differentiated, neuron, scale):
    def run(at):
        network = st.Network(
            {"in": 2},
            {"n": at["neuron"]},
            [
                st.Connection("in", "n", st.Dense(scale * at["weight"])),
                st.Connection("n", "n", st.Dense(0.2 * scale * at["weight"]), st.Delay(1.0)),
            ],
            ["n"],
        )
        # Steps of a fixed length are cut on an upstroke as steep as these: what they compute is not smooth.
        method = ODE(max_spikes=8)
        return method.solve(network, {"in": st.Spikes.from_dense(at["times"])}, t1=T1, save=SAVE, throw=False)

    at = {
        "neuron": jax.tree.map(lambda x: jnp.asarray(float(x)), neuron),
        "weight": jnp.array([[1.0, 0.6], [0.7, 1.2]]),
        "times": jnp.array([[1.0, 9.0, np.inf], [5.0, 16.0, 17.0]]),
    }
    function = differentiated(run)
    (_, (spikes, result)), gradient = function(at)
    assert result == st.RESULTS.successful._value and (np.asarray(spikes["n"]) >= 0).sum() >= 3
    check_gradient(lambda at: function(at)[0], gradient, at, entries=3, step=3e-5, rtol=1e-4)


@pytest.mark.parametrize(
    "name", ["events", *(pytest.param(name, marks=pytest.mark.slow) for name in ("events of two", "steps"))]
)
def test_recomputed_states_give_the_same_gradient(mixed, differentiated, projection, name):
    # Cycles of LIF neurons with delays by their closed form, and layers step by step; with states at given times.
    def run(at, recompute):
        connections = [
            st.Connection("in", "a", st.Dense(at["in_a"]), st.Delay(at["dendritic"], kind="dendritic")),
            st.Connection("a", "b", st.Dense(at["a_b"])),
        ]
        if name == "events":
            neurons = {"a": LIF(2, tau_mem=at["tau_mem"])}
            weak = 0.3 * at["a_b"]
            connections[1:] = [st.Connection("a", "a", st.Dense(weak), st.Delay(at["axonal"], kind="axonal"))]
            method = ODE(max_spikes=6, recompute=recompute)
        elif name == "events of two":
            neurons = {"a": LIF(2, tau_mem=at["tau_mem"]), "b": Refractory(LIF(2, tau_mem=10.0), 1.5)}
            connections.append(st.Connection("b", "a", st.Dense(at["b_a"]), st.Delay(at["axonal"], kind="axonal")))
            method = ODE(max_spikes=6, recompute=recompute)
        else:
            neurons = {"a": QIF(2, tau_mem=at["tau_mem"]), "b": LIF(2)}
            method = ODE(max_spikes=6, solver=diffrax.Dopri5(), step=0.25, recompute=recompute)
        network = st.Network({"in": 2}, neurons, connections, list(neurons))
        return method.solve(network, {"in": st.Spikes.from_dense(at["times"])}, t1=T1, save=SAVE, throw=False)

    (kept, (_, result)), gradient = differentiated(lambda at: run(at, False))(mixed)
    assert result == st.RESULTS.successful._value
    (again, _), other = differentiated(lambda at: run(at, True))(mixed)
    # Two programs round differently, and a step by step search may then cut a step elsewhere.
    value, slope = (1e-8, 1e-6) if name == "steps" else (1e-13, 1e-9)
    np.testing.assert_allclose(again, kept, rtol=value)
    for leaf in mixed:
        np.testing.assert_allclose(other[leaf], gradient[leaf], rtol=slope, atol=slope, err_msg=leaf)
