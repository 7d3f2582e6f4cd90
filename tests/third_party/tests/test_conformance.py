import jax.numpy as jnp
from saltation_adaptive_threshold import ALIF

from saltation_testing import AbstractNeuronConformance


class TestALIF(AbstractNeuronConformance):
    neurons = {"fixed": ALIF(3), "trained": ALIF(3, beta=jnp.full(3, 0.5))}
