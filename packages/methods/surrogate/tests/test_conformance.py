"""The laws of every method, but for those that say what an exact gradient is."""

import jax
import jax.numpy as jnp

import saltation as st
from saltation_neurons import LIF, QIF, StochasticLIF
from saltation_surrogate import Surrogate
from saltation_testing import AbstractMethodConformance

KEY = jax.random.key(0)


class TestSurrogate(AbstractMethodConformance):
    t1 = 30.0
    skip = {"test_gradient_matches_central_differences": "a surrogate is not the derivative of what is computed"}

    def method(self):
        return Surrogate(step=0.5, max_spikes=4)

    def networks(self):
        neuron = LIF(tau_mem=10.0, tau_syn=5.0, v_threshold=jnp.array(1.0))
        return {"delays": st.feedforward([3, 3, 2], neuron, weight=st.normal(4.0, 1.0), delay="axonal", key=KEY)}

    def refused(self):
        own = st.feedforward([3, 2], LIF(), key=KEY).connections[0]
        normalised = st.Connection("in", "out", st.Normalised(own.synapse))
        return {
            "no closed form": st.feedforward([3, 2], QIF(), key=KEY),
            "noise": st.feedforward([3, 2], StochasticLIF(), key=KEY),
            "normalisation": st.Network({"in": 3}, {"out": LIF(2)}, [normalised], ["out"]),
        }
