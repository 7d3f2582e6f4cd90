"""Connections: which population sends its spikes to which, through what, and how late."""

import equinox as eqx

from ._delay import AbstractDelay
from ._synapse import AbstractSynapse


class Connection(eqx.Module):
    """A projection from one population to another.

    **Arguments:** `source` and `target` are names in the network; `synapse` is the linear map between them; `delay` is
    `None` (spikes arrive at once) or a `Delay`; `port` names where they arrive (neurons list their ports).
    """

    source: str = eqx.field(static=True)
    target: str = eqx.field(static=True)
    synapse: AbstractSynapse
    delay: AbstractDelay | None = None
    port: str = eqx.field(static=True, default="current")

    def __check_init__(self):
        if not isinstance(self.synapse, AbstractSynapse):
            raise ValueError(
                f"Connection got a synapse of type {type(self.synapse).__name__}; expected for example "
                "Dense(weight[pre, post])."
            )
        if self.delay is not None and not isinstance(self.delay, AbstractDelay):
            raise ValueError(f"Connection got delay={self.delay!r}; expected None or Delay(value).")
