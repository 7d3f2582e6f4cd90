"""The laws of every method, where noise leaves them in force."""

from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np

import saltation as st
from saltation_neurons import Refractory, StochasticLIF
from saltation_roughsde import Increments, RoughSDE
from saltation_testing import AbstractMethodConformance, Case

NEURON = StochasticLIF(2, tau_mem=jnp.array(1 / 6), tau_syn=0.2, v_drop=1.2, sigma=jnp.array(0.2))


class TestRoughSDE(AbstractMethodConformance):
    """With the rule that differentiates all that the scheme does, as central differences do."""

    t1 = 1.0
    key = 3
    step = 1e-7
    rtol = 1e-4
    skip: ClassVar = {
        "test_permuting_units_permutes_spikes_and_gradients": "each unit has noise of its own, by its position",
    }

    def method(self):
        # Given numbers: those that are drawn differ between float32 and float64.
        rng = np.random.default_rng(0)
        path = Increments(jnp.asarray(rng.normal(size=(50, 2)) * 0.02**0.5))
        thresholds = {"out": jnp.asarray(-rng.exponential(size=(2, 13)))}
        return RoughSDE(dt=0.02, rule="discrete", max_spikes=8, path=path, thresholds=thresholds)

    def networks(self):
        weight = jax.random.uniform(jax.random.key(0), (3, 2), minval=0.5, maxval=2.0)
        feedback = st.Connection(
            "out", "out", st.Dense(jnp.array([[0.0, 0.5], [-0.4, 0.3]])), st.Delay(jnp.array(0.05))
        )
        network = st.Network(
            {"in": 3}, {"out": NEURON}, [st.Connection("in", "out", st.Dense(weight)), feedback], ["out"]
        )
        return {"feedback with a delay": Case(network)}

    def refused(self):
        plain = st.Connection("in", "out", st.Dense(jnp.ones((1, 2))))
        return {"timers": st.Network({"in": 1}, {"out": Refractory(NEURON, 0.1)}, [plain], ["out"])}
