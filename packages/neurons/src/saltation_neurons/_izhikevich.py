"""Izhikevich's neuron."""

from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, ArrayLike, PRNGKeyArray

import saltation as st

from ._bounds import at_least
from ._parameters import Parameter, as_parameter, filled
from ._ports import check_port

_MIDDLE = -62.5  # mV, where the parabola 0.04 v^2 + 5 v + 140 has its least value
_LEAST = -16.25  # mV/ms, that value
_CURVATURE = 0.04
_WIDTH = 10.0  # mV; a drive of 0.04 * 10^2 = 4 mV/ms above that least one moves z the most evenly


class IzhikevichState(NamedTuple):
    """`z`: the membrane potential, on the scale that `Izhikevich` is solved on; `u`: recovery variable in mV/ms; `i`:
    synaptic current in mV/ms.
    """

    z: Array
    u: Array
    i: Array

    @property
    def v(self) -> Array:
        """The membrane potential in mV."""
        return _potential(self.z, least=jnp.finfo(self.z.dtype).eps)

    @property
    def membrane(self) -> tuple[str, ...]:
        """The field that holds the membrane potential."""
        return ("z",)


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

    It is solved for `z`, with `v = -62.5 + 20 z / (1 - z^2)`: the tangent of a quarter of the phase that quadratic
    neurons have on a circle. It is 1 where `v` is infinite and changes at much the same speed all the way, so that
    steps need not shorten in the upstroke. `observe` gives `v`, and `at` the state at a `v`.

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

    def at(self, v: ArrayLike, u: ArrayLike = 0.0, i: ArrayLike = 0.0) -> IzhikevichState:
        """The state at a membrane potential `v` in mV, and `u` and `i` in mV/ms, of the population's shape."""
        v, u, i = filled("Izhikevich", self.shape, v=v, u=u, i=i)
        return IzhikevichState(_scaled(v), u, i)

    def init(self, *, key: PRNGKeyArray | None = None) -> IzhikevichState:
        return self.at(self.v_init, self.b * self.v_init)

    def vector_field(self, t: Array, state: IzhikevichState, current: Array) -> IzhikevichState:
        square = state.z**2
        # Behind infinity z goes on, and u as if v stayed where it is well above the threshold.
        left = at_least(1.0 - square, 0.0)
        drive = _LEAST - state.u + state.i + current
        dz = (2.0 * _CURVATURE * _WIDTH * square + drive * left**2 / (2.0 * _WIDTH)) / (1.0 + square)
        v = _potential(state.z, least=0.5 * (1.0 - _scaled(self.v_threshold) ** 2))
        return IzhikevichState(dz, self.a * (self.b * v - state.u), -state.i / self.tau_syn)

    def guard(self, state: IzhikevichState) -> Array:
        return state.z - _scaled(self.v_threshold)

    def reset(self, state: IzhikevichState, *, key: PRNGKeyArray | None = None) -> IzhikevichState:
        return IzhikevichState(jnp.zeros_like(state.z) + _scaled(self.c), state.u + self.d, state.i)

    def receive(self, state: IzhikevichState, kick: Array, port: str) -> IzhikevichState:
        check_port("Izhikevich", port, ("current",))
        return IzhikevichState(state.z, state.u, state.i + kick)

    def observe(self, state: IzhikevichState) -> Array:
        return state.v


def _scaled(v: ArrayLike) -> Array:
    x = (jnp.asarray(v) - _MIDDLE) / _WIDTH
    return x / (1.0 + jnp.sqrt(1.0 + x**2))


def _potential(z: Array, least: ArrayLike) -> Array:
    return _MIDDLE + 2.0 * _WIDTH * z / at_least(1.0 - z**2, least)
