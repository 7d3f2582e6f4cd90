"""Dropout: units whose spikes do not arrive, for as long as a sample lasts."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PRNGKeyArray

from ._chain import Chain
from ._normalised import Normalised
from ._parametrised import AbstractParametrised
from ._synapse import AbstractSynapse, OneToOne


class Dropout(AbstractParametrised):
    """The spikes of some sources do not arrive: one draw a sample, the same at all its times.

    A source is dropped with probability `p`, the others arrive `1 / (1 - p)` times as strong. It needs `key` when a
    network is solved; `eqx.nn.inference_mode(network)` turns it off.

    **Arguments:** `inner`: the synapse; `p`: a Python number in [0, 1); `inference`: whether it is off.

    **Raises:** `ValueError` for another `p`, or a `Normalised` inside: statistics belong outermost.

    Srivastava et al., JMLR 2014; one mask for all times: Gal and Ghahramani, NeurIPS 2016.
    """

    inner: AbstractSynapse
    p: float = eqx.field(static=True, default=0.2)
    inference: bool = False

    def __check_init__(self):
        if not 0 <= self.p < 1:
            raise ValueError(f"Dropout got p={self.p}; expected a probability in [0, 1).")
        if isinstance(self.inner, Normalised):
            raise ValueError("Dropout got a Normalised synapse; expected it outermost: Normalised(Dropout(...)).")

    def sizes(self) -> tuple[int, int]:
        return self.inner.sizes()

    def resolve(self, *, key: PRNGKeyArray | None = None) -> AbstractSynapse:
        if self.inference or self.p == 0:
            return self.inner
        if key is None:
            raise ValueError(
                "Dropout got no key; expected one in training: solve(..., key=key). Turn it off for evaluation: "
                "eqx.nn.inference_mode(network)."
            )
        pre = self.sizes()[0]
        kept = jax.random.bernoulli(key, 1 - self.p, (pre,))
        dtype = _dtype(self.inner)
        return Chain(
            OneToOne(pre, jnp.where(kept, np.asarray(1 / (1 - self.p), dtype), np.zeros((), dtype))), self.inner
        )


def _dtype(synapse: AbstractSynapse):
    leaves = [leaf.dtype for leaf in jax.tree.leaves(synapse) if eqx.is_inexact_array(leaf)]
    return leaves[0] if leaves else jnp.result_type(float)
