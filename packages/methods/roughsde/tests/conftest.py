"""What the tests of this package share: networks, and a solve that is compiled once a structure."""

from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import pytest

import saltation as st
from saltation_neurons import StochasticLIF


class Build(NamedTuple):
    """Functions that build networks."""

    single: Callable[..., st.Network]
    layers: Callable[..., st.Network]


@pytest.fixture(scope="session")
def build() -> Build:
    return Build(_single, _layers)


def _single(neuron: st.AbstractNeuron) -> st.Network:
    """One population, each neuron with a current of its own."""
    n = neuron.size
    return st.Network({"in": n}, {"out": neuron}, [st.Connection("in", "out", st.OneToOne(n))], ["out"])


def _layers(delay=None, recurrent=None, **options) -> st.Network:
    """Two layers of stochastic neurons; `recurrent` is a delay of feedback within the second."""
    settings = {"tau_mem": 1 / 6, "tau_syn": 1 / 5, "v_drop": 1.2, "sigma": 0.25} | options
    weights = jax.random.split(jax.random.key(5), 2)
    connections = [
        st.Connection("in", "hidden", st.OneToOne(2)),
        st.Connection("hidden", "out", st.Dense(1.0 + 0.2 * jax.random.normal(weights[0], (2, 2))), delay),
    ]
    if recurrent is not None:
        feedback = st.Dense(0.4 * jax.random.normal(weights[1], (2, 2)))
        connections.append(st.Connection("out", "out", feedback, recurrent))
    neurons = {"hidden": StochasticLIF(2, **settings), "out": StochasticLIF(2, **settings)}
    return st.Network({"in": 2}, neurons, connections, ["out"])


@eqx.filter_jit
def _solve(method, network, stimulus, t1, keys, initial, save):
    def solve(key):
        return method.solve(network, stimulus, t1=t1, key=key, initial=initial, save=save, throw=False)

    return jax.vmap(solve)(keys)


@pytest.fixture(scope="session")
def solve() -> Callable[..., st.Solution]:
    """Many samples, one for each key, compiled, never raising."""

    def run(method, network, current, *, t1=1.0, keys, initial=None, save=st.Save()):
        stimulus = current if isinstance(current, dict) else {"in": st.Current(jnp.asarray(current))}
        return _solve(method, network, stimulus, t1, keys, initial, save)

    return run
