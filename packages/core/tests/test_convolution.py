"""Synapses between images, against loops over pixels."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import saltation as st

RNG = np.random.default_rng(0)


def _convolved(image, kernel, stride, padding):
    """By the definition: out[y, x, d] = sum in[stride y + i - top, stride x + j - left, c] kernel[i, j, c, d]."""
    (top, bottom), (left, right) = padding
    padded = np.pad(image, ((top, bottom), (left, right), (0, 0)))
    height = (padded.shape[0] - kernel.shape[0]) // stride[0] + 1
    width = (padded.shape[1] - kernel.shape[1]) // stride[1] + 1
    out = np.zeros((height, width, kernel.shape[3]))
    for y in range(height):
        for x in range(width):
            window = padded[y * stride[0] :, x * stride[1] :][: kernel.shape[0], : kernel.shape[1]]
            out[y, x] = np.einsum("ijc,ijcd->d", window, kernel)
    return out


CONVOLUTIONS = {
    "same": ((5, 6, 2), (3, 3), {}, (5, 6)),
    "strided": ((7, 6, 2), (3, 3), {"stride": 2}, (4, 3)),
    "strides that differ": ((7, 6, 2), (5, 2), {"stride": (2, 3)}, (4, 2)),
    "valid": ((5, 6, 2), (3, 2), {"padding": "valid"}, (3, 5)),
    "padded by hand": ((4, 4, 1), (3, 3), {"padding": ((0, 2), (1, 0))}, (4, 3)),
    "padded by a number": ((4, 4, 1), (3, 3), {"padding": 2}, (6, 6)),
}


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_convolution_is_its_definition(name):
    shape, kernel, options, sides = CONVOLUTIONS[name]
    weight = RNG.normal(size=(*kernel, shape[2], 3))
    conv = st.Conv2d(weight, shape, **options)
    assert conv.shape_in == shape and conv.shape_out == (*sides, 3)
    assert conv.sizes() == (np.prod(shape), np.prod(sides) * 3)
    image = RNG.normal(size=shape)
    expected = _convolved(image, weight, conv.stride, conv.padding)
    np.testing.assert_allclose(conv.apply(jnp.asarray(image.ravel())), expected.ravel(), atol=1e-13)


@pytest.mark.parametrize(("kernel", "stride"), [(3, 2), (5, 2), (2, 2), (4, 2), (3, 1), (5, 3), (4, 3), (3, (1, 2))])
def test_transposed_convolution_is_the_adjoint(kernel, stride):
    weight = RNG.normal(size=(kernel, kernel, 3, 2))
    up = st.ConvTranspose2d(weight, (4, 5, 3), stride=stride)
    down = st.Conv2d(weight.swapaxes(2, 3), up.shape_out, stride=stride)
    assert down.shape_out == up.shape_in == (4, 5, 3)
    x, y = RNG.normal(size=up.sizes()[0]), RNG.normal(size=up.sizes()[1])
    np.testing.assert_allclose(up.apply(jnp.asarray(x)) @ y, x @ np.asarray(down.apply(jnp.asarray(y))), rtol=1e-12)
    (by_weight,) = jax.vjp(lambda w: st.ConvTranspose2d(w, (4, 5, 3), stride=stride).apply(jnp.asarray(x)), weight)[1](
        jnp.asarray(y)
    )
    (by_other,) = jax.vjp(
        lambda w: st.Conv2d(w.swapaxes(2, 3), up.shape_out, stride=stride).apply(jnp.asarray(y)), jnp.asarray(weight)
    )[1](jnp.asarray(x))
    np.testing.assert_allclose(by_weight, by_other, rtol=1e-12, atol=1e-12)


def test_pooling_is_the_mean():
    image = RNG.normal(size=(4, 6, 2))
    pool = st.AvgPool2d((4, 6, 2), (2, 3))
    assert pool.shape_out == (2, 2, 2)
    expected = [[image[2 * y : 2 * y + 2, 3 * x : 3 * x + 3].mean(axis=(0, 1)) for x in range(2)] for y in range(2)]
    np.testing.assert_allclose(pool.apply(jnp.asarray(image.ravel())), np.ravel(expected), rtol=1e-12)


SYNAPSES = {
    "convolution": st.Conv2d(RNG.normal(size=(3, 3, 2, 3)), (4, 4, 2)),
    "transposed": st.ConvTranspose2d(RNG.normal(size=(3, 3, 2, 3)), (2, 2, 2)),
    "pooling": st.AvgPool2d((4, 4, 2)),
    "chain": st.Chain(st.AvgPool2d((4, 4, 2)), st.Conv2d(RNG.normal(size=(3, 3, 2, 3)), (2, 2, 2))),
}


@pytest.mark.parametrize("name", SYNAPSES)
def test_rates_are_the_sum_of_kicks_and_padding_is_nothing(name):
    synapse = SYNAPSES[name]
    pre, post = synapse.sizes()
    rates = RNG.uniform(size=pre)
    kicks = jax.jit(jax.vmap(synapse.kick))(jnp.arange(-1, pre, dtype=jnp.int32))
    np.testing.assert_array_equal(kicks[0], np.zeros(post))
    np.testing.assert_allclose(rates @ kicks[1:], synapse.apply(jnp.asarray(rates)), atol=1e-13)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: st.Conv2d(np.ones((3, 3, 1)), (4, 4, 1)), r"expected \[height, width, channels_in, channels_out\]"),
        (lambda: st.Conv2d(np.ones((3, 3, 1, 2)), (1, 28, 28)), r"shape=\(1, 28, 28\); expected.*channels last"),
        (lambda: st.Conv2d(np.ones((3, 3, 1, 2)), (28, 28)), r"expected \(height, width, channels\) of its source"),
        (lambda: st.Conv2d(np.full((3, 3, 1, 2), np.nan), (4, 4, 1)), "NaN or infinite"),
        (lambda: st.Conv2d(np.ones((3, 3, 1, 2)), (4, 4, 1), stride=0), "stride or window 0"),
        (lambda: st.Conv2d(np.ones((3, 3, 1, 2)), (4, 4, 1), padding="full"), "padding='full'"),
        (lambda: st.Conv2d(np.ones((5, 5, 1, 2)), (4, 4, 1), padding="valid"), "larger than its padded source"),
        (lambda: st.ConvTranspose2d(np.ones((2, 2, 1, 2)), (4, 4, 1), stride=3), "at least the stride"),
        (lambda: st.AvgPool2d((5, 4, 1), 2), "a window that divides the image"),
        (lambda: st.Chain(), "got no synapses"),
        (lambda: st.Chain(st.AvgPool2d((4, 4, 1)), st.Dense(np.ones((3, 2)))), "AvgPool2d of sizes.*before Dense"),
    ],
)
def test_what_does_not_fit_is_refused(build, message):
    with pytest.raises(ValueError, match=message):
        build()


def test_the_adjoint_inside_a_loop_has_a_kernel_in_order():
    # XLA's CPU has no fast path for kernels with swapped channels: in a loop they take seven times as long.
    synapse = st.Conv2d(jnp.ones((3, 3, 2, 4)), (6, 6, 2))

    def adjoint(weight, cotangent):
        one = eqx.tree_at(lambda synapse: synapse.weight, synapse, weight)
        _, pull = jax.vjp(one.apply, jnp.zeros(6 * 6 * 2))
        return jax.lax.fori_loop(0, 3, lambda _, v: jnp.tile(pull(v)[0], 2), cotangent)

    text = jax.jit(adjoint).lower(synapse.weight, jnp.ones(6 * 6 * 4)).compile().as_text()
    assert "convolution(" in text and "01oi" not in text
