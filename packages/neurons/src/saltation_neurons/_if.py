"""The integrate-and-fire neuron without a leak."""

import dataclasses
from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray

import saltation as st

from ._parameters import Parameter, as_parameter, check_reset_mode
from ._ports import check_port


class IFState(NamedTuple):
    """`v`: membrane potential; `i`: synaptic current, 0 for delta synapses."""

    v: Array
    i: Array


class IF(st.AbstractNeuron):
    """The integrate-and-fire neuron without a leak.

    `c_mem dv/dt = i + current`, `tau_syn di/dt = -i`; a spike where `v` rises through `v_threshold`, then `v
    = v_reset`, or `v` falls by `v_threshold - v_reset`. A spike that arrives at the port "current" adds its
    weight to `i`; with delta synapses (`tau_syn=None`) it is a charge that arrives at once and adds `weight /
    c_mem` to `v`.

    **Arguments:**

    - `shape`: how many neurons, or a tuple; left out for a prototype.
    - `c_mem`: capacitance (1: potentials in units of a charge).
    - `tau_syn`: synaptic time constant (5 ms), or `None` for delta synapses.
    - `v_threshold`, `v_reset`: potentials, in one unit of your choice. `v` starts at `v_reset`.
    - `reset_mode`: "value" sets `v` to `v_reset`; "subtract" keeps what a kick left above the threshold.

    Each but the last is a Python number (fixed), or an array `[]` or of the population's shape (trainable).

    **Raises:** `ValueError` for a capacitance or time constant that is not positive, a reset that is not
    below the threshold, or an unknown `reset_mode`.

    Between events it has a closed form. With delta synapses and reset by subtraction its firing rate is a
    clipped linear function of its input, so it can also be trained at the equilibrium of a feedback network.
    Lapicque, Journal de Physiologie et de Pathologie Générale 9 (1907), without the leak; for the rate Xiao
    et al., NeurIPS 2021.

    ```python
    hidden = IF(30, tau_syn=None, reset_mode="subtract")
    ```
    """

    shape: tuple[int, ...] = eqx.field(converter=st.population_shape, static=True, default=())
    c_mem: Parameter = eqx.field(converter=as_parameter, default=1.0, kw_only=True)
    tau_syn: Parameter | None = eqx.field(converter=as_parameter, default=5.0, kw_only=True)
    v_threshold: Parameter = eqx.field(converter=as_parameter, default=1.0, kw_only=True)
    v_reset: Parameter = eqx.field(converter=as_parameter, default=0.0, kw_only=True)
    reset_mode: str = eqx.field(static=True, default="value", kw_only=True)

    def __check_init__(self):
        st.check_positive("IF", c_mem=self.c_mem, tau_syn=self.tau_syn)
        st.check_finite("IF", v_threshold=self.v_threshold, v_reset=self.v_reset)
        st.check_below("IF", "v_reset", self.v_reset, "v_threshold", self.v_threshold)
        check_reset_mode("IF", self.reset_mode)

    def with_shape(self, shape: int | tuple[int, ...]) -> "IF":
        return dataclasses.replace(self, shape=shape)

    def init(self, *, key: PRNGKeyArray | None = None) -> IFState:
        return IFState(jnp.zeros(self.shape) + self.v_reset, jnp.zeros(self.shape))

    def vector_field(self, t: Array, state: IFState, current: Array) -> IFState:
        dv = (state.i + current) / self.c_mem
        di = jnp.zeros_like(state.i) if self.tau_syn is None else -state.i / self.tau_syn
        return IFState(dv, di)

    def guard(self, state: IFState) -> Array:
        return state.v - self.v_threshold

    def reset(self, state: IFState, *, key: PRNGKeyArray | None = None) -> IFState:
        if self.reset_mode == "subtract":
            return IFState(state.v - (self.v_threshold - self.v_reset), state.i)
        return IFState(jnp.zeros_like(state.v) + self.v_reset, state.i)

    def receive(self, state: IFState, kick: Array, port: str) -> IFState:
        check_port("IF", port, ("current",))
        if self.tau_syn is None:
            return IFState(state.v + kick / self.c_mem, state.i)
        return IFState(state.v, state.i + kick)

    def next_timer(self, state: IFState) -> Array:
        return jnp.full_like(state.v, jnp.inf)

    def on_timer(self, state: IFState) -> IFState:
        return state

    def observe(self, state: IFState) -> Array:
        return state.v

    def lif(self) -> st.LIFDynamics | None:
        if self.tau_syn is None or self.reset_mode != "value":
            return None

        def write(state: IFState, v: Array, i: Array) -> IFState:
            return IFState(v, i)

        return st.LIFDynamics(self.c_mem, self.tau_syn, self.v_reset, self.v_threshold, self.v_reset, write, g_leak=0.0)

    def closed_form(self) -> st.ClosedForm:
        tau_syn = self.tau_syn
        if tau_syn is None:

            def flow(state: IFState, duration: Array, current: Array) -> IFState:
                return IFState(state.v + duration * (state.i + current) / self.c_mem, state.i)

            def crossing(state: IFState, duration: Array, current: Array) -> Array:
                slope = (state.i + current) / self.c_mem
                climb = self.v_threshold - state.v
                time = climb / jnp.where(slope > 0, slope, 1.0)
                return jnp.where((slope > 0) & (climb > 0) & (time <= duration), time, jnp.inf)

        else:

            def flow(state: IFState, duration: Array, current: Array) -> IFState:
                return IFState(*st.if_flow(state.v, state.i, duration, current, self.c_mem, tau_syn))

            def crossing(state: IFState, duration: Array, current: Array) -> Array:
                return st.if_crossing(state.v, state.i, duration, current, self.v_threshold, self.c_mem, tau_syn)

        return st.ClosedForm(flow, crossing)

    def rate(self) -> st.RateDynamics | None:
        if self.tau_syn is None and self.reset_mode == "subtract":
            # In terms of the charge `c_mem (v - v_reset)`, which starts at 0 and to which a spike adds its
            # weight.
            return st.RateDynamics(v_threshold=self.c_mem * (self.v_threshold - self.v_reset), leak=1.0)
        return None

    def noise(self) -> None:
        return None
