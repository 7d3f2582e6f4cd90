"""Bad settings and input, neurons without a pathwise gradient, and neurons of one's own."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import pytest

import saltation as st
from saltation_neurons import StochasticLIF
from saltation_roughsde import Brownian, CompoundPoisson, Increments, RoughSDE


@dataclasses.dataclass
class Error:
    match: str
    options: dict


@pytest.mark.parametrize(
    "error",
    [
        Error("dt=0", {"dt": 0.0}),
        Error("dt=nan", {"dt": float("nan")}),
        Error("scheme='heun'", {"scheme": "heun"}),
        Error("rule='exact'", {"rule": "exact"}),
        Error("max_spikes=0", {"max_spikes": 0}),
        Error("max_events=0", {"max_events": 0}),
    ],
    ids=lambda e: e.match,
)
def test_bad_settings(error):
    with pytest.raises(ValueError, match=error.match):
        RoughSDE(**error.options)


def test_bad_input_says_what_to_do(build):
    network = build.single(StochasticLIF(2, sigma=0.25))
    stimulus, key = {"in": st.Current(jnp.array([1.0, 1.0]))}, jax.random.key(0)
    with pytest.raises(ValueError, match="no key.*thresholds"):
        RoughSDE().solve(network, stimulus, t1=1.0)
    with pytest.raises(ValueError, match="t1=-1"):
        RoughSDE().solve(network, stimulus, t1=-1.0, key=key)
    with pytest.raises(ValueError, match="dimension 3 for a population of 2"):
        RoughSDE(path=Increments(jnp.zeros((100, 3)))).solve(network, stimulus, t1=1.0, key=key)
    with pytest.raises(ValueError, match="10 increments for 100 cells"):
        RoughSDE(path=Increments(jnp.zeros((10, 2)))).solve(network, stimulus, t1=1.0, key=key)
    with pytest.raises(ValueError, match="no path for 'out'"):
        RoughSDE(path={"other": Brownian()}).solve(network, stimulus, t1=1.0, key=key)
    with pytest.raises(ValueError, match=r"thresholds of shape \(2, 3\)"):
        RoughSDE(thresholds={"out": -jnp.ones((2, 3))}).solve(network, stimulus, t1=1.0, key=key)
    with pytest.raises(ValueError, match="positive definite"):
        Brownian(jnp.array([[1.0, 2.0], [2.0, 1.0]]))
    with pytest.raises(ValueError, match="rate"):
        CompoundPoisson(rate=0.0)
    with pytest.raises(ValueError, match="no delay"):
        delayed = st.Connection("in", "out", st.OneToOne(2), st.Delay(0.1))
        RoughSDE().solve(eqx.tree_at(lambda n: n.connections, network, (delayed,)), stimulus, t1=1.0, key=key)


class _Diffusing(st.AbstractODENeuron):
    """A potential that diffuses onto a hard threshold, or is reset so that its noise does not commute."""

    guard_noise: bool = eqx.field(static=True)
    shape: tuple[int, ...] = eqx.field(converter=st.population_shape, static=True, default=(1,))

    def init(self, *, key=None):
        return (jnp.zeros(self.shape), jnp.zeros(self.shape))

    def vector_field(self, t, state, current):
        return (current - state[0], jnp.exp(state[0]))

    def guard(self, state):
        return state[0] - 1.0 if self.guard_noise else state[1] - 1.0

    def reset(self, state, *, key=None):
        return (state[0] - 1.0, jnp.zeros_like(state[1]))

    def receive(self, state, kick, port):
        return (state[0] + kick, state[1])

    def observe(self, state):
        return state[0]


class _Hard(st.AbstractNeuron):
    """The same, with noise, by composition."""

    inner: _Diffusing
    multiplicative: bool = eqx.field(static=True)

    @property
    def shape(self):  # pyright: ignore
        return self.inner.shape

    def with_shape(self, shape):
        return _Hard(self.inner.with_shape(shape), self.multiplicative)

    def init(self, *, key=None):
        return self.inner.init()

    def vector_field(self, t, state, current):
        return self.inner.vector_field(t, state, current)

    def guard(self, state):
        return self.inner.guard(state)

    def reset(self, state, *, key=None):
        return self.inner.reset(state)

    def receive(self, state, kick, port):
        return self.inner.receive(state, kick, port)

    def next_timer(self, state):
        return self.inner.next_timer(state)

    def on_timer(self, state):
        return state

    def observe(self, state):
        return state[0]

    def lif(self):
        return None

    def closed_form(self):
        return None

    def rate(self):
        return None

    def noise(self):
        def diffusion(state):
            return (0.3 * state[0] if self.multiplicative else jnp.full_like(state[0], 0.3), jnp.zeros_like(state[1]))

        return st.NoiseDynamics(diffusion)


@pytest.mark.parametrize(
    ("neuron", "match"),
    [
        (_Hard(_Diffusing(True), False), "noise in the guard itself.*StochasticLIF"),
        (_Hard(_Diffusing(False), True), "does not commute with their reset"),
    ],
    ids=["noise in the guard", "multiplicative noise"],
)
def test_what_has_no_pathwise_gradient_is_refused(build, neuron, match):
    network = build.single(neuron)
    assert not RoughSDE().supports(network)
    with pytest.raises(st.UnsupportedError, match=match):
        RoughSDE().solve(network, {"in": st.Current(jnp.zeros(1))}, t1=1.0, key=jax.random.key(0))


def test_a_neuron_of_ones_own_is_supported(build):
    network = build.single(_Hard(_Diffusing(False), False))
    assert RoughSDE().supports(network)
    refused = RoughSDE(scheme="piecewise_linear").supports(network)
    assert not refused and "forced_flow" in refused.reason
