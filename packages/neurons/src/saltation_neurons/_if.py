"""The integrate-and-fire neuron without a leak."""

import dataclasses
from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, PRNGKeyArray

import saltation as st

from ._parameters import Parameter, as_parameter
from ._ports import check_port

_MAX_ITERATIONS = 80


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
        if self.reset_mode not in ("value", "subtract"):
            raise ValueError(
                f"IF got reset_mode={self.reset_mode!r}; expected 'value' (v = v_reset) or 'subtract' "
                "(v falls by v_threshold - v_reset)."
            )

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

    def lif(self) -> None:
        return None

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
                charge = current * duration - state.i * tau_syn * jnp.expm1(-duration / tau_syn)
                return IFState(state.v + charge / self.c_mem, state.i * jnp.exp(-duration / tau_syn))

            def crossing(state: IFState, duration: Array, current: Array) -> Array:
                charge = self.c_mem * (self.v_threshold - state.v)
                return _time_to_charge(charge, state.i, current, duration, tau_syn)

        return st.ClosedForm(flow, crossing)

    def rate(self) -> st.RateDynamics | None:
        if self.tau_syn is None and self.reset_mode == "subtract":
            # In terms of the charge `c_mem (v - v_reset)`, which starts at 0 and to which a spike adds its
            # weight.
            return st.RateDynamics(v_threshold=self.c_mem * (self.v_threshold - self.v_reset), leak=1.0)
        return None

    def noise(self) -> None:
        return None


def _time_to_charge(charge: Array, i: Array, current: Array, duration: Array, tau_syn: Parameter) -> Array:
    """The first time in `(0, duration]` at which the membrane holds `charge` and gains more; `inf` if never.

    `q(u) = current u + i tau_syn (1 - exp(-u / tau_syn))` has at most one extremum, so a crossing lies before
    a maximum, after a minimum, or anywhere, where `q` is monotone. There Newton's iteration needs no bracket:
    `q` is concave or convex, and from the proper side of the root every step goes towards it.
    """
    turns = ((current > 0) & (i < -current)) | ((current < 0) & (i > -current))
    extremum = tau_syn * jnp.log(jnp.where(turns, -i / jnp.where(turns, current, 1.0), 1.0))
    inside = turns & (extremum < duration)
    low = jnp.where(inside & (i < 0), extremum, 0.0)
    high = jnp.where(inside & (i > 0), extremum, duration)

    def excess(u: Array) -> Array:
        return current * u - i * tau_syn * jnp.expm1(-u / tau_syn) - charge

    def slope(u: Array) -> Array:
        return current + i * jnp.exp(-u / tau_syn)

    hit = (excess(high) >= 0) & (excess(low) < 0)
    low, high = jnp.where(hit, low, 0.0), jnp.where(hit, high, 0.0)
    concave = i >= 0
    # Two first guesses, both on the proper side. The one ignores how `i` or the current go on; it is exact
    # where there is no current. The other is the parabola at `high`; it is excellent where the crossing
    # almost touches a maximum.
    remaining = charge - i * tau_syn
    without_current = -tau_syn * jnp.log1p(-jnp.clip(charge / jnp.where(i > 0, i * tau_syn, jnp.inf), 0.0, 1.0))
    first = jnp.where(current > 0, remaining / jnp.where(current > 0, current, 1.0), without_current)
    top, rise = excess(high), jnp.maximum(slope(high), 0.0)
    square = rise * rise + 2.0 * top * i * jnp.exp(-high / tau_syn) / tau_syn
    divisor = rise + jnp.where(square > 0, jnp.sqrt(jnp.maximum(square, 0.0)), rise)
    second = high - 2.0 * top / jnp.where(divisor > 0, divisor, 1.0)
    second = jnp.where(divisor > 0, second, low)
    start = jnp.clip(jnp.where(concave, jnp.maximum(first, second), jnp.minimum(first, second)), low, high)
    eps = jnp.finfo(start.dtype).eps

    def step(carry):
        u, _, count = carry
        rising = slope(u) > 0
        move = jnp.where(rising, -excess(u) / jnp.where(rising, slope(u), 1.0), 0.0)
        # A step to the other side is round-off: the root is reached.
        moving = jnp.where(concave, move, -move) > 4 * eps * jnp.abs(u)
        return jnp.clip(u + move, low, high), moving, count + 1

    def unfinished(carry):
        _, moving, count = carry
        return st.anywhere(jnp.any(moving)) & (count < _MAX_ITERATIONS)

    time = lax.while_loop(unfinished, step, (start, hit, jnp.zeros((), jnp.int32)))[0]
    return jnp.where(hit, time, jnp.inf)
