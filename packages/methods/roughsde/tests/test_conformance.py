"""The laws of every method, where noise leaves them in force."""

from typing import ClassVar

import jax
import jax.numpy as jnp

import saltation as st
from saltation_neurons import AtMostOnce, Refractory, StochasticLIF
from saltation_roughsde import RoughSDE
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
        return RoughSDE(dt=0.02, rule="discrete", max_spikes=6)

    def networks(self):
        weight = jax.random.uniform(jax.random.key(0), (3, 2), minval=3.0, maxval=5.0)
        feedback = st.Connection(
            "out", "out", st.Dense(jnp.array([[0.0, 0.5], [-0.4, 0.3]])), st.Delay(jnp.array(0.05))
        )
        network = st.Network(
            {"in": 3}, {"out": NEURON}, [st.Connection("in", "out", st.Dense(weight)), feedback], ["out"]
        )
        return {"feedback with a delay": Case(network)}

    def refused(self):
        plain = st.Connection("in", "out", st.Dense(jnp.ones((1, 2))))
        build = lambda neuron: st.Network({"in": 1}, {"out": neuron}, [plain], ["out"])  # noqa: E731
        return {"timers": build(Refractory(NEURON, 0.1)), "a guard that is not linear": build(AtMostOnce(NEURON))}
