"""Izhikevich's neuron."""

from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray

import saltation as st

from ._parameters import Parameter, as_parameter
from ._ports import check_port


class IzhikevichState(NamedTuple):
    """`v`: membrane potential in mV; `u`: recovery variable in mV/ms; `i`: synaptic current in mV/ms."""

    v: Array
    u: Array
    i: Array


class Izhikevich(st.AbstractODENeuron):
    """Izhikevich's neuron: two variables that show most firing patterns of the cortex. Time is in ms.

    `dv/dt = 0.04 v^2 + 5 v + 140 - u + i + current`, `du/dt = a (b v - u)`, `tau_syn di/dt = -i`; a spike
    where `v` rises through `v_threshold`, then `v = c` and `u` grows by `d`. A spike that arrives at the port
    "current" adds its weight, in mV/ms, to `i`.

    **Arguments:**

    - `shape`: how many neurons, or a tuple; left out for a prototype.
    - `a`: how fast `u` recovers (0.02 per ms). `b`: how strongly it follows `v` (0.2 per ms).
    - `c`, `d`: where `v` restarts and what a spike adds to `u` (-65 mV and 8 mV/ms: regular spiking). The
      source has also chattering (`c=-50, d=2`), intrinsically bursting (`c=-55, d=4`) and fast spiking
      (`a=0.1, d=2`).
    - `tau_syn`: synaptic time constant (5 ms).
    - `v_threshold`: the peak of a spike (30 mV).
    - `v_init`: where `v` starts (-65 mV); `u` starts at `b v_init`.

    Each is a Python number (fixed), or an array `[]` or of the population's shape (trainable).

    **Raises:** `ValueError` for a time constant that is not positive, or a reset or start that is not below
    the threshold.

    Izhikevich, IEEE Transactions on Neural Networks 14 (2003), equations 1-3.

    ```python
    hidden = Izhikevich(30, a=0.1, d=2.0)  # fast spiking
    ```
    """

    shape: tuple[int, ...] = eqx.field(converter=st.population_shape, static=True, default=())
    a: Parameter = eqx.field(converter=as_parameter, default=0.02, kw_only=True)
    b: Parameter = eqx.field(converter=as_parameter, default=0.2, kw_only=True)
    c: Parameter = eqx.field(converter=as_parameter, default=-65.0, kw_only=True)
    d: Parameter = eqx.field(converter=as_parameter, default=8.0, kw_only=True)
    tau_syn: Parameter = eqx.field(converter=as_parameter, default=5.0, kw_only=True)
    v_threshold: Parameter = eqx.field(converter=as_parameter, default=30.0, kw_only=True)
    v_init: Parameter = eqx.field(converter=as_parameter, default=-65.0, kw_only=True)

    def __check_init__(self):
        st.check_positive("Izhikevich", tau_syn=self.tau_syn)
        st.check_finite("Izhikevich", a=self.a, b=self.b, c=self.c, d=self.d)
        st.check_finite("Izhikevich", v_threshold=self.v_threshold, v_init=self.v_init)
        st.check_below("Izhikevich", "c", self.c, "v_threshold", self.v_threshold)
        st.check_below("Izhikevich", "v_init", self.v_init, "v_threshold", self.v_threshold)

    def init(self, *, key: PRNGKeyArray | None = None) -> IzhikevichState:
        v = jnp.zeros(self.shape) + self.v_init
        return IzhikevichState(v, self.b * v, jnp.zeros(self.shape))

    def vector_field(self, t: Array, state: IzhikevichState, current: Array) -> IzhikevichState:
        dv = (0.04 * state.v + 5.0) * state.v + 140.0 - state.u + state.i + current
        du = self.a * (self.b * state.v - state.u)
        di = -state.i / self.tau_syn
        return IzhikevichState(dv, du, di)

    def guard(self, state: IzhikevichState) -> Array:
        return state.v - self.v_threshold

    def reset(self, state: IzhikevichState, *, key: PRNGKeyArray | None = None) -> IzhikevichState:
        return IzhikevichState(jnp.zeros_like(state.v) + self.c, state.u + self.d, state.i)

    def receive(self, state: IzhikevichState, kick: Array, port: str) -> IzhikevichState:
        check_port("Izhikevich", port, ("current",))
        return IzhikevichState(state.v, state.u, state.i + kick)

    def observe(self, state: IzhikevichState) -> Array:
        return state.v
