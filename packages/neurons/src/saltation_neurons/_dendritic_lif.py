"""A leaky integrate-and-fire neuron with a dendrite that answers best to inputs of middling strength."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray

import saltation as st

from ._parameters import Parameter, as_parameter
from ._ports import check_port


class DendriticLIFState(NamedTuple):
    """`v`, `v_dendrite`: potentials; `i`, `i_dendrite`: synaptic currents; `ca`: the dendritic action potential."""

    v: Array
    v_dendrite: Array
    ca: Array
    i: Array
    i_dendrite: Array


class DendriticLIF(st.AbstractODENeuron):
    """A soma and a dendrite with the calcium action potentials of human pyramidal cells of layers 2 and 3.

    These potentials are strongest for an input just above their threshold, and *weaker* the stronger it gets, so that
    one neuron computes the exclusive or of its inputs.

    `tau_mem dv/dt = -(v - v_leak) + g_axial (v_dendrite - v) + g_ca ca + i + current`,
    `tau_dendrite dv_dendrite/dt = -(v_dendrite - v_leak) + g_axial (v - v_dendrite) + i_dendrite`,
    `tau_ca dca/dt = -ca + f(v_dendrite)`, `f(x) = sigmoid(y / slope) exp(-y / width) / peak` with
    `y = x - v_ca`, and `tau_syn di/dt = -i` for both currents. A spike where `v` rises through `v_threshold`, then
    `v = v_reset`. A spike that arrives adds its weight to `i` at the port "current", to `i_dendrite` at "dendrite".

    **Arguments:**

    - `shape`: how many neurons, or a tuple; left out for a prototype.
    - `tau_mem`, `tau_dendrite`, `tau_ca`, `tau_syn`: time constants of soma, dendrite, dendritic action potential and
      synapses, in the network's unit of time (20, 10, 5 and 5 ms).
    - `v_threshold`, `v_reset`, `v_leak`: potentials, in one unit of your choice (1, 0, 0).
    - `v_ca`: where dendritic action potentials begin (0.5).
    - `slope`: how gradually they begin (0.05). `width`: over which rise of the dendrite's potential they fall by a
      factor of e (0.15). `peak` makes 1 the largest value of `f`.
    - `g_ca`: how strongly a dendritic action potential drives the soma (3, in that unit).
    - `g_axial`: how strongly soma and dendrite pull each other along, over the leak (0.1).

    Each is a Python number (fixed), or an array `[]` or of the population's shape (trainable). Both potentials start at
    `v_leak`, all else at 0.

    **Raises:** `ValueError` for time constants, a slope or a width that are not positive, a slope that is not below the
    width, a negative `g_axial`, or a reset or leak that is not below the threshold.

    Gidon et al., Science 367 (2020): of its activation function, `exp(-y / width)` above a sharp threshold, this is a
    smooth form, and its detailed cell is here two compartments. The current of a constant stimulus enters the soma.

    ```python
    hidden = DendriticLIF(30, v_ca=0.4)
    ```
    """

    shape: tuple[int, ...] = eqx.field(converter=st.population_shape, static=True, default=())
    tau_mem: Parameter = eqx.field(converter=as_parameter, default=20.0, kw_only=True)
    tau_dendrite: Parameter = eqx.field(converter=as_parameter, default=10.0, kw_only=True)
    tau_ca: Parameter = eqx.field(converter=as_parameter, default=5.0, kw_only=True)
    tau_syn: Parameter = eqx.field(converter=as_parameter, default=5.0, kw_only=True)
    v_threshold: Parameter = eqx.field(converter=as_parameter, default=1.0, kw_only=True)
    v_reset: Parameter = eqx.field(converter=as_parameter, default=0.0, kw_only=True)
    v_leak: Parameter = eqx.field(converter=as_parameter, default=0.0, kw_only=True)
    v_ca: Parameter = eqx.field(converter=as_parameter, default=0.5, kw_only=True)
    slope: Parameter = eqx.field(converter=as_parameter, default=0.05, kw_only=True)
    width: Parameter = eqx.field(converter=as_parameter, default=0.15, kw_only=True)
    g_ca: Parameter = eqx.field(converter=as_parameter, default=3.0, kw_only=True)
    g_axial: Parameter = eqx.field(converter=as_parameter, default=0.1, kw_only=True)

    def __check_init__(self):
        st.check_positive("DendriticLIF", tau_mem=self.tau_mem, tau_dendrite=self.tau_dendrite, tau_ca=self.tau_ca)
        st.check_positive("DendriticLIF", tau_syn=self.tau_syn, slope=self.slope, width=self.width)
        st.check_finite("DendriticLIF", v_threshold=self.v_threshold, v_reset=self.v_reset, v_leak=self.v_leak)
        st.check_finite("DendriticLIF", v_ca=self.v_ca, g_ca=self.g_ca, g_axial=self.g_axial)
        st.check_below("DendriticLIF", "v_reset", self.v_reset, "v_threshold", self.v_threshold)
        st.check_below("DendriticLIF", "v_leak", self.v_leak, "v_threshold", self.v_threshold)
        st.check_below("DendriticLIF", "slope", self.slope, "width", self.width)
        if isinstance(self.g_axial, int | float) and self.g_axial < 0:
            raise ValueError(f"DendriticLIF got g_axial = {self.g_axial}; expected a number >= 0.")

    def init(self, *, key: PRNGKeyArray | None = None) -> DendriticLIFState:
        nothing = jnp.zeros(self.shape)
        return DendriticLIFState(nothing + self.v_leak, nothing + self.v_leak, nothing, nothing, nothing)

    def activation(self, v_dendrite: Array) -> Array:
        """`f`: how strong a dendritic action potential this potential of the dendrite sustains, at most 1."""
        y = v_dendrite - self.v_ca
        share = self.slope / self.width  # the maximum lies where sigmoid(y / slope) = 1 - share
        log_peak = (1.0 - share) * jnp.log(1.0 - share) + share * jnp.log(share)
        # In logarithms: far below the threshold one factor overflows where the other vanishes.
        return jnp.exp(jax.nn.log_sigmoid(y / self.slope) - y / self.width - log_peak)

    def vector_field(self, t: Array, state: DendriticLIFState, current: Array) -> DendriticLIFState:
        v, v_dendrite, ca, i, i_dendrite = state
        flow = self.g_axial * (v_dendrite - v)
        dv = (self.v_leak - v + flow + self.g_ca * ca + i + current) / self.tau_mem
        dv_dendrite = (self.v_leak - v_dendrite - flow + i_dendrite) / self.tau_dendrite
        dca = (self.activation(v_dendrite) - ca) / self.tau_ca
        return DendriticLIFState(dv, dv_dendrite, dca, -i / self.tau_syn, -i_dendrite / self.tau_syn)

    def guard(self, state: DendriticLIFState) -> Array:
        return state.v - self.v_threshold

    def reset(self, state: DendriticLIFState, *, key: PRNGKeyArray | None = None) -> DendriticLIFState:
        return state._replace(v=jnp.zeros_like(state.v) + self.v_reset)

    def receive(self, state: DendriticLIFState, kick: Array, port: str) -> DendriticLIFState:
        check_port("DendriticLIF", port, ("current", "dendrite"))
        if port == "current":
            return state._replace(i=state.i + kick)
        return state._replace(i_dendrite=state.i_dendrite + kick)

    def observe(self, state: DendriticLIFState) -> Array:
        return state.v
