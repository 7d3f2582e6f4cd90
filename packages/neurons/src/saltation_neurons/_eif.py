"""The exponential integrate-and-fire neuron."""

from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, PRNGKeyArray

import saltation as st

from ._parameters import Parameter, as_parameter, filled
from ._ports import check_port
from ._upstroke import Upstroke


class EIFState(NamedTuple):
    """`z`: membrane potential in mV, on the scale that `EIF` is solved on; `i`: synaptic current in pA."""

    z: Array
    i: Array

    @property
    def membrane(self) -> tuple[str, ...]:
        """The field that holds the membrane potential."""
        return ("z",)


class EIF(st.AbstractODENeuron):
    """The exponential integrate-and-fire neuron: a leak, and an upstroke like that of sodium channels.

    `c_mem dv/dt = -g_leak (v - v_leak) + g_leak slope exp((v - v_rheobase) / slope) + i + current`, `tau_syn
    di/dt = -i`; a spike where `v` rises through `v_threshold`, then `v = v_reset`. A spike that arrives at
    the port "current" adds its weight, in pA, to `i`.

    **Arguments:**

    - `shape`: how many neurons, or a tuple; left out for a prototype.
    - `c_mem`, `g_leak`: capacitance and leak conductance (100 pF and 10 nS: the densities of the source, 1
      uF/cm2 and 0.1 mS/cm2, on an area of 10000 um2).
    - `tau_syn`: synaptic time constant (5 ms).
    - `v_leak`, `v_rheobase`: leak potential, and where the upstroke begins, the source's `V_T` (-65 and -59.9
      mV).
    - `slope`: how gradually it begins, the source's `Delta_T` (3.48 mV).
    - `v_threshold`, `v_reset`: where the upstroke is cut off and where it restarts (-30 and -68 mV). Beyond
      the cut-off, `v` would take another `c_mem / g_leak exp(-(v_threshold - v_rheobase) / slope)` to
      diverge: 2 us.

    Each is a Python number (fixed), or an array `[]` or of the population's shape (trainable). `v` starts at
    `v_leak`.

    **Raises:** `ValueError` for a capacitance, conductance, time constant or slope that is not positive, or a
    reset, leak potential or rheobase that is not below the threshold.

    It is solved for `z = -slope log(1 + exp(-(v - v_corner) / slope))`, with `v_corner = v_rheobase + 3 slope`: about
    `v - v_corner` below, and 0 at infinity, which it reaches at a finite speed, so that steps need not shorten there.
    `observe` gives `v`, and `at` the state at a `v`.

    Fourcaud-Trocmé et al., Journal of Neuroscience 23 (2003), equation and values of the fit to the
    Wang-Buzsáki model. Its refractory period of 1.7 ms is `Refractory(EIF(30), 1.7)`.

    ```python
    hidden = EIF(30, slope=2.0)
    ```
    """

    shape: tuple[int, ...] = eqx.field(converter=st.population_shape, static=True, default=())
    c_mem: Parameter = eqx.field(converter=as_parameter, default=100.0, kw_only=True)
    g_leak: Parameter = eqx.field(converter=as_parameter, default=10.0, kw_only=True)
    tau_syn: Parameter = eqx.field(converter=as_parameter, default=5.0, kw_only=True)
    v_leak: Parameter = eqx.field(converter=as_parameter, default=-65.0, kw_only=True)
    v_rheobase: Parameter = eqx.field(converter=as_parameter, default=-59.9, kw_only=True)
    slope: Parameter = eqx.field(converter=as_parameter, default=3.48, kw_only=True)
    v_threshold: Parameter = eqx.field(converter=as_parameter, default=-30.0, kw_only=True)
    v_reset: Parameter = eqx.field(converter=as_parameter, default=-68.0, kw_only=True)

    def __check_init__(self):
        st.check_positive("EIF", c_mem=self.c_mem, g_leak=self.g_leak, tau_syn=self.tau_syn, slope=self.slope)
        st.check_finite("EIF", v_leak=self.v_leak, v_rheobase=self.v_rheobase)
        st.check_finite("EIF", v_threshold=self.v_threshold, v_reset=self.v_reset)
        st.check_below("EIF", "v_reset", self.v_reset, "v_threshold", self.v_threshold)
        st.check_below("EIF", "v_leak", self.v_leak, "v_threshold", self.v_threshold)
        st.check_below("EIF", "v_rheobase", self.v_rheobase, "v_threshold", self.v_threshold)

    def at(self, v: ArrayLike, i: ArrayLike = 0.0) -> EIFState:
        """The state at a membrane potential `v` in mV and a synaptic current `i` in pA, of the population's shape."""
        v, i = filled("EIF", self.shape, v=v, i=i)
        return EIFState(self._upstroke.scaled(v), i)

    def init(self, *, key: PRNGKeyArray | None = None) -> EIFState:
        return self.at(self.v_leak)

    def vector_field(self, t: Array, state: EIFState, current: Array) -> EIFState:
        leak = -self.g_leak * (self.observe(state) - self.v_leak)
        dz = self._upstroke.derivative(state.z, (leak + state.i + current) / self.c_mem, self.g_leak / self.c_mem)
        return EIFState(dz, -state.i / self.tau_syn)

    def guard(self, state: EIFState) -> Array:
        return state.z - self._upstroke.scaled(self.v_threshold)

    def reset(self, state: EIFState, *, key: PRNGKeyArray | None = None) -> EIFState:
        return EIFState(jnp.zeros_like(state.z) + self._upstroke.scaled(self.v_reset), state.i)

    def receive(self, state: EIFState, kick: Array, port: str) -> EIFState:
        check_port("EIF", port, ("current",))
        return EIFState(state.z, state.i + kick)

    def observe(self, state: EIFState) -> Array:
        return self._upstroke.potential(state.z)

    @property
    def _upstroke(self) -> Upstroke:
        return Upstroke(self.v_rheobase, self.slope)
