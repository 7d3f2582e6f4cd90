"""Recipes: what they are made of, and what they refuse."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import saltation as st
from saltation_equilibrium import cifar10, digits, fashion_mnist, mnist, nmnist
from saltation_equilibrium._image_recipes import ARCHITECTURES, _in_the_middle_of_steps, _network, _shift_and_mirror


def _count(tree):
    return sum(leaf.size for leaf in jax.tree.leaves(tree) if isinstance(leaf, jax.Array))


@pytest.mark.parametrize(
    ("recipe", "shape", "classes"), [(digits, (8, 8), 10), (fashion_mnist, (28, 28), 10), (mnist, (28, 28), 10)]
)
def test_a_stimulus_fits_its_network(recipe, shape, classes):
    experiment = recipe()
    model = experiment.model(jax.random.key(0))
    stimulus = experiment.encoder(jnp.full(shape, 0.5), jax.random.key(0))
    st.check_stimulus(model.network, stimulus)
    st.check_supported(experiment.method, model.network)
    assert model.readout.weight.shape[1] == classes and experiment.t1 >= 1


def test_sizes_are_the_published_ones():
    # 784-400-10 with feedback has 478 thousand parameters, 64C5s(F64C5) 229 thousand.
    plain = 784 * 400 + 400 + 400 * 400 + 400 * 10 + 10
    assert _count(fashion_mnist(normalise=False).model(jax.random.key(0))) == plain
    normalised = fashion_mnist()
    # With a gain and a shift for each neuron, and a mean and a variance that are measured.
    assert _count(normalised.model(jax.random.key(0))) == plain + 4 * 400
    assert {"gain", "shift"} <= set(normalised.trainable) and "gain" not in digits().trainable
    convolutional = mnist().model(jax.random.key(0))
    assert abs(_count(convolutional) - 229_000) < 1_000
    assert convolutional.network.neurons["hidden1"].shape == (14, 14, 64)


def test_events_become_spikes_in_their_steps():
    counts = np.zeros((4, 3, 3, 2), np.uint8)
    counts[0, 1, 2, 0] = counts[3, 0, 0, 1] = 1
    train = _in_the_middle_of_steps(jnp.asarray(counts))
    st.Spikes(train.time, train.index, train.size)
    assert train.size == 18 and np.asarray(train.time)[:3].tolist() == [0.5, 3.5, np.inf]
    assert np.asarray(train.index)[:3].tolist() == [1 * 6 + 2 * 2, 1, -1]
    assert nmnist(steps=7).dataset_options["steps"] == 7 and nmnist(steps=7).t1 == 7.0


def test_images_are_moved_and_mirrored():
    image = jnp.asarray(np.random.default_rng(0).uniform(0.1, 1.0, (32, 32, 3)))
    seen = {float(jnp.sum(_shift_and_mirror(image, jax.random.key(seed)))) for seed in range(8)}
    assert len(seen) > 3 and all(total <= float(jnp.sum(image)) + 1e-6 for total in seen)


def test_training_images_move_or_are_mirrored_where_a_recipe_says_so():
    image = jnp.asarray(np.random.default_rng(0).uniform(0.1, 1.0, (28, 28)))
    keys = jax.random.split(jax.random.key(0), 12)
    moved = [np.asarray(mnist(shift=1).augment(image, key)) for key in keys]
    framed = np.pad(image, 1)
    windows = [framed[y : y + 28, x : x + 28] for y in range(3) for x in range(3)]
    assert all(any(np.array_equal(one, window) for window in windows) for one in moved)
    assert len({one.tobytes() for one in moved}) > 3
    mirrored = {np.asarray(fashion_mnist(mirror=True).augment(image, key)).tobytes() for key in keys}
    assert mirrored == {np.asarray(image).tobytes(), np.asarray(image)[:, ::-1].tobytes()}
    assert mnist(shift=0).augment is None and fashion_mnist().augment is None


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_the_last_layer_feeds_back_to_the_first(name):
    stack = ARCHITECTURES[name]
    few = stack._replace(layers=tuple((max(channels // 32, 2), *rest) for channels, *rest in stack.layers))
    network = _network((32, 32, 3), few, 1.0, 0.2, jax.random.key(0))
    assert [stage.cyclic for stage in network.stages()] == [True]
    back = network.connections[-1]
    assert (back.source, back.target) == ("hidden5", "hidden1")
    assert network.neurons["hidden1"].shape[:2] == (16, 16) and network.neurons["hidden5"].shape[:2] == (8, 8)


@pytest.mark.parametrize("leak", [0.0, -0.1, 1.5])
def test_a_leak_outside_of_the_unit_interval_is_refused(leak):
    with pytest.raises(ValueError, match=r"leak=.*in \(0, 1\]"):
        digits(leak=leak).model(jax.random.key(0))


def test_unknown_words_are_refused():
    with pytest.raises(ValueError, match="architecture='alexnet'; expected one of"):
        cifar10(architecture="alexnet")
    with pytest.raises(ValueError, match="feedback='none'; expected 'contracting'"):
        digits(feedback="none").model(jax.random.key(0))
