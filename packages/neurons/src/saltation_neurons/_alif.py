"""The leaky integrate-and-fire neuron with an adaptive threshold."""

import dataclasses
from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray

import saltation as st

from ._alif_crossing import alif_crossing
from ._parameters import Parameter, as_parameter
from ._ports import check_port


class ALIFState(NamedTuple):
    """`v`: membrane potential; `i`: synaptic current; `a`: how far the threshold is raised."""

    v: Array
    i: Array
    a: Array


class ALIF(st.AbstractNeuron):
    """The leaky integrate-and-fire neuron whose threshold rises with every spike of its own, and falls back.

    `tau_mem dv/dt = -(v - v_leak) + i + current`, `tau_syn di/dt = -i`, `tau_adapt da/dt = -a`; a spike where `v` rises
    through `v_threshold + a`, then `v = v_reset` and `a` grows by `beta`. A spike that arrives at the port "current"
    adds its weight to `i`.

    **Arguments:**

    - `shape`: how many neurons, or a tuple; left out for a prototype.
    - `tau_mem`, `tau_syn`, `tau_adapt`: time constants of the membrane, the synapses and the threshold, in the
      network's unit of time (20, 5 and 200 ms).
    - `v_threshold`, `v_reset`, `v_leak`: potentials, in one unit of your choice (1, 0, 0); `v_threshold` is that of a
      neuron that has not spiked for long.
    - `beta`: by how much a spike raises the threshold (0.3, in that unit).

    Each is a Python number (fixed), or an array `[]` or of the population's shape (trainable).

    **Raises:** `ValueError` for time constants that are not positive, a negative `beta`, or a reset that is not below
    the threshold.

    Between events it has a closed form for all ratios of the time constants. Bellec et al., NeurIPS 2018 (there in
    discrete time, where `v` falls by the threshold at a spike).

    ```python
    hidden = ALIF(30, tau_adapt=100.0, beta=0.5)
    ```
    """

    shape: tuple[int, ...] = eqx.field(converter=st.population_shape, static=True, default=())
    tau_mem: Parameter = eqx.field(converter=as_parameter, default=20.0, kw_only=True)
    tau_syn: Parameter = eqx.field(converter=as_parameter, default=5.0, kw_only=True)
    tau_adapt: Parameter = eqx.field(converter=as_parameter, default=200.0, kw_only=True)
    v_threshold: Parameter = eqx.field(converter=as_parameter, default=1.0, kw_only=True)
    v_reset: Parameter = eqx.field(converter=as_parameter, default=0.0, kw_only=True)
    v_leak: Parameter = eqx.field(converter=as_parameter, default=0.0, kw_only=True)
    beta: Parameter = eqx.field(converter=as_parameter, default=0.3, kw_only=True)

    def __check_init__(self):
        st.check_positive("ALIF", tau_mem=self.tau_mem, tau_syn=self.tau_syn, tau_adapt=self.tau_adapt)
        st.check_finite("ALIF", v_threshold=self.v_threshold, v_reset=self.v_reset, v_leak=self.v_leak, beta=self.beta)
        st.check_below("ALIF", "v_reset", self.v_reset, "v_threshold", self.v_threshold)
        if isinstance(self.beta, int | float) and self.beta < 0:
            raise ValueError(f"ALIF got beta = {self.beta}; expected a number >= 0.")

    def with_shape(self, shape: int | tuple[int, ...]) -> "ALIF":
        return dataclasses.replace(self, shape=shape)

    def init(self, *, key: PRNGKeyArray | None = None) -> ALIFState:
        return ALIFState(jnp.zeros(self.shape) + self.v_leak, jnp.zeros(self.shape), jnp.zeros(self.shape))

    def vector_field(self, t: Array, state: ALIFState, current: Array) -> ALIFState:
        dv = (self.v_leak - state.v + state.i + current) / self.tau_mem
        di = -state.i / self.tau_syn
        da = -state.a / self.tau_adapt
        return ALIFState(dv, di, da)

    def guard(self, state: ALIFState) -> Array:
        return state.v - self.v_threshold - state.a

    def reset(self, state: ALIFState, *, key: PRNGKeyArray | None = None) -> ALIFState:
        return ALIFState(jnp.zeros_like(state.v) + self.v_reset, state.i, state.a + self.beta)

    def receive(self, state: ALIFState, kick: Array, port: str) -> ALIFState:
        check_port("ALIF", port, ("current",))
        return ALIFState(state.v, state.i + kick, state.a)

    def next_timer(self, state: ALIFState) -> Array:
        return jnp.full_like(state.v, jnp.inf)

    def on_timer(self, state: ALIFState) -> ALIFState:
        return state

    def observe(self, state: ALIFState) -> Array:
        return state.v

    def lif(self) -> None:
        return None

    def closed_form(self) -> st.ClosedForm:
        def flow(state: ALIFState, duration: Array, current: Array) -> ALIFState:
            v, i = st.lif_flow(state.v - self.v_leak, state.i, duration, current, self.tau_mem, self.tau_syn)
            return ALIFState(v + self.v_leak, i, state.a * jnp.exp(-duration / self.tau_adapt))

        def crossing(state: ALIFState, duration: Array, current: Array) -> Array:
            return alif_crossing(
                state.v - self.v_leak,
                state.i,
                state.a,
                duration,
                current,
                self.v_threshold - self.v_leak,
                self.tau_mem,
                self.tau_syn,
                self.tau_adapt,
            )

        return st.ClosedForm(flow, crossing)

    def rate(self) -> None:
        return None

    def noise(self) -> None:
        return None
