"""Networks on chips, run on the host without a method around them."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import saltation as st
from saltation_bss2 import BSS2Emulator, Measurement, Recording
from saltation_neurons import LIF, AtMostOnce

T1 = 60.0


@pytest.fixture
def once() -> st.AbstractNeuron:
    """First-spike neurons with the time constants of the recipes, in ms."""
    return AtMostOnce(LIF(tau_mem=20.0, tau_syn=10.0))


@pytest.fixture
def network(once) -> Callable[..., st.Network]:
    """Draws a network of two layers, most of whose neurons spike."""

    def network(sizes=(6, 20, 3), delay=None, neuron=once, seed: int = 1, scale: float = 1.0) -> st.Network:
        weight = [st.normal(9.0 * scale, 5.0 * scale), st.normal(8.0 * scale, 6.0 * scale)]
        return st.feedforward(
            sizes,
            neuron,
            weight=weight[: len(sizes) - 1],
            delay=delay,
            initial_delay=5.0,
            positive=st.Sigmoid(scale=10.0),
            key=jax.random.key(seed),
        )

    return network


@pytest.fixture
def times() -> Callable[..., np.ndarray]:
    """Draws input spikes, one a unit."""

    def times(batch: int = 40, inputs: int = 6, seed: int = 2) -> np.ndarray:
        return 20.0 * np.random.RandomState(seed).rand(batch, inputs)

    return times


@pytest.fixture
def measure() -> Callable[..., Measurement]:
    """Puts a network on a chip and runs a batch of input spike times `[batch, inputs]`."""

    def measure(
        backend: BSS2Emulator,
        network: st.Network,
        times: np.ndarray,
        *,
        key: int | None = 0,
        max_spikes: int = 1,
        t1: float = T1,
        recording: Recording | None = None,
    ) -> Measurement:
        one = {"in": st.Spikes.from_dense(jnp.asarray(times[0]))}
        batch = {"in": jax.vmap(st.Spikes.from_dense)(jnp.asarray(times))}
        program = backend.prepare(st.structure_of(network), st.structure_of(one), t1=t1, max_spikes=max_spikes)
        words = None if key is None else np.asarray(jax.random.key_data(jax.random.key(key)))
        return program.measure(network, batch, words, recording)

    return measure


@pytest.fixture
def first() -> Callable[..., np.ndarray]:
    """First spike times `[batch, n]` of a population."""

    def first(found: Any, name: str = "out") -> np.ndarray:
        return np.asarray(jax.vmap(st.Spikes.first)(found.spikes[name]))

    return first
