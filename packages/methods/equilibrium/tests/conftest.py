"""What the tests of this package share: networks that feed back, and a solve that is compiled once a structure."""

from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
import numpy as np
import pytest

import saltation as st
from saltation_neurons import IF, LIF

SAVE = st.Save(spikes=False, rates=True)


class Build(NamedTuple):
    """Functions that build networks and stimuli."""

    neuron: Callable[..., st.AbstractNeuron]
    single_layer: Callable[..., st.Network]
    currents: Callable[..., dict[str, st.Current]]


@pytest.fixture(scope="session")
def build() -> Build:
    """What the tests build their networks with."""
    return Build(_neuron, _single_layer, _currents)


def _neuron(leak: float = 1.0, v_threshold: float = 1.0) -> st.AbstractNeuron:
    """A prototype whose threshold is `v_threshold` in charge, and of whose charge a unit of time leaves `leak`."""
    if leak == 1.0:
        return IF(tau_syn=None, reset_mode="subtract", v_threshold=v_threshold)
    tau_mem = -1 / np.log(leak)
    return LIF(tau_mem=tau_mem, tau_syn=None, reset_mode="subtract", v_threshold=v_threshold / tau_mem)


def _single_layer(weight, weight_in, bias, leak: float = 1.0, v_threshold: float = 1.0) -> st.Network:
    """One layer with feedback; weights are `[pre, post]`."""
    size = weight.shape[0]
    return st.Network(
        {"in": weight_in.shape[0], "bias": 1},
        {"hidden": _neuron(leak, v_threshold).with_shape(size)},
        [
            st.Connection("in", "hidden", st.Dense(weight_in)),
            st.Connection("bias", "hidden", st.Dense(bias[None])),
            st.Connection("hidden", "hidden", st.Dense(weight)),
        ],
        ["hidden"],
    )


def _currents(x) -> dict[str, st.Current]:
    """The stimulus of `single_layer`."""
    return {"in": st.Current(x), "bias": st.Current(jnp.ones(1, x.dtype))}


@eqx.filter_jit
def _solve(method, network, stimulus, t1, save, key):
    return method.solve(network, stimulus, t1=t1, save=save, key=key, throw=False)


@pytest.fixture(scope="session")
def solve() -> Callable[..., st.Solution]:
    """`method.solve(...)`, compiled, never raising, with rates and without spikes unless said."""

    def run(method, network, stimulus, *, t1, save=SAVE, key=None):
        return _solve(method, network, stimulus, t1, save, key)

    return run
