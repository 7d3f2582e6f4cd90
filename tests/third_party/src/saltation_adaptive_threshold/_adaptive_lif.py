"""The leaky integrate-and-fire neuron with an adaptive threshold."""

from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

import saltation as st


class AdaptiveLIFState(NamedTuple):
    """`v`: membrane potential; `i`: synaptic current; `a`: adaptation, in spikes."""

    v: Array
    i: Array
    a: Array


class AdaptiveLIF(st.AbstractODENeuron):
    """The leaky integrate-and-fire neuron with an adaptive threshold.

    `tau_mem dv/dt = -v + i + current`, `tau_syn di/dt = -i`, `tau_adapt da/dt = -a`; a spike where `v` rises
    through `v_threshold + beta a`, then `v = v_reset` and `a` grows by 1. A spike that arrives at the port
    "current" adds its weight to `i`.

    **Arguments:**

    - `shape`: how many neurons, or a tuple; left out for a prototype.
    - `tau_mem`, `tau_syn`, `tau_adapt`: time constants, in the network's unit of time (20, 5 and 200 ms).
    - `v_threshold`, `v_reset`: potentials, in one unit of your choice (1 and 0).
    - `beta`: by how much a spike raises the threshold (0.18).

    Bellec et al., Nature Communications 11 (2020), in continuous time.

    ```python
    hidden = AdaptiveLIF(30, beta=0.5)
    ```
    """

    shape: tuple[int, ...] = eqx.field(converter=st.population_shape, static=True, default=())
    tau_mem: float | Float[Array, "..."] = eqx.field(default=20.0, kw_only=True)
    tau_syn: float | Float[Array, "..."] = eqx.field(default=5.0, kw_only=True)
    tau_adapt: float | Float[Array, "..."] = eqx.field(default=200.0, kw_only=True)
    v_threshold: float | Float[Array, "..."] = eqx.field(default=1.0, kw_only=True)
    v_reset: float | Float[Array, "..."] = eqx.field(default=0.0, kw_only=True)
    beta: float | Float[Array, "..."] = eqx.field(default=0.18, kw_only=True)

    def __check_init__(self):
        st.check_positive("AdaptiveLIF", tau_mem=self.tau_mem, tau_syn=self.tau_syn, tau_adapt=self.tau_adapt)
        st.check_below("AdaptiveLIF", "v_reset", self.v_reset, "v_threshold", self.v_threshold)

    def init(self, *, key: PRNGKeyArray | None = None) -> AdaptiveLIFState:
        return AdaptiveLIFState(jnp.zeros(self.shape), jnp.zeros(self.shape), jnp.zeros(self.shape))

    def vector_field(self, t: Array, state: AdaptiveLIFState, current: Array) -> AdaptiveLIFState:
        dv = (-state.v + state.i + current) / self.tau_mem
        return AdaptiveLIFState(dv, -state.i / self.tau_syn, -state.a / self.tau_adapt)

    def guard(self, state: AdaptiveLIFState) -> Array:
        return state.v - (self.v_threshold + self.beta * state.a)

    def reset(self, state: AdaptiveLIFState, *, key: PRNGKeyArray | None = None) -> AdaptiveLIFState:
        return AdaptiveLIFState(jnp.zeros_like(state.v) + self.v_reset, state.i, state.a + 1.0)

    def receive(self, state: AdaptiveLIFState, kick: Array, port: str) -> AdaptiveLIFState:
        if port != "current":
            raise ValueError(f"AdaptiveLIF got spikes for the port {port!r}; expected 'current'.")
        return AdaptiveLIFState(state.v, state.i + kick, state.a)

    def observe(self, state: AdaptiveLIFState) -> Array:
        return state.v
