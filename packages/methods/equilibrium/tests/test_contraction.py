"""Norms of feedback, and parametrisations that guarantee one equilibrium."""

import itertools

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import saltation as st
from saltation_equilibrium import Anderson, Contracting, Equilibrium, Monotone, contraction, operator_norm

SAVE = st.Save(spikes=False, rates=True)
RNG = np.random.default_rng(0)


def _normalised(inner, channels):
    synapse = st.Normalised(inner, channels, inference=True)
    where = lambda s: (s.gain, s.shift, s.statistics.variance)  # noqa: E731
    values = [RNG.uniform(0.5, 2.0, channels), RNG.normal(size=channels), RNG.uniform(0.2, 2.0, channels)]
    return eqx.tree_at(where, synapse, [jnp.asarray(value) for value in values])


CONV = st.Conv2d(RNG.normal(size=(5, 5, 2, 3)), (6, 5, 2))
SYNAPSES = {
    "dense": st.Dense(RNG.normal(size=(7, 4))),
    "convolution": CONV,
    "strided": st.Conv2d(RNG.normal(size=(3, 3, 2, 3)), (6, 6, 2), stride=2),
    "transposed": st.ConvTranspose2d(RNG.normal(size=(3, 3, 2, 3)), (3, 3, 2)),
    "pooled": st.Chain(st.AvgPool2d((6, 6, 2)), st.Conv2d(RNG.normal(size=(3, 3, 2, 2)), (3, 3, 2))),
    "normalised": _normalised(CONV, 3),
    "monotone": Monotone.random(6, key=jax.random.key(0)),
}


@eqx.filter_jit
def _rows(linear, inputs):
    return jax.vmap(linear.apply)(inputs)


def _matrix(synapse):
    linear = synapse.parts()[0] if isinstance(synapse, st.Normalised) else synapse
    return np.asarray(_rows(linear, jnp.eye(synapse.sizes()[0])))


@pytest.mark.parametrize("name", SYNAPSES)
def test_norm_is_the_largest_singular_value(name):
    synapse = SYNAPSES[name]
    matrix = _matrix(synapse)
    np.testing.assert_allclose(eqx.filter_jit(operator_norm)(synapse), np.linalg.norm(matrix, 2), rtol=1e-10)


def test_norm_of_a_convolution_is_not_that_of_its_reshaped_weight():
    reshaped = np.linalg.norm(np.asarray(CONV.weight).reshape(-1, 3), 2)
    norm = float(operator_norm(CONV))
    assert norm > 1.2 * reshaped
    assert norm == float(operator_norm(CONV)), "it must not depend on chance"


def test_few_steps_are_enough_for_a_large_matrix():
    # The largest singular values of a random matrix lie close together: the hard case.
    weight = RNG.normal(size=(300, 300))
    found = float(operator_norm(st.Dense(weight), steps=20))
    assert 0.98 * np.linalg.norm(weight, 2) < found <= np.linalg.norm(weight, 2) * (1 + 1e-12)


def test_norm_has_a_gradient():
    direction = RNG.normal(size=CONV.weight.shape)
    norm = lambda by: operator_norm(  # noqa: E731
        eqx.tree_at(lambda s: s.weight, CONV, CONV.weight + by * direction)
    )
    slope = (norm(1e-5) - norm(-1e-5)) / 2e-5
    np.testing.assert_allclose(jax.grad(norm)(0.0), slope, rtol=1e-7)


def test_dropout_counts_with_its_strongest_mask():
    dense = st.Dense(RNG.normal(size=(8, 5)))
    on = st.Dropout(dense, 0.5)
    resolved = eqx.filter_jit(st.resolved)
    bound = float(operator_norm(on))
    np.testing.assert_allclose(bound, 2 * np.linalg.norm(np.asarray(dense.weight), 2), rtol=1e-5)
    for seed in range(20):
        drawn = resolved(on, key=jax.random.key(seed))
        assert np.linalg.norm(_matrix(drawn), 2) <= bound * (1 + 1e-6)
    np.testing.assert_allclose(operator_norm(eqx.nn.inference_mode(on)), bound / 2, rtol=1e-5)
    whole = _normalised(st.Dropout(dense, 0.5), 5)
    bare = eqx.tree_at(lambda s: s.inner, whole, dense)
    np.testing.assert_allclose(operator_norm(whole), 2 * np.linalg.norm(_matrix(bare), 2), rtol=1e-4)


def test_bound_of_a_circle_is_the_root_of_the_product(build):
    first, second = RNG.normal(size=(5, 3)), RNG.normal(size=(3, 5))
    network = st.Network(
        {"in": 2},
        {"a": build.neuron(1.0, 2.0).with_shape(5), "b": build.neuron(1.0, 3.0).with_shape(3)},
        [
            st.Connection("in", "a", st.Dense(RNG.normal(size=(2, 5)))),
            st.Connection("a", "b", st.Dense(first)),
            st.Connection("b", "a", st.Dense(second)),
        ],
        ["b"],
    )
    found = contraction(network)
    product = np.linalg.norm(first, 2) / 3 * np.linalg.norm(second, 2) / 2
    np.testing.assert_allclose(found.bound["b"], product**0.5, rtol=1e-5)
    assert found.contracts == (product < 1)
    assert set(found.norms) == {1, 2}


def test_a_network_that_contracts_shrinks_distances_and_has_one_equilibrium(build):
    weight = RNG.normal(size=(12, 12))
    weight = 0.95 * weight / np.linalg.norm(weight, 2)
    network = build.single_layer(weight, RNG.normal(size=(3, 12)), np.full(12, 0.4))
    bound = float(contraction(network).bound["hidden"])
    np.testing.assert_allclose(bound, 0.95, rtol=1e-5)
    drive = RNG.normal(size=12)
    one, other = RNG.uniform(0, 1, (2, 12))
    for _ in range(5):
        before = np.linalg.norm(one - other)
        one, other = (np.clip(a @ weight + drive, 0, 1) for a in (one, other))
        assert np.linalg.norm(one - other) <= bound * before * (1 + 1e-6)


def _equilibria(matrix, drive, threshold):
    """All of them: for each neuron silent, saturated or between, the solution, if it is consistent."""
    n, found = len(drive), []
    for pattern in itertools.product((0, 1, 2), repeat=n):
        pattern = np.array(pattern)
        between, fixed = pattern == 2, (pattern == 1).astype(float)
        system = np.where(between[:, None], threshold * np.eye(n) - matrix, np.eye(n))
        a = np.linalg.solve(system, np.where(between, drive, fixed))
        if np.allclose(a, np.clip((matrix @ a + drive) / threshold, 0, 1), rtol=0, atol=1e-9):
            found.append(a)
    return np.unique(np.round(found, 7), axis=0)


@pytest.mark.parametrize("size", [0.3, 3.0, 30.0])
def test_monotone_feedback_has_one_equilibrium_whatever_its_parameters(build, size):
    # With large parameters the norm is far above the threshold, and no contraction helps.
    keys = jax.random.split(jax.random.key(1), 3)
    parameters = size * jax.random.normal(keys[0], (5, 5)), size * jax.random.normal(keys[1], (5, 5))
    feedback = Monotone(*parameters, 1.3, margin=0.2)
    matrix = _matrix(feedback)
    symmetric = 1.3 * np.eye(5) - 0.5 * (matrix + matrix.T)
    assert np.linalg.eigvalsh(symmetric).min() >= 1.3 * 0.2 - 1e-9
    network = build.single_layer(np.zeros((5, 5)), RNG.normal(size=(3, 5)), np.full(5, 0.5), v_threshold=1.3)
    network = eqx.tree_at(lambda n: n.connections[2].synapse, network, feedback)
    stimulus = build.currents(jnp.asarray([1.0, -0.5, 0.8]))
    drive = np.asarray(stimulus["in"].value @ network.connections[0].synapse.weight) + 0.5
    found = _equilibria(matrix.T, drive, 1.3)
    assert len(found) == 1
    if size < 1:
        forward = Anderson(memory=5, max_steps=500)
        method = Equilibrium(gradient_at="fixed_point", rates="fixed_point", forward=forward, backward="gmres")
        solution = method.solve(network, stimulus, t1=50.0, save=SAVE)
        np.testing.assert_allclose(solution.rates["hidden"], found[0], atol=1e-6)


def test_free_feedback_may_have_several_equilibria():
    # Two neurons that excite each other: what the guarantee rules out.
    matrix = np.array([[0.0, 3.0], [3.0, 0.0]])
    assert len(_equilibria(matrix, np.full(2, -0.5), 1.0)) == 3


def test_contracting_scales_down_and_never_up():
    large, small = st.Dense(3 * RNG.normal(size=(6, 6))), st.Dense(0.01 * RNG.normal(size=(6, 6)))
    np.testing.assert_allclose(np.linalg.norm(_matrix(Contracting(large, 0.9)), 2), 0.9, rtol=1e-9)
    np.testing.assert_allclose(_matrix(Contracting(small, 0.9)), small.weight, rtol=1e-12)
    scaled = Contracting(st.Conv2d(RNG.normal(size=(3, 3, 4, 4)), (5, 5, 4)), 1.5)
    np.testing.assert_allclose(np.linalg.norm(_matrix(scaled), 2), 1.5, rtol=1e-3)


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="bound=0.0; expected a positive number"):
        Contracting(st.Dense(np.eye(2)), 0.0)
    with pytest.raises(ValueError, match="Dropout inside; expected it outside"):
        Contracting(st.Dropout(st.Dense(np.eye(2)), 0.5), 0.9)
    # A type checker, where one is installed, comes first.
    with pytest.raises((ValueError, TypeError), match="weight"):
        Monotone(jnp.ones((3, 2)), jnp.ones((2, 2)))
    with pytest.raises(ValueError, match=r"margin=1.0.*in \(0, 1\)"):
        Monotone(jnp.ones((2, 2)), jnp.ones((2, 2)), 1.0, 1.0)
    spiking = st.Network({"in": 1}, {}, [], [])
    assert contraction(spiking).contracts
