import jax.numpy as jnp
from saltation_adaptive_threshold import AdaptiveLIF

from saltation_testing import AbstractNeuronConformance


class TestAdaptiveLIF(AbstractNeuronConformance):
    neurons = {"fixed": AdaptiveLIF(3), "trained": AdaptiveLIF(3, beta=jnp.full(3, 0.5))}
