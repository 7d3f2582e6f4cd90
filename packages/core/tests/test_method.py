"""What every method shares: checks of what it is given, and refusal of derivatives that it does not define."""

from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import saltation as st


class Picky(st.AbstractMethod):
    """Refuses everything."""

    provides: ClassVar[frozenset[str]] = frozenset({"spikes"})

    def supports(self, network):
        return st.Support(False, "it has neurons; take them out.")

    def solve(self, network, stimulus, *, t1, initial=None, key=None, save=st.Save(), throw=True):
        raise AssertionError("refused before it is solved")


@pytest.fixture
def net(leaky, getkey):
    return st.feedforward([2, 3], leaky(), key=getkey())


def test_support_is_a_bool_with_words():
    assert st.Support(True) and not st.Support(False, "why")


def test_an_unsupported_network_is_refused_with_the_reason(net):
    with pytest.raises(st.UnsupportedError, match="Picky cannot solve this network: it has neurons; take them out"):
        st.check_supported(Picky(), net)
    assert issubclass(st.UnsupportedError, ValueError)


def test_needs_are_compared_with_what_is_provided():
    st.check_needs(Picky(), {"spikes"}, "The loss")
    with pytest.raises(st.UnsupportedError, match=r"The loss needs a gradient of \['rates'\].*Picky.*\['spikes'\]"):
        st.check_needs(Picky(), {"spikes", "rates"}, "The loss")


def test_a_stimulus_that_fits(net):
    st.check_stimulus(net, {"in": st.Spikes.empty(2)})
    st.check_stimulus(net, {"in": st.Current(jnp.ones(2))})
    st.check_stimulus(net, {"in": st.Current(jnp.ones((3, 2)), start=jnp.arange(3.0))})


@pytest.mark.parametrize(
    ("stimulus", "message"),
    [
        ({"inn": st.Spikes.empty(2)}, r"'inn'; expected inputs \['in'\]. Did you mean 'in'"),
        ({}, r"no stimulus for \['in'\]; expected one for each"),
        ({"in": st.Spikes.empty(3)}, "3 units for 'in'; expected 2"),
        ({"in": st.Current(jnp.ones(3))}, "3 units for 'in'; expected 2"),
        ({"in": jax.vmap(st.Spikes.from_dense)(jnp.ones((5, 2)))}, r"shape \(5, 2\).*one sample.*jax.vmap"),
        ({"in": jax.vmap(st.Current)(jnp.ones((5, 2)))}, r"shape \(5, 2\).*one sample.*jax.vmap"),
    ],
)
def test_a_stimulus_that_does_not_fit(net, stimulus, message):
    with pytest.raises(ValueError, match=message):
        st.check_stimulus(net, stimulus)


@pytest.mark.parametrize("stimulus", [{"in": jnp.ones(2)}, st.Spikes.empty(2)])
def test_a_stimulus_of_a_wrong_type(net, stimulus):
    # The type checker of the tests comes first; without it the message is ours.
    with pytest.raises((ValueError, TypeError), match="stimulus"):
        st.check_stimulus(net, stimulus)


def refused(x):
    return jnp.sum(st.not_differentiable({"a": 2.0 * x, "n": 3}, "no derivative of a")["a"])


def beside(x):
    """Computed along with refused values, but not from them."""
    st.not_differentiable(2.0 * x, "no derivative of a")
    return jnp.sum(3.0 * x)


def test_refused_values_are_the_values():
    tree = {"a": jnp.array([1.0, 2.0]), "n": 3, "i": jnp.array([1])}
    same = jax.jit(lambda tree: st.not_differentiable(tree, "no")["a"])(tree)
    np.testing.assert_array_equal(same, tree["a"])
    out = st.not_differentiable(tree, "no")
    assert out["n"] == 3 and out["i"] is tree["i"]
    np.testing.assert_array_equal(jax.vmap(refused)(jnp.ones((3, 2))), [4.0] * 3)


TRANSFORMS = {
    "grad": jax.grad,
    "jit of grad": lambda f: jax.jit(jax.grad(f)),
    "grad of jit": lambda f: jax.grad(jax.jit(f)),
    "vmap of grad": lambda f: lambda x: jax.vmap(jax.grad(f))(x[None]),
    "grad of vmap": lambda f: jax.grad(lambda x: jnp.sum(jax.vmap(f)(x[None]))),
    "filter_grad": eqx.filter_grad,
    "jit of jvp": lambda f: jax.jit(lambda x: jax.jvp(f, (x,), (jnp.ones_like(x),))[1]),
    "jit of jacfwd": lambda f: jax.jit(jax.jacfwd(f)),
    "grad of scan": lambda f: jax.grad(
        lambda x: jax.lax.scan(lambda c, _: (c + f(x), None), jnp.zeros(()), None, length=2)[0]
    ),
}


@pytest.mark.parametrize("transform", TRANSFORMS.values(), ids=TRANSFORMS)
def test_a_refused_derivative_raises(transform):
    with pytest.raises(TypeError, match="no derivative of a"):
        transform(refused)(jnp.array([1.0, 2.0]))


@pytest.mark.parametrize("transform", TRANSFORMS.values(), ids=TRANSFORMS)
def test_a_derivative_beside_it_does_not(transform):
    # A method that does not differentiate, say, the final states must still differentiate the spikes.
    gradient = transform(beside)(jnp.array([1.0, 2.0]))
    assert np.isfinite(np.asarray(gradient)).all() and np.max(np.asarray(gradient)) >= 3.0


def test_forward_mode_outside_jit_raises_at_once():
    for function in (refused, beside):
        with pytest.raises(TypeError, match="no derivative of a"):
            jax.jvp(function, (jnp.ones(2),), (jnp.ones(2),))


def test_values_that_look_like_constants():
    """The derivative of a count is zero: what it depends on says that there is something to refuse."""

    def rate(x, **kwargs):
        count = jnp.sum(x > 0.5).astype(x.dtype)
        return st.not_differentiable(count / 10.0, "no derivative of a rate", **kwargs)

    x = jnp.array([0.2, 0.7, 0.9])
    np.testing.assert_array_equal(jax.grad(rate)(x), np.zeros(3))  # silent
    with pytest.raises(TypeError, match="no derivative of a rate"):
        jax.grad(lambda x: rate(x, depends_on={"x": x, "n": 3}))(x)
    with pytest.raises(TypeError, match="no derivative of a rate"):
        jax.grad(lambda x: rate(x, depends_on=x.astype(jnp.float32)))(x)
    gradient = jax.jit(jax.grad(lambda x: jnp.sum(x) + jax.lax.stop_gradient(rate(x, depends_on=x))))(x)
    np.testing.assert_array_equal(gradient, np.ones(3))


def test_results_say_what_to_change():
    words = {
        "max_spikes_reached": "max_spikes",
        "max_steps_reached": "max_steps",
        "non_finite_input": "NaN",
        "bad_save_times": "states_at",
        "guard_at_start": "v_reset",
    }
    for name, word in words.items():
        assert word in st.RESULTS[getattr(st.RESULTS, name)], name
    assert st.RESULTS[st.RESULTS.successful] == ""
