"""The event-based gated recurrent unit."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray

import saltation as st

from ._parameters import Parameter, as_parameter
from ._ports import check_port

PORTS = ("current", "recurrent", "update", "reset")


class EGRUState(NamedTuple):
    """`v`: the cell state, `c` of the source; the others: what has arrived at each port, decaying."""

    v: Array
    current: Array
    recurrent: Array
    update: Array
    reset: Array


class EGRU(st.AbstractODENeuron):
    """The event-based gated recurrent unit: a memory cell that its own gates open and close, in continuous time.

    `tau_mem dv/dt = u (z - v)` with the update gate `u = sigmoid(a_update + b_update)`, the reset gate
    `r = sigmoid(a_reset + b_reset)` and the candidate `z = tanh(a_current + r a_recurrent + b_candidate + current)`;
    `tau_syn da/dt = -a` for each of the four. A spike where `v` rises through `v_threshold`, then `v = 0`.

    It has four ports, "current", "recurrent", "update" and "reset": a spike that arrives at one adds its weight to its
    `a`. `Connection(..., port="update")` names it. While its update gate is closed, a unit keeps its memory.

    **Arguments:**

    - `shape`: how many units, or a tuple; left out for a prototype.
    - `tau_mem`, `tau_syn`: time constants of the open cell and of the synapses, in the network's unit of time (20 and 5
      ms).
    - `v_threshold`: in (0, 1), since `v` stays below 1 (0.5).
    - `b_update`, `b_reset`, `b_candidate`: biases (0).

    Each is a Python number (fixed), or an array `[]` or of the population's shape (trainable). `v` and all `a` start at
    0.

    **Raises:** `ValueError` for time constants or a threshold that are not positive, or a threshold of 1 or more, which
    no unit reaches.

    Subramoney et al., ICLR 2023, in continuous time. There the reset gate of the unit that *sends* scales what its
    spike adds to the candidates of others; spikes carry no number here, and the gate of the unit that *receives* scales
    all that has arrived at its port "recurrent", as in the gated recurrent units of common libraries.

    ```python
    hidden = EGRU(30, b_update=-1.0)
    ```
    """

    shape: tuple[int, ...] = eqx.field(converter=st.population_shape, static=True, default=())
    tau_mem: Parameter = eqx.field(converter=as_parameter, default=20.0, kw_only=True)
    tau_syn: Parameter = eqx.field(converter=as_parameter, default=5.0, kw_only=True)
    v_threshold: Parameter = eqx.field(converter=as_parameter, default=0.5, kw_only=True)
    b_update: Parameter = eqx.field(converter=as_parameter, default=0.0, kw_only=True)
    b_reset: Parameter = eqx.field(converter=as_parameter, default=0.0, kw_only=True)
    b_candidate: Parameter = eqx.field(converter=as_parameter, default=0.0, kw_only=True)

    def __check_init__(self):
        st.check_positive("EGRU", tau_mem=self.tau_mem, tau_syn=self.tau_syn, v_threshold=self.v_threshold)
        st.check_finite("EGRU", b_update=self.b_update, b_reset=self.b_reset, b_candidate=self.b_candidate)
        st.check_below("EGRU", "v_threshold", self.v_threshold, "the largest possible v", 1.0)

    def init(self, *, key: PRNGKeyArray | None = None) -> EGRUState:
        return EGRUState(*(jnp.zeros(self.shape) for _ in EGRUState._fields))

    def vector_field(self, t: Array, state: EGRUState, current: Array) -> EGRUState:
        u = jax.nn.sigmoid(state.update + self.b_update)
        r = jax.nn.sigmoid(state.reset + self.b_reset)
        z = jnp.tanh(state.current + r * state.recurrent + self.b_candidate + current)
        arrived = (-a / self.tau_syn for a in state[1:])
        return EGRUState(u * (z - state.v) / self.tau_mem, *arrived)

    def guard(self, state: EGRUState) -> Array:
        return state.v - self.v_threshold

    def reset(self, state: EGRUState, *, key: PRNGKeyArray | None = None) -> EGRUState:
        return state._replace(v=jnp.zeros_like(state.v))

    def receive(self, state: EGRUState, kick: Array, port: str) -> EGRUState:
        check_port("EGRU", port, PORTS)
        return state._replace(**{port: getattr(state, port) + kick})

    def observe(self, state: EGRUState) -> Array:
        return state.v
