"""Convolutions by Fourier transforms, against direct ones."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import saltation as st
from saltation import _fourier

RNG = np.random.default_rng(0)

# Sides, kernel, padding.
CASES = {
    "same": ((5, 6), (3, 3), "same"),
    "an even kernel": ((5, 7), (4, 2), "same"),
    "valid": ((5, 6), (3, 2), "valid"),
    "padded by hand": ((4, 4), (3, 3), ((0, 2), (1, 0))),
    "padded by more than the kernel": ((7, 3), (2, 5), ((3, 4), (6, 2))),
    "one number": ((1, 1), (1, 1), "valid"),
}


def _both(name):
    """A convolution of 3 channels to 2 by both ways, and a batch of images."""
    sides, kernel, padding = CASES[name]
    weight = RNG.normal(size=(*kernel, 3, 2))
    direct, fft = (st.Conv2d(weight, (*sides, 3), padding=padding, algorithm=a) for a in ("direct", "fft"))
    return direct, fft, jnp.asarray(RNG.normal(size=(5, direct.sizes()[0])))


def _same(found, expected):
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12), found, expected)


def _applied(synapse, weight, images):
    synapse = eqx.tree_at(lambda s: s.weight, synapse, weight)
    return jax.vmap(lambda image: synapse.apply(image))(images)


def _with_gradients(synapse, images):
    """Values, and the gradients of a loss by the kernel and the images."""
    loss = lambda weight, images: jnp.sum(jnp.sin(_applied(synapse, weight, images)))  # noqa: E731
    return _applied(synapse, synapse.weight, images), jax.grad(loss, (0, 1))(synapse.weight, images)


@pytest.mark.parametrize("name", CASES)
def test_values_and_gradients_are_those_of_the_sum(name):
    direct, fft, images = _both(name)
    _same(_with_gradients(fft, images), _with_gradients(direct, images))


@pytest.mark.parametrize("number", [1, 2, 5])
def test_pieces_of_a_batch_are_the_batch(number, monkeypatch):
    direct, fft, images = _both("same")
    # The spectra of so many images fit: of 2, the last piece of 5 is filled up.
    size = 3 * 6 * 4 * 3 * 8
    monkeypatch.setattr(_fourier, "_CACHE", number * size)
    pieces = _fourier._pieces(_fourier.Plane((5, 6), (3, 3), ((1, 1), (1, 1))), images.reshape(5, 5, 6, 3), 3)
    assert pieces.shape[:2] == {1: (5, 1), 2: (3, 2), 5: (1, 5)}[number]
    _same(_with_gradients(fft, images), _with_gradients(direct, images))


def test_second_derivatives_and_those_forwards_are_those_of_the_sum():
    direct, fft, images = _both("padded by hand")
    change = jnp.asarray(RNG.normal(size=direct.weight.shape))

    def product(synapse):
        loss = lambda weight: jnp.sum(jnp.sin(_applied(synapse, weight, images)))  # noqa: E731
        return jax.jvp(jax.grad(loss), (synapse.weight,), (change,))

    _same(product(fft), product(direct))


def test_each_sample_may_have_its_own_kernel_and_gradient():
    direct, fft, images = _both("same")
    weights = jnp.asarray(RNG.normal(size=(5, *direct.weight.shape)))

    def gradients(synapse):
        def loss(weight, image):
            return jnp.sum(jnp.sin(_applied(synapse, weight, image[None])))

        each = jax.vmap(jax.value_and_grad(loss, (0, 1)))(weights, images)
        shared = jax.vmap(jax.grad(loss), (None, 0))(weights[0], images)
        return each, shared

    _same(gradients(fft), gradients(direct))


@pytest.mark.parametrize("stride", [1, 2, 3])
def test_a_transposed_convolution_takes_either_way(stride):
    weight = RNG.normal(size=(4, 4, 3, 2))
    direct, fft = (st.ConvTranspose2d(weight, (4, 5, 3), stride=stride, algorithm=a) for a in ("direct", "fft"))
    images = jnp.asarray(RNG.normal(size=(3, direct.sizes()[0])))
    _same(_with_gradients(fft, images), _with_gradients(direct, images))


def test_a_batch_of_small_images_with_many_channels_is_transformed_on_a_cpu():
    def is_direct(synapse, batch, platform):
        images = jnp.ones((batch, synapse.sizes()[0]))
        traced = jax.jit(_applied).trace(synapse, synapse.weight, images)
        return "stablehlo.convolution" in traced.lower(lowering_platforms=(platform,)).as_text()

    many = st.Conv2d(jnp.ones((5, 5, 64, 64)), (14, 14, 64))
    few = st.Conv2d(jnp.ones((3, 3, 1, 8)), (28, 28, 1))
    assert not is_direct(many, 128, "cpu")
    assert is_direct(many, 1, "cpu") and is_direct(few, 128, "cpu") and is_direct(many, 128, "cuda")


def test_in_single_precision_the_error_is_round_off_of_the_largest_sum():
    synapse = st.Conv2d(RNG.normal(size=(5, 5, 16, 16)).astype(np.float32), (14, 14, 16), algorithm="fft")
    exact = st.Conv2d(np.asarray(synapse.weight, np.float64), (14, 14, 16), algorithm="direct")
    spikes = RNG.integers(0, 2, (20, 14 * 14 * 16))
    found = _applied(synapse, synapse.weight, jnp.asarray(spikes, jnp.float32))
    expected = np.asarray(_applied(exact, exact.weight, jnp.asarray(spikes, jnp.float64)))
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6 * np.abs(expected).max())


def test_direct_sums_of_small_fractions_are_exact_and_kicks_are_zero_where_they_do_not_reach():
    weight = RNG.integers(-8, 9, (5, 5, 8, 8)).astype(np.float32) / 16
    spikes = RNG.integers(0, 2, (20, 14 * 14 * 8)).astype(np.float32)
    direct = st.Conv2d(weight, (14, 14, 8), algorithm="direct")
    exact = st.Conv2d(np.asarray(weight, np.float64), (14, 14, 8), algorithm="direct")
    found, expected = (_applied(s, s.weight, jnp.asarray(spikes, s.weight.dtype)) for s in (direct, exact))
    np.testing.assert_array_equal(found, expected)
    fft = st.Conv2d(weight, (14, 14, 8), algorithm="fft")
    kick = np.asarray(jax.vmap(lambda i: fft.kick(i))(jnp.arange(20, dtype=jnp.int32))).reshape(20, 14, 14, 8)
    assert not kick[:, 3:].any() and kick[:, :3].any()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"algorithm": "winograd"}, r"algorithm='winograd'; expected one of \['auto', 'direct', 'fft'\]"),
        ({"algorithm": "fft", "stride": 2}, r"algorithm='fft' with stride=\(2, 2\); expected 'auto'"),
    ],
)
def test_algorithms_that_there_are_not_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        st.Conv2d(np.ones((3, 3, 1, 2)), (4, 4, 1), **options)
