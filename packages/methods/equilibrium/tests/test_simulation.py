"""The simulation in steps, against loops in NumPy over dense matrices."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import saltation as st
from saltation_equilibrium import Equilibrium
from saltation_equilibrium._input import input_of
from saltation_equilibrium._simulate import simulate
from saltation_equilibrium._system import system_of

SAVE = st.Save(spikes=False, rates=True)


def _two_layers(build, leak):
    """A circle of two layers, and a third one that it drives; the second of them feeds back to itself too."""
    rng = np.random.default_rng(3)
    sizes = {"a": 6, "b": 4, "c": 3}
    pairs = [("in", "a"), ("a", "b"), ("b", "a"), ("b", "b"), ("b", "c")]
    size = {"in": 5, **sizes}
    scale = {("in", "a"): 1.0, ("a", "b"): 0.8, ("b", "c"): 1.0}
    weights = {pair: scale.get(pair, 0.3) * rng.normal(0.3, 0.4, (size[pair[0]], size[pair[1]])) for pair in pairs}
    network = st.Network(
        {"in": 5},
        {name: build.neuron(leak, 1.2).with_shape(n) for name, n in sizes.items()},
        [st.Connection(*pair, st.Dense(weight)) for pair, weight in weights.items()],
        ["c"],
    )
    return network, {"in": st.Current(jnp.asarray(rng.uniform(0.2, 1.5, 5)))}


def _convolutional(build, leak, algorithm="auto"):
    """An image, a layer that is convolved from it, a smaller one, and feedback to the first by a transposed one."""
    rng = np.random.default_rng(4)
    shapes = {"in": (6, 6, 2), "a": (6, 6, 3), "b": (3, 3, 4)}
    kernel = lambda *shape: 0.3 * rng.normal(0.1, 1.0, shape) / (shape[0] * shape[2] ** 0.5)  # noqa: E731
    network = st.Network(
        {"in": shapes["in"]},
        {name: build.neuron(leak, 1.1).with_shape(shapes[name]) for name in ("a", "b")},
        [
            st.Connection("in", "a", st.Conv2d(8 * kernel(3, 3, 2, 3), shapes["in"], algorithm=algorithm)),
            st.Connection("a", "b", st.Conv2d(6 * kernel(3, 3, 3, 4), shapes["a"], stride=2)),
            st.Connection(
                "b", "a", st.ConvTranspose2d(3 * kernel(3, 3, 4, 3), shapes["b"], stride=2, algorithm=algorithm)
            ),
        ],
        ["b"],
    )
    return network, {"in": st.Current(jnp.asarray(rng.uniform(0.0, 1.5, 72)))}


CASES = {
    "two layers": _two_layers,
    "convolutional": _convolutional,
    "by Fourier transforms": lambda build, leak: _convolutional(build, leak, "fft"),
}


def _matrix(synapse):
    """`[pre, post]`, from what single spikes deliver."""
    return np.asarray(jax.vmap(synapse.kick)(jnp.arange(synapse.sizes()[0], dtype=jnp.int32)))


def _loop(network, current, steps):
    """Counts and weighted rates by a plain loop: later layers see a step's spikes, the others those of the last."""
    order = list(network.neurons)
    drive = {name: np.zeros(network.size(name)) for name in order}
    edges = []
    for connection in network.connections:
        matrix = _matrix(connection.synapse)
        if connection.source == "in":
            drive[connection.target] = drive[connection.target] + current @ matrix
        else:
            edges.append((connection.source, connection.target, matrix))
    leak = float(next(iter(network.neurons.values())).rate().leak)
    u = {name: np.zeros_like(value) for name, value in drive.items()}
    last = {name: np.zeros_like(value) for name, value in drive.items()}
    counts = {name: np.zeros(len(value), int) for name, value in drive.items()}
    rates = {name: np.zeros_like(value) for name, value in drive.items()}
    for _ in range(steps):
        now = {}
        for place, name in enumerate(order):
            threshold = network.neurons[name].rate().v_threshold
            u[name] = u[name] + drive[name]
            for source, target, matrix in edges:
                if target == name:
                    u[name] = u[name] + (now if order.index(source) < place else last)[source] @ matrix
            now[name] = (u[name] >= threshold).astype(float)
            u[name] = leak * (u[name] - threshold * now[name])
            counts[name] += now[name].astype(int)
            rates[name] = leak * rates[name] + now[name]
        last = now
    weight = sum(leak**k for k in range(steps))
    return counts, {name: value / weight for name, value in rates.items()}


@pytest.mark.parametrize("steps", [1, 5, 30])
@pytest.mark.parametrize("leak", [1.0, 0.95])
@pytest.mark.parametrize("case", CASES)
def test_simulation_is_the_plain_loop(build, solve, case, leak, steps):
    network, stimulus = CASES[case](build, leak)
    counts, rates = _loop(network, np.asarray(stimulus["in"].value), steps)
    solution = solve(Equilibrium(), network, stimulus, t1=float(steps))
    assert steps == 1 or all(0 < rate.mean() < 1 for rate in rates.values())
    for name, count in counts.items():
        np.testing.assert_array_equal(solution.stats["spike_count"][name], count, err_msg=name)
        np.testing.assert_allclose(solution.rates[name], rates[name], rtol=1e-13, err_msg=name)
        np.testing.assert_allclose(solution.stats["dead"][name], np.mean(count == 0), rtol=1e-6)
        np.testing.assert_allclose(solution.stats["saturated"][name], np.mean(count == steps), rtol=1e-6)


@pytest.mark.parametrize("leak", [1.0, 0.95])
def test_rates_telescope(build, leak):
    # vth a_T = W a_(T-1) N_(T-1)/N_T + x1 - v_T/N_T, with v_T the charge after the reset and before the leak.
    rng = np.random.default_rng(0)
    weight, weight_in = 0.3 * rng.normal(size=(7, 7)), rng.normal(size=(4, 7))
    network = build.single_layer(weight, weight_in, np.full(7, 0.3), leak=leak, v_threshold=1.3)
    stimulus = build.currents(jnp.asarray(rng.uniform(0, 1, 4)))
    for steps in (2, 5, 30, 200):
        given, _ = input_of(network, stimulus, step=1.0, steps=steps, leak=leak, dtype=jnp.float64)
        system = system_of(network, step=1.0, dtype=jnp.float64)
        now, before = (simulate(system, given, steps=n, keep_trains=False) for n in (steps, steps - 1))
        total, earlier = (sum(leak**k for k in range(n)) for n in (steps, steps - 1))
        right = before.rates["hidden"] @ weight * earlier / total + given.drive["hidden"] - now.charge["hidden"] / total
        np.testing.assert_allclose(1.3 * now.rates["hidden"], right, rtol=0, atol=1e-13)


def test_rates_approach_the_fixed_point(build, solve):
    network, stimulus = _two_layers(build, 1.0)
    distances = []
    for steps in (10, 100, 1000):
        stats = solve(Equilibrium(gradient_at="fixed_point"), network, stimulus, t1=float(steps)).stats
        distances.append(max(float(value) for value in stats["distance"].values()))
    assert distances[0] > 5 * distances[1] > 25 * distances[2]


def test_spikes_come_at_the_ends_of_steps(build, solve):
    network, stimulus = _two_layers(build, 1.0)
    method = Equilibrium(step=0.5)
    solution = solve(method, network, stimulus, t1=5.0, save=st.Save(spikes=True, rates=True))
    for name, train in solution.spikes.items():
        st.Spikes(train.time, train.index, train.size)
        time = np.asarray(train.time)[np.isfinite(train.time)]
        assert len(time) and set(time) <= set(0.5 * np.arange(1, 11))
        np.testing.assert_array_equal(train.count(), solution.stats["spike_count"][name])
        np.testing.assert_allclose(np.asarray(train.count()) / 10, solution.rates[name], rtol=1e-15)


def test_smaller_steps_are_less_charge_each(build, solve):
    # Half the current for twice as many steps is the same simulation.
    network, stimulus = _two_layers(build, 1.0)
    double = {"in": st.Current(2 * stimulus["in"].value)}
    whole, half = (
        solve(Equilibrium(step=1.0), network, stimulus, t1=20.0),
        solve(Equilibrium(step=0.5), network, double, t1=10.0),
    )
    np.testing.assert_array_equal(whole.rates["a"], half.rates["a"])


@pytest.mark.parametrize("leak", [1.0, 0.9])
def test_one_spike_a_step_is_a_current(build, solve, leak):
    network, _ = _two_layers(build, leak)
    steps = 12
    # In the middle of steps, and at their ends, which belong to them.
    times = np.tile(np.arange(steps) + 0.5, (5, 1))
    times[2] += 0.5
    trains = {"in": st.Spikes.from_dense(jnp.asarray(times))}
    by_spikes = solve(Equilibrium(), network, trains, t1=float(steps))
    by_current = solve(Equilibrium(), network, {"in": st.Current(jnp.ones(5))}, t1=float(steps))
    for name in network.neurons:
        np.testing.assert_allclose(by_spikes.rates[name], by_current.rates[name], rtol=1e-14)
        np.testing.assert_allclose(by_spikes.stats["residual"][name], by_current.stats["residual"][name], atol=1e-14)


def test_input_spikes_are_weighted_as_the_rates_are(build):
    network, _ = _two_layers(build, 0.9)
    train = st.Spikes.from_dense(jnp.asarray([[0.5, 3.5], [2.5, jnp.inf], [jnp.inf] * 2, [9.0, jnp.inf], [0.0, 0.2]]))
    given, _ = input_of(network, {"in": train}, step=1.0, steps=4, leak=0.9, dtype=jnp.float64)
    expected = np.zeros((4, 5))
    expected[[0, 3], 0], expected[2, 1], expected[0, 4] = 1, 1, 2
    np.testing.assert_array_equal(given.counts["in"], expected)
    weights = 0.9 ** np.arange(3, -1, -1)
    np.testing.assert_allclose(given.mean["in"], weights / weights.sum() @ expected, rtol=1e-14)


def test_memory_does_not_grow_with_the_number_of_steps(build):
    network, stimulus = _two_layers(build, 1.0)

    def temporary(steps):
        @eqx.filter_grad
        def loss(network):
            solution = Equilibrium().solve(network, stimulus, t1=float(steps), save=SAVE, throw=False)
            return jnp.sum(solution.rates["c"])

        arrays, static = eqx.partition(network, eqx.is_array)
        compiled = jax.jit(lambda arrays: loss(eqx.combine(arrays, static))).lower(arrays).compile()
        return compiled.memory_analysis().temp_size_in_bytes

    assert temporary(1000) == temporary(10)
