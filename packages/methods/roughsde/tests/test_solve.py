"""What the method does with delays, currents, jumps, room and memory."""

import dataclasses
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import saltation as st
from saltation_neurons import StochasticLIF
from saltation_roughsde import Brownian, CompoundPoisson, RecordedSpikes, RoughSDE
from saltation_roughsde._draws import drawn_together
from saltation_roughsde._groups import grouped

KEYS = jax.random.split(jax.random.key(1), 2)
FIXED = {"sigma": 0.0, "log_u": -0.4}


def times(solution, name="out", k=8):
    return np.asarray(jax.vmap(lambda s: s.to_dense(k, throw=False))(solution.spikes[name]))


@pytest.mark.parametrize(
    "delay",
    [
        pytest.param(st.Delay(0.1), id="one", marks=pytest.mark.slow),
        pytest.param(st.Delay(jnp.array([[0.1, 0.2], [0.15, 0.1]])), id="each"),
    ],
)
def test_agrees_with_an_ode_where_nothing_is_random(build, solve, delay):
    network = build.layers(delay=delay, recurrent=st.Delay(0.05), **FIXED)
    assert all(neuron.noise() is None for neuron in network.neurons.values())
    expected = ode(network, jnp.array([2.0, 1.5]), t1=1.2)
    coarse, fine = (
        times(solve(RoughSDE(dt=dt, max_spikes=8), network, [2.0, 1.5], t1=1.2, keys=KEYS))[0] for dt in (0.004, 0.002)
    )
    # First order: twice the finer one minus the coarser one is of second order.
    found = np.isfinite(expected)
    assert found.sum() >= 4 and (np.isfinite(fine) == found).all()
    np.testing.assert_allclose((2 * fine - coarse)[found], expected[found], atol=1e-3)


def ode(network, current, t1, step=2e-4):
    """Runge-Kutta with small steps, spikes by linear interpolation, arrivals at the next step."""
    delay = network.connections[1].delay.value + np.zeros((2, 2))
    w, feedback = (np.asarray(network.connections[k].synapse.weight) for k in (1, 2))
    neuron = network.neurons["out"]
    s0 = -0.4 - neuron.alpha
    x = {name: np.array([[0.0, 0.0], [0.0, 0.0], [s0, s0]]) for name in ("hidden", "out")}
    drive = {"hidden": np.asarray(current), "out": np.zeros(2)}
    arrivals, found = [], [[], []]

    def slope(x, current):
        v, i, _ = x
        hazard = np.exp(neuron.beta * np.minimum(v - 1.0, 10.0))
        return np.array([(i + current - v) / neuron.tau_mem, -i / neuron.tau_syn, hazard])

    for k in range(round(t1 / step)):
        t = k * step
        for name in x:
            old, c = x[name], drive[name]
            k1 = slope(old, c)
            k2 = slope(old + step / 2 * k1, c)
            k3 = slope(old + step / 2 * k2, c)
            k4 = slope(old + step * k3, c)
            new = old + step / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
            for unit in range(2):
                if new[2, unit] >= 0:
                    at = t + step * -old[2, unit] / (new[2, unit] - old[2, unit])
                    new[0, unit] -= neuron.v_drop
                    new[2, unit] = s0
                    if name == "out":
                        found[unit].append(at)
                        arrivals += [(at + 0.05, j, feedback[unit, j]) for j in range(2)]
                    else:
                        arrivals += [(at + delay[unit, j], j, w[unit, j]) for j in range(2)]
            x[name] = new
        for event in [e for e in arrivals if e[0] <= t + step]:
            x["out"][1, event[1]] += event[2]
            arrivals.remove(event)
    return np.array([row + [np.inf] * (8 - len(row)) for row in found])


def test_input_spikes_and_changing_currents(build, solve):
    network = build.single(StochasticLIF(2, tau_syn=0.2, **FIXED))
    method = RoughSDE(dt=0.002, max_spikes=8)
    late = times(solve(method, network, {"in": st.Current(jnp.full((1, 2), 1.5), start=jnp.array([0.3]))}, keys=KEYS))[
        0
    ]
    # A current that is there from the start, after a rest in which the hazard adds up at its resting value.
    waits = late[:, 0]
    assert (waits > 0.3).all()
    spikes = st.Spikes(jnp.array([0.1, 0.1, 0.5]), jnp.array([0, 1, 1]), 2)
    strong = eqx.tree_at(lambda n: n.connections[0].synapse.weight, network, jnp.asarray(2.5))
    kicked = times(solve(method, strong, {"in": spikes}, keys=KEYS))[0]
    np.testing.assert_allclose(kicked[0, 0], kicked[1, 0], rtol=1e-12)  # both cross together, and neither is lost
    assert kicked[0, 0] > 0.1
    assert np.isfinite(kicked[1]).sum() > np.isfinite(kicked[0]).sum()
    never = times(solve(method, strong, {"in": st.Spikes.empty(2)}, keys=KEYS))[0]
    assert never[0, 0] > kicked[0, 0]


def test_jumps_of_the_path_act_like_kicks(build, solve):
    # A jump of size 1 lifts v by sigma: the path of a recorded train, against kicks to v by hand.
    train = st.Spikes(jnp.array([0.2, 0.35]), jnp.array([0, 1]), 2)
    neuron = StochasticLIF(2, sigma=0.9, log_u=-0.4)
    network = build.single(neuron)
    save = st.Save(states_at=jnp.array([0.1999, 0.2001, 0.3499, 0.3501]))
    method = RoughSDE(dt=0.01, path=RecordedSpikes(train, size=2.0))
    states = solve(method, network, [0.3, 0.3], keys=KEYS, save=save).states["out"].v
    step = np.diff(np.asarray(states[0]), axis=0)[[0, 2]]
    np.testing.assert_allclose(step, [[1.8, 0.0], [0.0, 1.8]], atol=0.01)
    poisson = RoughSDE(dt=0.01, path=CompoundPoisson(rate=3.0), max_spikes=30)
    one, other = (np.asarray(solve(poisson, network, [0.3, 0.3], keys=k).final["out"].v) for k in (KEYS, KEYS[::-1]))
    np.testing.assert_array_equal(one, other[::-1])
    assert (one[0] != one[1]).any()


def test_brownian_paths_refine_and_correlate():
    key = jax.random.key(0)
    matrix = jnp.array([[1.0, 0.8], [0.8, 1.0]])
    for path in (Brownian(), Brownian(matrix)):
        fine = path.increments(4096, 2.0, 2, key=key, dtype=jnp.float64)
        coarse = path.increments(1024, 2.0, 2, key=key, dtype=jnp.float64)
        np.testing.assert_allclose(fine.reshape(1024, 4, 2).sum(axis=1), coarse, atol=1e-12)
        covariance = np.cov(np.asarray(fine).T) * 4096 / 2.0
        np.testing.assert_allclose(covariance, np.eye(2) if path.correlation is None else matrix, atol=0.08)


def test_the_same_key_is_the_same_noise(build, solve):
    network = build.single(StochasticLIF(1, sigma=0.25))
    a, b = (times(solve(RoughSDE(), network, [c], keys=KEYS)) for c in (1.5, 1.5001))
    assert (a[0] != a[1]).any()
    both = np.isfinite(a) & np.isfinite(b)
    assert both.any() and np.abs(a[both] - b[both]).max() < 0.01


class Problem(NamedTuple):
    method: RoughSDE
    network: st.Network


@eqx.filter_jit
def gradient(problem: Problem, key):
    def value(network):
        solution = problem.method.solve(network, {"in": st.Current(jnp.array([1.8, 1.5]))}, t1=1.0, key=key)
        return jnp.sum(jnp.where(solution.spikes["out"].valid(), solution.spikes["out"].time, 0.0))

    return eqx.filter_value_and_grad(value)(problem.network)


def test_checkpoints_and_layers_side_by_side_change_nothing(build):
    network = build.layers(recurrent=st.Delay(0.05))
    method = RoughSDE(dt=0.02, max_events=40)
    plain = gradient(Problem(method, network), KEYS[0])
    assert list(grouped(network.neurons)[0]) == ["hidden+out"]
    # With a parameter that can be trained where the other has a number, a layer goes on its own.
    trainable = dataclasses.replace(network.neurons["out"], cap=jnp.array(10.0))
    neurons = {**network.neurons, "out": trainable}
    apart = st.Network(network.inputs, neurons, network.connections, network.outputs)
    assert list(grouped(apart.neurons)[0]) == ["hidden", "out"]
    for again in (Problem(dataclasses.replace(method, checkpoint=True), network), Problem(method, apart)):
        value, slopes = gradient(again, KEYS[0])
        np.testing.assert_allclose(value, plain[0], rtol=1e-12)
        pairs = zip(jax.tree.leaves(slopes.connections), jax.tree.leaves(plain[1].connections), strict=True)
        for a, b in pairs:
            np.testing.assert_allclose(a, b, rtol=1e-10)
    assert any(np.any(leaf) for leaf in jax.tree.leaves(plain[1]))


def test_layers_that_share_a_draw_keep_their_numbers():
    keys = list(jax.random.split(jax.random.key(3), 5))
    for counts in ([6, 8, 1, 2, 5], [1, 100, 1, 1, 1]):  # in one draw, and each on its own
        rows = drawn_together(jax.random.normal, keys, 7, counts, jnp.float64)
        for key, count, row in zip(keys, counts, rows, strict=True):
            expected = jax.random.normal(jax.random.fold_in(key, 7), (count,), jnp.float64)
            np.testing.assert_allclose(row, expected, rtol=1e-12)


def test_missing_room_is_reported_for_each_sample(build, solve):
    network = build.single(StochasticLIF(1, sigma=0.25))
    drive = {"in": st.Current(jnp.array([3.0]))}
    keys = jax.random.split(jax.random.key(2), 40)
    enough = solve(RoughSDE(max_spikes=20), network, drive, keys=keys)
    number = np.asarray(enough.stats["spike_count"]["out"])[:, 0]
    room = int(number.max()) - 1
    for method in (RoughSDE(max_spikes=room), RoughSDE(max_spikes=20, max_events=room)):
        results = solve(method, network, drive, keys=keys).result
        failed = np.asarray(results == st.RESULTS.max_spikes_reached)
        np.testing.assert_array_equal(failed, number > room)
    assert failed.any() and not failed.all()
