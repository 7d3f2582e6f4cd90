"""The current-based leaky integrate-and-fire neuron."""

import dataclasses
import math
from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray

import saltation as st

from ._parameters import Parameter, as_parameter, check_reset_mode
from ._ports import check_port


class LIFState(NamedTuple):
    """`v`: membrane potential; `i`: synaptic current, 0 for delta synapses."""

    v: Array
    i: Array


class LIF(st.AbstractNeuron):
    """The current-based leaky integrate-and-fire neuron.

    `tau_mem dv/dt = -(v - v_leak) + i + current`, `tau_syn di/dt = -i`; a spike where `v` rises through `v_threshold`,
    then `v = v_reset`, or `v` falls by `v_threshold - v_reset`. A spike that arrives at the port "current" adds its
    weight to `i`; with delta synapses (`tau_syn=None`) it is a charge that arrives at once and adds `weight / tau_mem`
    to `v`.

    **Arguments:**

    - `shape`: how many neurons, or a tuple; left out for a prototype.
    - `tau_mem`, `tau_syn`: membrane and synaptic time constants, in the network's unit of time (20 and 5 ms);
      `tau_syn=None` for delta synapses.
    - `v_threshold`, `v_reset`, `v_leak`: potentials, in one unit of your choice.
    - `reset_mode`: "value" sets `v` to `v_reset`; "subtract" keeps what a kick left above the threshold.

    Each but the last is a Python number (fixed; lets a method choose a formula), or an array `[]` or of the
    population's shape.

    **Raises:** `ValueError` for time constants that are not positive, a reset that is not below the threshold, or an
    unknown `reset_mode`.

    Between events it has a closed form for every ratio of the time constants. With delta synapses and reset by
    subtraction, from `v_leak = v_reset`, it can also be trained at the equilibrium of a feedback network, where the
    charge `tau_mem (v - v_leak)` leaks by `exp(-1 / tau_mem)` in a unit of time. Gerstner et al., Neuronal Dynamics
    (2014), chapter 1.3; the defaults are those of Cramer et al., PNAS 2022, in units of the threshold.

    ```python
    hidden = LIF(30, tau_mem=20.0, tau_syn=10.0)
    ```
    """

    shape: tuple[int, ...] = eqx.field(converter=st.population_shape, static=True, default=())
    tau_mem: Parameter = eqx.field(converter=as_parameter, default=20.0, kw_only=True)
    tau_syn: Parameter | None = eqx.field(converter=as_parameter, default=5.0, kw_only=True)
    v_threshold: Parameter = eqx.field(converter=as_parameter, default=1.0, kw_only=True)
    v_reset: Parameter = eqx.field(converter=as_parameter, default=0.0, kw_only=True)
    v_leak: Parameter = eqx.field(converter=as_parameter, default=0.0, kw_only=True)
    reset_mode: str = eqx.field(static=True, default="value", kw_only=True)

    def __check_init__(self):
        st.check_positive("LIF", tau_mem=self.tau_mem, tau_syn=self.tau_syn)
        st.check_finite("LIF", v_threshold=self.v_threshold, v_reset=self.v_reset, v_leak=self.v_leak)
        st.check_below("LIF", "v_reset", self.v_reset, "v_threshold", self.v_threshold)
        check_reset_mode("LIF", self.reset_mode)

    def with_shape(self, shape: int | tuple[int, ...]) -> "LIF":
        return dataclasses.replace(self, shape=shape)

    def init(self, *, key: PRNGKeyArray | None = None) -> LIFState:
        return LIFState(jnp.zeros(self.shape) + self.v_leak, jnp.zeros(self.shape))

    def vector_field(self, t: Array, state: LIFState, current: Array) -> LIFState:
        dv = (self.v_leak - state.v + state.i + current) / self.tau_mem
        di = jnp.zeros_like(state.i) if self.tau_syn is None else -state.i / self.tau_syn
        return LIFState(dv, di)

    def guard(self, state: LIFState) -> Array:
        return state.v - self.v_threshold

    def reset(self, state: LIFState, *, key: PRNGKeyArray | None = None) -> LIFState:
        if self.reset_mode == "subtract":
            return LIFState(state.v - (self.v_threshold - self.v_reset), state.i)
        return LIFState(jnp.zeros_like(state.v) + self.v_reset, state.i)

    def receive(self, state: LIFState, kick: Array, port: str) -> LIFState:
        check_port("LIF", port, ("current",))
        if self.tau_syn is None:
            return LIFState(state.v + kick / self.tau_mem, state.i)
        return LIFState(state.v, state.i + kick)

    def next_timer(self, state: LIFState) -> Array:
        return jnp.full_like(state.v, jnp.inf)

    def on_timer(self, state: LIFState) -> LIFState:
        return state

    def observe(self, state: LIFState) -> Array:
        return state.v

    def lif(self) -> st.LIFDynamics | None:
        if self.tau_syn is None or self.reset_mode != "value":
            return None

        def write(state: LIFState, v: Array, i: Array) -> LIFState:
            return LIFState(v, i)

        return st.LIFDynamics(self.tau_mem, self.tau_syn, self.v_leak, self.v_threshold, self.v_reset, write)

    def closed_form(self) -> st.ClosedForm:
        tau_syn = self.tau_syn
        if tau_syn is None:

            def flow(state: LIFState, duration: Array, current: Array) -> LIFState:
                # `i` is 0, or what the user starts it at.
                resting = self.v_leak + state.i + current
                return LIFState(resting + (state.v - resting) * jnp.exp(-duration / self.tau_mem), state.i)

            def crossing(state: LIFState, duration: Array, current: Array) -> Array:
                resting = self.v_leak + state.i + current
                climb, above = self.v_threshold - state.v, resting - self.v_threshold
                rises = (climb > 0) & (above > 0)
                # exp(time / tau_mem) = (resting - v) / (resting - v_threshold), without losing a small climb.
                time = self.tau_mem * jnp.log1p(jnp.where(rises, climb, 0.0) / jnp.where(rises, above, 1.0))
                return jnp.where(rises & (time <= duration), time, jnp.inf)

        else:

            def flow(state: LIFState, duration: Array, current: Array) -> LIFState:
                v, i = st.lif_flow(state.v - self.v_leak, state.i, duration, current, self.tau_mem, tau_syn)
                return LIFState(v + self.v_leak, i)

            def crossing(state: LIFState, duration: Array, current: Array) -> Array:
                threshold = self.v_threshold - self.v_leak
                return st.lif_crossing(
                    state.v - self.v_leak, state.i, duration, current, threshold, self.tau_mem, tau_syn
                )

        return st.ClosedForm(flow, crossing)

    def rate(self) -> st.RateDynamics | None:
        rests_at_reset = isinstance(self.v_leak, int | float) and self.v_leak == self.v_reset
        if self.tau_syn is None and self.reset_mode == "subtract" and rests_at_reset:
            # In terms of the charge `tau_mem (v - v_leak)`, which starts at 0 and to which a spike adds its weight.
            threshold = self.tau_mem * (self.v_threshold - self.v_reset)
            leak = math.exp(-1 / self.tau_mem) if isinstance(self.tau_mem, int | float) else jnp.exp(-1 / self.tau_mem)
            return st.RateDynamics(v_threshold=threshold, leak=leak)
        return None

    def noise(self) -> None:
        return None
