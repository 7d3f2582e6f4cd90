"""The adaptive exponential integrate-and-fire neuron."""

from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, PRNGKeyArray

import saltation as st

from ._parameters import Parameter, as_parameter, filled
from ._ports import check_port
from ._upstroke import Upstroke


class AdExState(NamedTuple):
    """`z`: membrane potential in mV, on the scale that `AdEx` is solved on; `w`: adaptation current in pA; `i`:
    synaptic current in pA.
    """

    z: Array
    w: Array
    i: Array

    @property
    def membrane(self) -> tuple[str, ...]:
        """The field that holds the membrane potential."""
        return ("z",)


class AdEx(st.AbstractODENeuron):
    """The adaptive exponential integrate-and-fire neuron.

    `c_mem dv/dt = -g_leak (v - v_leak) + g_leak slope exp((v - v_rheobase) / slope) - w + i + current`,
    `tau_w dw/dt = a (v - v_leak) - w`, `tau_syn di/dt = -i`; a spike where `v` rises through `v_threshold`,
    then `v = v_reset` and `w` grows by `b`. A spike that arrives at the port "current" adds its weight, in
    pA, to `i`.

    **Arguments:**

    - `shape`: how many neurons, or a tuple; left out for a prototype.
    - `c_mem`, `g_leak`: capacitance and leak conductance (281 pF and 30 nS).
    - `tau_w`, `tau_syn`: time constants of the adaptation and of the synapses (144 and 5 ms).
    - `v_leak`, `v_rheobase`: leak potential, and where the upstroke begins, the source's `V_T` (-70.6 and
      -50.4 mV).
    - `slope`: how gradually it begins, the source's `Delta_T` (2 mV).
    - `a`, `b`: adaptation below the threshold and per spike (4 nS and 80.5 pA).
    - `v_threshold`, `v_reset`: where the upstroke is cut off and where it restarts (-30 and -70.6 mV). Beyond
      the cut-off, `v` would take another `c_mem / g_leak exp(-(v_threshold - v_rheobase) / slope)` to
      diverge: 0.4 us.

    Each is a Python number (fixed), or an array `[]` or of the population's shape (trainable). `v` starts at
    `v_leak`, `w` at 0.

    **Raises:** `ValueError` for a capacitance, conductance, time constant or slope that is not positive, or a
    reset, leak potential or rheobase that is not below the threshold.

    It is solved for `z = -slope log(1 + exp(-(v - v_corner) / slope))`, with `v_corner = v_rheobase + 3 slope`, as
    `EIF` is: `z` reaches 0, where `v` is infinite, at a finite speed. `observe` gives `v`, and `at` the state at a `v`.

    Brette and Gerstner, Journal of Neurophysiology 94 (2005), equations 1-3; the values are those of its fit
    to a regular-spiking pyramidal cell, with an earlier cut-off (there 20 mV).

    ```python
    hidden = AdEx(30, a=2.0, b=60.0)
    ```
    """

    shape: tuple[int, ...] = eqx.field(converter=st.population_shape, static=True, default=())
    c_mem: Parameter = eqx.field(converter=as_parameter, default=281.0, kw_only=True)
    g_leak: Parameter = eqx.field(converter=as_parameter, default=30.0, kw_only=True)
    tau_w: Parameter = eqx.field(converter=as_parameter, default=144.0, kw_only=True)
    tau_syn: Parameter = eqx.field(converter=as_parameter, default=5.0, kw_only=True)
    v_leak: Parameter = eqx.field(converter=as_parameter, default=-70.6, kw_only=True)
    v_rheobase: Parameter = eqx.field(converter=as_parameter, default=-50.4, kw_only=True)
    slope: Parameter = eqx.field(converter=as_parameter, default=2.0, kw_only=True)
    a: Parameter = eqx.field(converter=as_parameter, default=4.0, kw_only=True)
    b: Parameter = eqx.field(converter=as_parameter, default=80.5, kw_only=True)
    v_threshold: Parameter = eqx.field(converter=as_parameter, default=-30.0, kw_only=True)
    v_reset: Parameter = eqx.field(converter=as_parameter, default=-70.6, kw_only=True)

    def __check_init__(self):
        st.check_positive("AdEx", c_mem=self.c_mem, g_leak=self.g_leak, slope=self.slope)
        st.check_positive("AdEx", tau_w=self.tau_w, tau_syn=self.tau_syn)
        st.check_finite("AdEx", v_leak=self.v_leak, v_rheobase=self.v_rheobase, a=self.a, b=self.b)
        st.check_finite("AdEx", v_threshold=self.v_threshold, v_reset=self.v_reset)
        st.check_below("AdEx", "v_reset", self.v_reset, "v_threshold", self.v_threshold)
        st.check_below("AdEx", "v_leak", self.v_leak, "v_threshold", self.v_threshold)
        st.check_below("AdEx", "v_rheobase", self.v_rheobase, "v_threshold", self.v_threshold)

    def at(self, v: ArrayLike, w: ArrayLike = 0.0, i: ArrayLike = 0.0) -> AdExState:
        """The state at a membrane potential `v` in mV and currents `w` and `i` in pA, of the population's shape."""
        v, w, i = filled("AdEx", self.shape, v=v, w=w, i=i)
        return AdExState(self._upstroke.scaled(v), w, i)

    def init(self, *, key: PRNGKeyArray | None = None) -> AdExState:
        return self.at(self.v_leak)

    def vector_field(self, t: Array, state: AdExState, current: Array) -> AdExState:
        above = self.observe(state) - self.v_leak
        other = (-self.g_leak * above - state.w + state.i + current) / self.c_mem
        dz = self._upstroke.derivative(state.z, other, self.g_leak / self.c_mem)
        return AdExState(dz, (self.a * above - state.w) / self.tau_w, -state.i / self.tau_syn)

    def guard(self, state: AdExState) -> Array:
        return state.z - self._upstroke.scaled(self.v_threshold)

    def reset(self, state: AdExState, *, key: PRNGKeyArray | None = None) -> AdExState:
        return AdExState(jnp.zeros_like(state.z) + self._upstroke.scaled(self.v_reset), state.w + self.b, state.i)

    def receive(self, state: AdExState, kick: Array, port: str) -> AdExState:
        check_port("AdEx", port, ("current",))
        return AdExState(state.z, state.w, state.i + kick)

    def observe(self, state: AdExState) -> Array:
        return self._upstroke.potential(state.z)

    @property
    def _upstroke(self) -> Upstroke:
        return Upstroke(self.v_rheobase, self.slope)
