"""Small networks and inputs that the tests share."""

import jax
import pytest
import torch

import saltation as st
from saltation_neurons import LIF, AtMostOnce


@pytest.fixture
def network() -> st.Network:
    """3-4-2 LIF neurons in float64 that spike once, with axonal delays."""
    neuron = AtMostOnce(LIF(tau_mem=20.0, tau_syn=10.0))
    return st.feedforward([3, 4, 2], neuron, weight=st.normal(9.0, 2.0), delay="axonal", key=jax.random.key(0))


@pytest.fixture
def times() -> torch.Tensor:
    """Spike times `[batch, n]` of three samples."""
    return torch.tensor([[1.0, 4.0, 9.0], [6.0, 2.0, 3.0], [5.0, 7.5, 1.5]], dtype=torch.float64)
