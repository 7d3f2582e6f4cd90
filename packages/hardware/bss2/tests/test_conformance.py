"""The laws of every backend, for the chip with all its effects and for the ideal one."""

import jax

import saltation as st
from saltation_bss2 import BSS2Emulator
from saltation_neurons import LIF, QIF, AtMostOnce
from saltation_testing import AbstractBackendConformance

ONCE = AtMostOnce(LIF(tau_mem=20.0, tau_syn=10.0))


def network(sizes, neuron=ONCE, delay=None):
    weight = [st.normal(9.0, 5.0), st.normal(8.0, 6.0)][: len(sizes) - 1]
    positive = st.Sigmoid(scale=10.0)
    return st.feedforward(
        sizes, neuron, weight=weight, delay=delay, initial_delay=5.0, positive=positive, key=jax.random.key(1)
    )


class TestEmulator(AbstractBackendConformance):
    t1 = 60.0
    # The chip's clock is late by some tenths of a microsecond.
    late = 2.0

    def backend(self):
        return BSS2Emulator()

    def networks(self):
        return {"two layers": network([6, 8, 3]), "axonal delays": network([6, 8, 3], delay="axonal")}

    def refused(self):
        return {"too many": network([6, 2000]), "another neuron": network([6, 4], AtMostOnce(QIF()))}


class TestIdealChip(AbstractBackendConformance):
    t1 = 60.0

    def backend(self):
        return BSS2Emulator(effects="none")

    def networks(self):
        return {"two layers": network([6, 8, 3])}
