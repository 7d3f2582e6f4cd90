"""The laws of every neuron."""

import jax.numpy as jnp
import pytest

from saltation_neurons import (
    ALIF,
    EGRU,
    EIF,
    IF,
    LIF,
    QIF,
    AdEx,
    AtMostOnce,
    DendriticLIF,
    Izhikevich,
    Positive,
    Refractory,
    StochasticLIF,
    Theta,
)
from saltation_testing import AbstractNeuronConformance


class TestLeaky(AbstractNeuronConformance):
    neurons = {
        "2 to 1": LIF(3, tau_mem=20.0, tau_syn=10.0),
        "equal": LIF(3, tau_mem=10.0, tau_syn=10.0, v_leak=0.2, v_reset=-0.5),
        "trained": LIF(3, tau_mem=jnp.array([10.0, 20.0, 5.0]), tau_syn=jnp.array(5.0)),
        "of a shape": LIF((2, 2), tau_mem=10.0),
        "delta": LIF(3, tau_syn=None, v_leak=0.3),
        "by subtraction": LIF(3, tau_syn=None, reset_mode="subtract", tau_mem=jnp.array(2.0)),
    }


class TestUpstroke(AbstractNeuronConformance):
    neurons = {
        "quadratic": QIF(3),
        "theta": Theta(3),
        "exponential": EIF(3),
        "adaptive": AdEx(3, a=jnp.array([2.0, 4.0, 0.0])),
        "Izhikevich": Izhikevich(3, a=jnp.array([0.02, 0.1, 0.02])),
    }


class TestAdaptive(AbstractNeuronConformance):
    neurons = {
        # All time constants of the first one are equal.
        "trained": ALIF(
            3,
            tau_mem=jnp.array([10.0, 20.0, 5.0]),
            tau_syn=10.0,
            tau_adapt=jnp.array([10.0, 8.0, 8.0]),
            v_leak=0.2,
            beta=jnp.array(2.0),
        ),
    }


@pytest.mark.slow
class TestMoreAdaptive(AbstractNeuronConformance):
    neurons = {"equal": ALIF(3, tau_mem=10.0, tau_syn=10.0, tau_adapt=10.0, v_leak=0.2, beta=1.0)}


class TestGated(AbstractNeuronConformance):
    duration = 200.0
    ports = ("current", "recurrent", "update", "reset")
    neurons = {"gated": EGRU(3, b_update=jnp.array([0.0, 0.5, 1.0]), b_candidate=2.0)}


class TestDendritic(AbstractNeuronConformance):
    ports = ("current", "dendrite")
    neurons = {"two compartments": DendriticLIF(3, v_ca=jnp.array([0.5, 0.4, 0.6]))}


class TestIntegrate(AbstractNeuronConformance):
    neurons = {
        "smooth": IF(3),
        "delta": IF(3, tau_syn=None),
        "by subtraction": IF(3, tau_syn=None, reset_mode="subtract", c_mem=jnp.array(2.0)),
    }


class TestWrappers(AbstractNeuronConformance):
    neurons = {
        "once": AtMostOnce(LIF(3)),
        "refractory": Refractory(LIF(3, tau_mem=10.0), jnp.array([1.0, 2.0, 3.0])),
        "refractory, once": Refractory(AtMostOnce(QIF(3)), 2.0),
    }


@pytest.mark.slow
class TestMoreWrappers(AbstractNeuronConformance):
    neurons = {
        "refractory, numerical": Refractory(AdEx(3), 2.0),
        "once, refractory": AtMostOnce(Refractory(LIF(3), 2.0)),
    }


class TestStochastic(AbstractNeuronConformance):
    duration = 2.0
    neurons = {
        "trained": StochasticLIF(3, tau_mem=jnp.array([0.1, 0.2, 0.05]), beta=jnp.array(4.0), sigma=jnp.array(0.2)),
        "by logarithms": Positive(StochasticLIF(3, tau_mem=jnp.array([0.1, 0.2, 0.05])), "tau_mem", "beta"),
        "of a given threshold": StochasticLIF(3, log_u=-0.5, v_leak=0.2),
    }
