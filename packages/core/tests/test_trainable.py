"""What a training run changes."""

import equinox as eqx
import jax
import jax.numpy as jnp
import pytest

import saltation as st


@pytest.fixture
def model(leaky, getkey):
    net = st.feedforward([3, 4, 2], leaky(tau_mem=jnp.array(20.0)), delay="axonal", key=getkey())
    return st.Model(net, st.Linear(st.FirstSpikes(), 2, 2, key=getkey()))


def count(model, *labels):
    chosen, _ = eqx.partition(model, st.trainable(model, *labels))
    return sorted(leaf.size for leaf in jax.tree.leaves(chosen))


def test_labels_are_fields_at_any_depth(model):
    assert count(model, "weight") == [4, 8, 12]
    assert count(model, "delay") == [3, 4]
    assert count(model, "tau_mem") == [1, 1]
    assert count(model, "bias", "delay") == [2, 3, 4]
    assert count(model, "readout") == [2, 4]
    assert count(model, "hidden1") == [1]


def test_the_filter_has_the_structure_of_the_model(model):
    chosen = st.trainable(model, "weight")
    assert jax.tree.structure(chosen) == jax.tree.structure(model)
    assert all(isinstance(leaf, bool) for leaf in jax.tree.leaves(chosen))


@pytest.mark.parametrize(
    ("label", "message"),
    [
        ("wieght", r"'wieght', which names no float array.*Did you mean 'weight'"),
        ("tau_memm", "mean 'tau_mem'"),
        ("nothing_like_it", r"expected among \[.*'weight'.*give it as an array to train it"),
    ],
)
def test_a_label_that_matches_nothing(model, label, message):
    with pytest.raises(ValueError, match=message):
        st.trainable(model, "weight", label)


def test_python_numbers_are_fixed(leaky, getkey):
    net = st.feedforward([3, 2], leaky(tau_mem=20.0), key=getkey())
    with pytest.raises(ValueError, match="A parameter given as a Python number is fixed"):
        st.trainable(net, "tau_mem")
