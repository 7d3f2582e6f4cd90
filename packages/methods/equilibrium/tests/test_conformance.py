"""The laws of every method."""

import jax
import jax.numpy as jnp
import numpy as np

import saltation as st
from saltation_equilibrium import Equilibrium
from saltation_neurons import IF, LIF
from saltation_testing import AbstractMethodConformance, Case

KEY = jax.random.key(0)
RNG = np.random.default_rng(0)
BY_CHARGE = {"tau_syn": None, "reset_mode": "subtract"}


def _network(neuron, sizes, pairs, drive):
    """Populations of some sizes with random connections between pairs of them, at moderate rates."""
    connections = [st.Connection("in", name, st.Dense(RNG.normal(0.2, 0.3, (4, n)))) for name, n in sizes.items()]
    for source, target in pairs:
        weight = 0.3 * RNG.normal(size=(sizes[source], sizes[target])) / sizes[source] ** 0.5
        connections.append(st.Connection(source, target, st.Dense(weight)))
    network = st.Network({"in": 4}, {name: neuron.with_shape(n) for name, n in sizes.items()}, connections, list(sizes))
    return Case(network, {"in": st.Current(jnp.asarray(drive))})


class TestEquilibrium(AbstractMethodConformance):
    """At the fixed point, where the rates are a smooth function of everything."""

    t1 = 40.0

    def method(self):
        return Equilibrium(gradient_at="fixed_point", rates="fixed_point")

    def networks(self):
        drive = [0.7, 0.5, 0.9, 0.4]
        threshold = jnp.array(1.1)
        return {
            "one layer": _network(IF(**BY_CHARGE, v_threshold=threshold), {"a": 5}, [("a", "a")], drive),
            "a circle, leaky": _network(
                LIF(**BY_CHARGE, tau_mem=20.0, v_threshold=0.05), {"a": 4, "b": 3}, [("a", "b"), ("b", "a")], drive
            ),
            "forward": _network(IF(**BY_CHARGE), {"a": 4, "b": 3}, [("a", "b")], drive),
        }

    def refused(self):
        weak = st.normal(0.0, 0.1)
        plain = IF(2, **BY_CHARGE)
        return {
            "delays": st.recurrent(3, {"a": plain}, delay=1.0, weight=weak, key=KEY),
            "reset to a value": st.feedforward([3, 2], IF(tau_syn=None), key=KEY),
            "a synaptic current": st.feedforward([3, 2], LIF(), key=KEY),
            "a trained leak": st.feedforward([3, 2], LIF(**BY_CHARGE, tau_mem=jnp.array(20.0)), key=KEY),
            "two leaks": st.recurrent(3, {"a": plain, "b": LIF(2, **BY_CHARGE)}, weight=weak, key=KEY),
        }
