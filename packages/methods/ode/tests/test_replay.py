"""Replays step by step: the gradient at spike times that something else produced, of neurons without a closed form."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.integrate

import saltation as st
from saltation_neurons import EIF, QIF, AdEx, Izhikevich
from saltation_ode import ODE

T1 = 30.0
TIMES = np.array([[1.0, 14.0], [3.0, 16.5]])
TAU_MEM, TAU_SYN, THRESHOLD, RESET = 10.0, 5.0, 10.0, -1.0


def _network(neuron, weight, back=None):
    connections = [st.Connection("in", "n", st.Dense(weight))]
    if back is not None:
        connections.append(st.Connection("n", "n", st.Dense(back), st.Delay(1.5)))
    return st.Network({"in": 2}, {"n": neuron}, connections, ["n"])


def _total(solution):
    train = solution.spikes["n"]
    weight = 1.0 + 0.4 * train.index.astype(float) + 0.1 * jnp.arange(float(train.time.shape[0]))
    return jnp.sum(jnp.where(train.valid(), weight * jnp.where(train.valid(), train.time, 0.0), 0.0)), solution


@eqx.filter_jit
def _solved(method, network):
    stimulus = {"in": st.Spikes.from_dense(TIMES)}
    run = lambda net: _total(method.solve(net, stimulus, t1=T1, throw=False))  # noqa: E731
    return eqx.filter_value_and_grad(run, has_aux=True)(network)


@eqx.filter_jit
def _replayed(method, network, observed):
    stimulus = {"in": st.Spikes.from_dense(TIMES)}
    run = lambda net: _total(method.replay(net, stimulus, {"n": observed}, t1=T1, throw=False))  # noqa: E731
    return eqx.filter_value_and_grad(run, has_aux=True)(network)


def _same(one, other, rtol):
    one, other = (jax.tree.leaves(eqx.filter(x, eqx.is_array)) for x in (one, other))
    largest = max(float(jnp.abs(leaf).max()) for leaf in other)
    assert largest > 1e-3
    for a, b in zip(one, other, strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=rtol * largest)


# Steps of the search end at a crossing that it looks for, those of the replay at a time that is given.
MODELS = {
    "QIF": (QIF(2, tau_mem=jnp.array(10.0)), 12.0, ODE(max_spikes=6, rtol=1e-10, atol=1e-10), False),
    "QIF in a cycle": (QIF(2, tau_mem=jnp.array(10.0)), 12.0, ODE(max_spikes=6, rtol=1e-10, atol=1e-10), True),
    "EIF": (EIF(2), 600.0, ODE(max_spikes=12, rtol=1e-10, atol=1e-10), False),
    "AdEx": (AdEx(2), 2500.0, ODE(max_spikes=6, rtol=1e-10, atol=1e-10), False),
    "Izhikevich": (Izhikevich(2), 25.0, ODE(max_spikes=6, rtol=1e-10, atol=1e-10), False),
}
SLOW = ("EIF", "AdEx", "Izhikevich", "QIF in a cycle")


@pytest.mark.parametrize("name", [pytest.param(n, marks=[pytest.mark.slow] * (n in SLOW)) for n in MODELS])
def test_a_replay_of_its_own_spikes_gives_the_gradient_of_solving(name):
    neuron, weight, method, cyclic = MODELS[name]
    back = weight * jnp.array([[0.1, -0.2], [0.2, 0.1]]) if cyclic else None
    network = _network(neuron, weight * jnp.array([[1.0, 0.7], [0.6, 0.9]]), back)
    (value, solution), gradient = _solved(method, network)
    assert solution.result == st.RESULTS.successful and solution.stats["spike_count"]["n"].min() > 0
    observed = jax.lax.stop_gradient(solution.spikes["n"])
    (again, replayed), other = _replayed(method, network, observed)
    assert replayed.result == st.RESULTS.successful and again == value
    np.testing.assert_array_equal(replayed.spikes["n"].time, observed.time)
    np.testing.assert_array_equal(replayed.stats["spike_count"]["n"], solution.stats["spike_count"]["n"])
    _same(other, gradient, 3e-8)


def _potential(tau_mem, weight, spikes):
    """The potential of one QIF neuron just before each of `spikes`, and its slope there; reset at them."""
    arrivals = sorted((t, w) for times, w in zip(TIMES, weight) for t in times)
    events = sorted([(t, 1, w) for t, w in arrivals] + [(t, 0, 0.0) for t in spikes])
    t, v, i, before = 0.0, 0.0, 0.0, []

    def flow(t, x):
        return [(x[0] * (x[0] - 1.0) + x[1]) / tau_mem, -x[1] / TAU_SYN]

    for when, is_arrival, w in events:
        if when > t:
            v, i = scipy.integrate.solve_ivp(flow, (t, when), [v, i], method="DOP853", rtol=1e-12, atol=1e-12).y[:, -1]
            t = when
        if is_arrival:
            i += w
        else:
            before.append((v, flow(t, [v, i])[0]))
            v = RESET
    return np.array(before)


def _observed(times):
    """As many entries as all trains of these tests have, so that they share a compiled function."""
    return st.Spikes.from_dense(jnp.pad(times, ((0, 0), (0, 6 - times.shape[1])), constant_values=jnp.inf))


def test_a_jittered_replay_is_the_implicit_equation_at_the_observed_times():
    # dT_k = -(dv/dp + sum of dv/dT_l dT_l over earlier spikes) / (dv/dt at T_k), everything else by differences.
    weight, spikes = np.array([[4.0, 5.0], [6.0, 4.0]]), np.array([[6.0, 19.0], [5.5, 20.0]])
    projection = np.array([1.0, 1.0, 1.4, 1.4]) + 0.1 * np.argsort(np.argsort(spikes.ravel()))
    by_tau, by_weight = 0.0, np.zeros((2, 2))
    for n in range(2):
        at = np.array([TAU_MEM, *weight[:, n], *spikes[n]])
        steps = 1e-4 * np.eye(5)

        def condition(at):
            return _potential(at[0], at[1:3], at[3:])[:, 0]

        by = np.stack([(condition(at + s) - condition(at - s)) / 2e-4 for s in steps], axis=1)  # [spike, argument]
        slope = _potential(TAU_MEM, weight[:, n], spikes[n])[:, 1]
        assert (np.abs(condition(at) - THRESHOLD) > 0.5).all() and (slope > 0.1).all()
        first = -by[0, :3] / slope[0]
        second = -(by[1, :3] + by[1, 3] * first) / slope[1]
        total = projection[2 * n] * first + projection[2 * n + 1] * second
        by_tau, by_weight[:, n] = by_tau + total[0], total[1:]

    network = _network(MODELS["QIF"][0], jnp.asarray(weight))
    (_, solution), gradient = _replayed(MODELS["QIF"][2], network, _observed(jnp.asarray(spikes)))
    assert solution.result == st.RESULTS.successful and solution.stats["flat"]["n"] == 0
    np.testing.assert_allclose(gradient.neurons["n"].tau_mem, by_tau, rtol=1e-6)
    np.testing.assert_allclose(gradient.connections[0].synapse.weight, by_weight, rtol=1e-6)


@pytest.mark.parametrize("late", [0.25, 6.0])
def test_a_neuron_that_runs_away_before_its_spike_is_observed_waits(late):
    # It would be at infinity 1 ms after its threshold. How the time of that moves is how the spike does.
    neuron, weight, method, _ = MODELS["QIF"]
    network = _network(neuron, 0.6 * weight * jnp.array([[1.0, 0.7], [0.6, 0.9]]))
    (_, solution), _ = _solved(method, network)
    first = solution.spikes["n"].first()
    exact = _observed(first[:, None])
    observed = _observed(first[:, None] + late)
    (_, replayed), other = _replayed(method, network, observed)
    (_, _), reference = _replayed(method, network, exact)
    assert replayed.result == st.RESULTS.successful and replayed.stats["flat"]["n"] == 0
    assert all(jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(replayed.final))
    np.testing.assert_allclose(other.connections[0].synapse.weight, reference.connections[0].synapse.weight, rtol=0.1)


def test_a_spike_where_the_model_has_none_has_no_gradient_and_is_counted():
    network = _network(MODELS["QIF"][0], jnp.full((2, 2), 0.1))
    observed = _observed(jnp.array([[0.5], [29.0]]))  # before its causes, and while the potential falls
    (_, solution), gradient = _replayed(MODELS["QIF"][2], network, observed)
    assert solution.result == st.RESULTS.successful
    assert solution.stats["flat"]["n"] == 2
    np.testing.assert_array_equal(gradient.connections[0].synapse.weight, 0.0)


def test_spikes_that_do_not_fit_are_refused():
    network = _network(MODELS["QIF"][0], jnp.ones((2, 2)))
    stimulus = {"in": st.Spikes.from_dense(TIMES)}
    train = st.Spikes.from_dense(jnp.array([1.0, 2.0]))
    for observed, message in (
        ({"hidden": train}, r"got spikes of \['hidden'\]; expected those of \['n'\]"),
        ({"n": st.Spikes.from_dense(jnp.ones(3))}, "got spikes of 3 units .*; expected 2 units"),
        ({"n": jax.tree.map(lambda x: jnp.stack([x, x]), train)}, r"shape \(2, 2\) .*one sample.*jax.vmap"),
    ):
        with pytest.raises(ValueError, match=message):
            ODE().replay(network, stimulus, observed, t1=T1)


CHIP_TIMES = np.array([[6.0, 19.0], [5.5, 20.0]])


class _Program(st.AbstractProgram):
    """A chip on which every neuron spikes twice, at the same times whatever it hears."""

    health_fields = ()
    measured_delays = ()

    def run(self, parameters, stimuli, key):
        batch = len(stimuli["in"].time)
        train = _observed(CHIP_TIMES)
        time, index = (np.tile(np.asarray(x), (batch, 1)) for x in (train.time, train.index))
        return st.Observation({"n": st.Spikes(time, index, 2)}, {}, {})


class _Chip(st.AbstractBackend):
    @property
    def capabilities(self):
        return st.Capabilities(neurons=("qif",))

    def prepare(self, structure, stimulus, *, t1, max_spikes):
        return _PROGRAM


_PROGRAM = _Program()


@pytest.mark.slow  # replays and chips in the loop have tests of their own, this is both
def test_a_layer_without_a_closed_form_trains_in_the_loop():
    neuron, _, method, _ = MODELS["QIF"]
    chip = st.InTheLoop(method, _Chip(), max_spikes=6)
    network = _network(neuron, jnp.array([[4.0, 5.0], [6.0, 4.0]]))

    @eqx.filter_jit
    @eqx.filter_value_and_grad
    def loss(net, batch):
        run = lambda times: _total(chip.solve(net, {"in": st.Spikes.from_dense(times)}, t1=T1))[0]  # noqa: E731
        return jnp.sum(jax.vmap(run)(batch))

    value, gradient = loss(network, jnp.asarray(np.stack([TIMES, TIMES])))
    (expected, _), replayed = _replayed(method, network, _observed(CHIP_TIMES))
    np.testing.assert_allclose(value, 2 * expected, rtol=1e-12)
    _same(gradient, jax.tree.map(lambda leaf: 2 * leaf, eqx.filter(replayed, eqx.is_array)), 1e-9)
