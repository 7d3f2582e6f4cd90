"""Implicit gradients, against dense linear algebra over all layers at once and against central differences."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import saltation as st
from saltation_equilibrium import GMRES, Anderson, Equilibrium, JacobianFree, Picard

SAVE = st.Save(spikes=False, rates=True)
FIXED = {"gradient_at": "fixed_point", "rates": "fixed_point"}


def _matrix(synapse):
    return np.asarray(jax.vmap(synapse.kick)(jnp.arange(synapse.sizes()[0], dtype=jnp.int32)))


def _circle(build, leak=1.0):
    """Layers a -> b -> a with b -> b, and c behind them."""
    rng = np.random.default_rng(3)
    size = {"in": 5, "a": 6, "b": 4, "c": 3}
    scale = {("in", "a"): 1.0, ("a", "b"): 0.8, ("b", "a"): 0.3, ("b", "b"): 0.3, ("b", "c"): 1.0}
    weights = {pair: by * rng.normal(0.3, 0.4, (size[pair[0]], size[pair[1]])) for pair, by in scale.items()}
    network = st.Network(
        {"in": 5},
        {name: build.neuron(leak, 1.2).with_shape(size[name]) for name in ("a", "b", "c")},
        [st.Connection(*pair, st.Dense(weight)) for pair, weight in weights.items()],
        ["c"],
    )
    return network, jnp.asarray(rng.uniform(0.2, 1.5, 5))


def _images(build, normalised):
    """Convolutions to two layers, transposed feedback, and normalisations with statistics of their own."""
    rng = np.random.default_rng(6)
    kernel = lambda scale, *shape: scale * rng.normal(0.1, 1.0, shape) / (shape[0] * shape[2] ** 0.5)  # noqa: E731
    synapses = {
        ("in", "a"): st.Conv2d(kernel(1.5, 3, 3, 2, 3), (6, 6, 2)),
        ("a", "b"): st.Conv2d(kernel(1.5, 3, 3, 3, 4), (6, 6, 3), stride=2),
        ("b", "a"): st.ConvTranspose2d(kernel(0.8, 3, 3, 4, 3), (3, 3, 4)),
    }
    if normalised:
        for pair, channels in ((("in", "a"), 3), (("a", "b"), 4), (("b", "a"), 3)):
            synapse = st.Normalised(synapses[pair], channels, inference=True)
            values = [rng.uniform(0.3, 0.6, channels), rng.uniform(0.2, 0.7, channels)]
            values += [rng.normal(0, 0.1, channels), rng.uniform(0.2, 1.5, channels)]
            where = lambda s: (s.gain, s.shift, s.statistics.mean, s.statistics.variance)  # noqa: E731
            synapses[pair] = eqx.tree_at(where, synapse, [jnp.asarray(value) for value in values])
    network = st.Network(
        {"in": (6, 6, 2)},
        {"a": build.neuron().with_shape((6, 6, 3)), "b": build.neuron().with_shape((3, 3, 4))},
        [st.Connection(*pair, synapse) for pair, synapse in synapses.items()],
        ["b"],
    )
    return network, jnp.asarray(rng.uniform(0.0, 1.5, 72))


@eqx.filter_jit
def _gradient(method, network, x, cotangents, t1=20.0):
    @eqx.filter_value_and_grad(has_aux=True)
    def loss(at):
        network, x = at
        solution = method.solve(network, {"in": st.Current(x)}, t1=t1, save=SAVE, throw=False)
        return sum(jnp.sum(cotangents[name] * solution.rates[name]) for name in cotangents), solution

    (_, solution), gradient = loss((network, x))
    return solution, gradient


def _cotangents(network):
    rng = np.random.default_rng(7)
    return {name: jnp.asarray(rng.normal(size=neuron.size)) for name, neuron in network.neurons.items()}


def _dense_gradient(network, x, rates, cotangents):
    """Gradients by each connection's matrix, each threshold and the input; one system for the neurons of all layers."""
    names = list(network.neurons)
    sizes = [network.size(name) for name in names]
    place = dict(zip(names, np.cumsum([0, *sizes[:-1]]), strict=True))
    part = {name: slice(place[name], place[name] + network.size(name)) for name in names}
    weight, charge = np.zeros((sum(sizes), sum(sizes))), np.zeros(sum(sizes))
    a = np.concatenate([rates[name] for name in names])
    for connection in network.connections:
        matrix = _matrix(connection.synapse)
        if connection.source == "in":
            charge[part[connection.target]] += np.asarray(x) @ matrix
        else:
            weight[part[connection.target], part[connection.source]] += matrix.T
    threshold = np.concatenate(
        [np.broadcast_to(network.neurons[n].rate().v_threshold, s) for n, s in zip(names, sizes, strict=True)]
    )
    before = (weight @ a + charge) / threshold
    slope = ((before >= 0) & (before <= 1)) / threshold
    g = np.concatenate([cotangents[name] for name in names])
    v = np.linalg.solve(np.eye(len(a)) - (slope[:, None] * weight).T, g)
    delta = slope * v
    by_matrix, by_input = [], 0.0
    for connection in network.connections:
        source = np.asarray(x) if connection.source == "in" else a[part[connection.source]]
        by_matrix.append(np.outer(source, delta[part[connection.target]]))
        if connection.source == "in":
            by_input = by_input + _matrix(connection.synapse) @ delta[part[connection.target]]
    return by_matrix, by_input, slope


@pytest.mark.parametrize("leak", [1.0, 0.95])
@pytest.mark.parametrize("at", ["rates", "fixed_point"])
def test_gradient_of_layers_in_a_circle(build, at, leak):
    network, x = _circle(build, leak)
    cotangents = _cotangents(network)
    method = Equilibrium(**FIXED) if at == "fixed_point" else Equilibrium()
    solution, (by_network, by_x) = _gradient(method, network, x, cotangents)
    by_matrix, by_input, slope = _dense_gradient(network, x, solution.rates, cotangents)
    assert 0.4 < np.mean(slope > 0) < 1, "some neurons must be clipped, not all"
    for connection, expected in zip(by_network.connections, by_matrix, strict=True):
        np.testing.assert_allclose(connection.synapse.weight, expected, rtol=0, atol=1e-9)
    np.testing.assert_allclose(by_x, by_input, rtol=0, atol=1e-9)


@pytest.mark.parametrize("at", ["rates", "fixed_point"])
def test_gradient_of_convolutions(build, at):
    network, x = _images(build, normalised=False)
    cotangents = _cotangents(network)
    method = Equilibrium(**FIXED) if at == "fixed_point" else Equilibrium()
    solution, (by_network, by_x) = _gradient(method, network, x, cotangents)
    by_matrix, by_input, slope = _dense_gradient(network, x, solution.rates, cotangents)
    assert 0.3 < np.mean(slope > 0) < 1
    np.testing.assert_allclose(by_x, by_input, rtol=0, atol=1e-9)
    for connection, own, expected in zip(network.connections, by_network.connections, by_matrix, strict=True):
        # From the matrix to the kernel, through the linear map from kernels to matrices.
        units = jnp.arange(connection.synapse.sizes()[0], dtype=jnp.int32)

        def matrix(weight, synapse=connection.synapse, units=units):
            return jax.vmap(eqx.tree_at(lambda s: s.weight, synapse, weight).kick)(units)

        (kernel,) = jax.vjp(matrix, connection.synapse.weight)[1](jnp.asarray(expected))
        np.testing.assert_allclose(own.synapse.weight, kernel, rtol=0, atol=1e-9)


def test_central_differences_through_the_fixed_point_of_normalised_convolutions(build):
    network, x = _images(build, normalised=True)
    cotangents = _cotangents(network)
    method = Equilibrium(**FIXED)
    _, gradient = _gradient(method, network, x, cotangents)
    arrays, static = eqx.partition((network, x), eqx.is_inexact_array)
    leaves, structure = jax.tree.flatten(arrays)
    found = jax.tree.leaves(eqx.filter(gradient, eqx.is_inexact_array))
    rng = np.random.default_rng(8)

    @jax.jit
    def value(leaves):
        network, x = eqx.combine(jax.tree.unflatten(structure, leaves), static)
        solution = method.solve(network, {"in": st.Current(x)}, t1=20.0, save=SAVE, throw=False)
        return sum(jnp.sum(cotangents[name] * solution.rates[name]) for name in cotangents)

    for number, leaf in enumerate(leaves):
        direction = jnp.asarray(rng.normal(size=leaf.shape))
        step = 1e-6 * direction / jnp.linalg.norm(direction)
        up, down = ([*leaves[:number], leaf + sign * step, *leaves[number + 1 :]] for sign in (1.0, -1.0))
        slope = (value(up) - value(down)) / 2e-6
        expected = jnp.sum(found[number] * step) / 1e-6
        np.testing.assert_allclose(expected, slope, rtol=1e-7, atol=1e-7, err_msg=f"array {number} {leaf.shape}")


@pytest.mark.parametrize("backward", ["neumann", "picard", "anderson", "gmres", "dense"])
def test_every_solver_finds_the_same_gradient(build, backward):
    network, x = _circle(build)
    cotangents = _cotangents(network)
    _, expected = _gradient(Equilibrium(**FIXED), network, x, cotangents)
    method = Equilibrium(**FIXED, forward="picard", backward=backward)
    _, found = _gradient(method, network, x, cotangents)
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-9)


def test_jacobian_free_is_the_beginning_of_the_neumann_series(build):
    network, x = _circle(build)
    cotangents = _cotangents(network)

    def gradient(method):
        return np.concatenate([np.ravel(g) for g in jax.tree.leaves(_gradient(method, network, x, cotangents)[1])])

    exact = gradient(Equilibrium(**FIXED))
    errors = []
    for terms in (0, 1, 4, 16):
        found = gradient(Equilibrium(**FIXED, backward=JacobianFree(terms)))
        errors.append(np.linalg.norm(found - exact) / np.linalg.norm(exact))
    assert errors[0] > errors[1] > errors[2] > errors[3] and errors[0] < 0.5 and errors[3] < 1e-4


def test_feedback_that_does_not_contract_is_no_problem_for_krylov(build):
    # Rotations by feedback: the norm is 3, and Picard's iteration runs away.
    network, x = _circle(build)
    skew = np.zeros((4, 4))
    skew[0, 1], skew[1, 0], skew[2, 3], skew[3, 2] = 3.0, -3.0, 3.0, -3.0
    network = eqx.tree_at(lambda n: n.connections[3].synapse.weight, network, jnp.asarray(skew))
    cotangents = _cotangents(network)
    found = {}
    for name, method in {"gmres": GMRES(), "dense": "dense", "anderson": Anderson(memory=8)}.items():
        _, found[name] = _gradient(Equilibrium(**FIXED, backward=method), network, x, cotangents)
    for a, b, c in zip(*[jax.tree.leaves(gradient) for gradient in found.values()], strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-8)
        np.testing.assert_allclose(c, b, rtol=0, atol=1e-8)


def test_each_sample_has_its_own_tolerance(build):
    network, x = _circle(build)
    method = Equilibrium(**FIXED, forward=Picard(rtol=1e-8), probe=True)
    batch = jnp.stack([x, 0.02 * x, 0.5 * x])

    def solve(x):
        return method.solve(network, {"in": st.Current(x)}, t1=5.0, save=SAVE, throw=False)

    together = eqx.filter_jit(jax.vmap(solve))(batch)
    alone = [eqx.filter_jit(solve)(x) for x in batch]
    steps = together.stats["steps"]["b"]
    np.testing.assert_array_equal(steps, [one.stats["steps"]["b"] for one in alone])
    assert len(set(np.asarray(steps).tolist())) > 1
    assert np.all(np.asarray(together.stats["adjoint_residual"]["b"]) < 1e-11)
    assert np.all(np.asarray(together.stats["adjoint_steps"]["b"]) > 1)


def test_the_gradient_of_weights_is_never_a_matrix_for_each_sample(build):
    # 256 samples of 64 x 64 weights would be 8 MB; what is needed are a few vectors of 256 x 64.
    rng = np.random.default_rng(0)
    network = build.single_layer(0.05 * rng.normal(size=(64, 64)), rng.normal(size=(8, 64)) / 3, np.full(64, 0.3))
    x = jnp.asarray(rng.uniform(0, 1, (256, 8)))

    @eqx.filter_grad
    def loss(network):
        solve = lambda x: Equilibrium(backward="neumann").solve(  # noqa: E731
            network, build.currents(x), t1=5.0, save=SAVE, throw=False
        )
        return jnp.sum(jax.vmap(solve)(x).rates["hidden"] ** 2)

    arrays, static = eqx.partition(network, eqx.is_array)
    compiled = jax.jit(lambda arrays: loss(eqx.combine(arrays, static))).lower(arrays).compile()
    assert compiled.memory_analysis().temp_size_in_bytes < 256 * 64 * 64 * 8 / 2


def test_thresholds_are_trained_too(build):
    network, x = _circle(build)
    raised = lambda by: eqx.tree_at(  # noqa: E731
        lambda n: n.neurons["b"].v_threshold, network, jnp.full(4, 1.2 + by)
    )
    cotangents = _cotangents(network)
    method = Equilibrium(**FIXED)
    _, (gradient, _) = _gradient(method, raised(0.0), x, cotangents)

    def value(by):
        rates = _gradient(method, raised(by), x, cotangents)[0].rates
        return sum(float(jnp.sum(cotangents[name] * rate)) for name, rate in rates.items())

    np.testing.assert_allclose(
        float(jnp.sum(gradient.neurons["b"].v_threshold)), (value(1e-6) - value(-1e-6)) / 2e-6, rtol=1e-7, atol=1e-8
    )
