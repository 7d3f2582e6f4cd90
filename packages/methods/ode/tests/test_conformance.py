"""The laws of every method."""

import jax
import jax.numpy as jnp
import pytest

import saltation as st
from saltation_neurons import EIF, IF, LIF, QIF, AtMostOnce, Refractory
from saltation_ode import ODE
from saltation_testing import AbstractMethodConformance, Case

KEY = jax.random.key(0)
STRONG = st.normal(8.0, 2.0)


class TestLayers(AbstractMethodConformance):
    """Layers of LIF neurons, which have a way of their own."""

    t1 = 30.0

    def method(self):
        return ODE(max_spikes=6)

    def networks(self):
        tau_mem = jnp.array(10.0)
        return {
            "delays": st.feedforward([3, 2], LIF(tau_mem=tau_mem), weight=st.normal(5.0, 2.0), delay="axonal", key=KEY),
        }


@pytest.mark.slow
class TestLoops(AbstractMethodConformance):
    """What is solved event by event, with a closed form between events."""

    t1 = 25.0

    def method(self):
        return ODE(max_spikes=12)

    def networks(self):
        weak = st.normal(0.0, 1.0)
        neurons = {"a": LIF(2, tau_mem=10.0), "b": Refractory(LIF(2, tau_mem=10.0), 1.5)}
        return {
            "a cycle with delays": st.recurrent(
                3, neurons, delay=1.0, weight_in=st.normal(6.0, 2.0), weight=weak, key=KEY
            ),
            "a cycle without delays": st.recurrent(3, {"a": LIF(3)}, weight_in=STRONG, weight=weak, key=KEY),
            "integrate and fire": st.feedforward([3, 2], IF(), weight=st.normal(0.3, 0.1), key=KEY),
            "delays of synapses": st.feedforward(
                [3, 2], Refractory(LIF(tau_mem=10.0), 2.0), weight=STRONG, delay="synaptic", key=KEY
            ),
            "at most once": Case(st.feedforward([3, 3, 2], AtMostOnce(LIF()), weight=STRONG, key=KEY)),
        }


@pytest.mark.slow
class TestSolvers(AbstractMethodConformance):
    """What is solved step by step."""

    t1 = 20.0
    # Adaptive steps change from sample to sample: two ways to one thing are as near as the tolerance.
    rtol = 1e-4
    same_rtol = 1e-6

    def method(self):
        return ODE(max_spikes=12)

    def networks(self):
        return {
            "QIF": st.feedforward([3, 2], QIF(tau_mem=10.0), weight=STRONG, delay="scalar", key=KEY),
            "a cycle of QIF": st.recurrent(
                2, {"a": QIF(2, tau_mem=10.0)}, delay=1.0, weight_in=STRONG, weight=st.normal(0.0, 1.0), key=KEY
            ),
            "EIF": st.feedforward([3, 2], EIF(), weight=st.normal(800.0, 100.0), key=KEY),
        }
