"""The laws of every method."""

import jax
import jax.numpy as jnp

import saltation as st
from saltation_delgrad import DelGrad
from saltation_neurons import IF, LIF, QIF, AtMostOnce
from saltation_testing import AbstractMethodConformance

KEY = jax.random.key(0)
STRONG = st.normal(8.0, 2.0)


class TestDelGrad(AbstractMethodConformance):
    """With time constants known when traced, which compile soon; all ratios are compared in tests of their own."""

    t1 = 30.0

    def method(self):
        return DelGrad()

    def networks(self):
        once = AtMostOnce(LIF(tau_mem=10.0, tau_syn=5.0, v_threshold=jnp.array(1.0)))
        fixed = AtMostOnce(LIF(tau_mem=10.0, tau_syn=5.0))
        return {
            "axonal delays": st.feedforward([3, 3, 2], once, weight=STRONG, delay="axonal", key=KEY),
            "constants that are numbers": st.feedforward([3, 2], fixed, weight=STRONG, delay="axonal", key=KEY),
        }

    def refused(self):
        weak = st.normal(0.0, 1.0)
        return {
            "several spikes": st.feedforward([3, 2], LIF(), key=KEY),
            "another neuron": st.feedforward([3, 2], AtMostOnce(QIF()), key=KEY),
            "delta synapses": st.feedforward([3, 2], AtMostOnce(IF(tau_syn=None)), key=KEY),
            "a cycle": st.recurrent(3, {"a": AtMostOnce(LIF(3))}, delay=1.0, weight=weak, key=KEY),
        }
