"""The quadratic integrate-and-fire neuron."""

from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, PRNGKeyArray

import saltation as st

from ._parameters import Parameter, as_parameter
from ._ports import check_port
from ._rheobase import beyond_rheobase


class QIFState(NamedTuple):
    """`v`: membrane potential; `i`: synaptic current."""

    v: Array
    i: Array


class QIF(st.AbstractODENeuron):
    """The quadratic integrate-and-fire neuron, the normal form of a neuron at a saddle-node bifurcation.

    `tau_mem dv/dt = (v - v_rest) (v - v_crit) + i + current`, `tau_syn di/dt = -i`; a spike where `v` rises
    through `v_threshold`, then `v = v_reset`. A spike that arrives at the port "current" adds its weight to
    `i`.

    **Arguments:**

    - `shape`: how many neurons, or a tuple; left out for a prototype.
    - `tau_mem`, `tau_syn`: membrane and synaptic time constants, in the network's unit of time (20 and 5 ms).
    - `v_rest`, `v_crit`: the stable and the unstable fixed point without a current; beyond `v_crit` the
      neuron fires by itself. Potentials are dimensionless, in units of `v_crit - v_rest` (0 and 1).
    - `v_threshold`, `v_reset`: where a spike is cut off and where it starts again (10 and -1); far from the
      fixed points they matter little, because `v` diverges in finite time.

    Each is a Python number (fixed), or an array `[]` or of the population's shape (trainable). `v` starts at
    `v_rest`.

    **Raises:** `ValueError` for time constants that are not positive, or a reset or rest that is not below
    the threshold.

    Ermentrout and Kopell, SIAM Journal on Applied Mathematics 46 (1986); Latham et al., Journal of
    Neurophysiology 83 (2000) in this form.

    ```python
    hidden = QIF(30, tau_mem=20.0, tau_syn=5.0)
    ```
    """

    shape: tuple[int, ...] = eqx.field(converter=st.population_shape, static=True, default=())
    tau_mem: Parameter = eqx.field(converter=as_parameter, default=20.0, kw_only=True)
    tau_syn: Parameter = eqx.field(converter=as_parameter, default=5.0, kw_only=True)
    v_rest: Parameter = eqx.field(converter=as_parameter, default=0.0, kw_only=True)
    v_crit: Parameter = eqx.field(converter=as_parameter, default=1.0, kw_only=True)
    v_threshold: Parameter = eqx.field(converter=as_parameter, default=10.0, kw_only=True)
    v_reset: Parameter = eqx.field(converter=as_parameter, default=-1.0, kw_only=True)

    def __check_init__(self):
        st.check_positive("QIF", tau_mem=self.tau_mem, tau_syn=self.tau_syn)
        st.check_finite("QIF", v_rest=self.v_rest, v_crit=self.v_crit)
        st.check_finite("QIF", v_threshold=self.v_threshold, v_reset=self.v_reset)
        st.check_below("QIF", "v_reset", self.v_reset, "v_threshold", self.v_threshold)
        st.check_below("QIF", "v_rest", self.v_rest, "v_threshold", self.v_threshold)

    def init(self, *, key: PRNGKeyArray | None = None) -> QIFState:
        return QIFState(jnp.zeros(self.shape) + self.v_rest, jnp.zeros(self.shape))

    def vector_field(self, t: Array, state: QIFState, current: Array) -> QIFState:
        dv = ((state.v - self.v_rest) * (state.v - self.v_crit) + state.i + current) / self.tau_mem
        di = -state.i / self.tau_syn
        return QIFState(dv, di)

    def guard(self, state: QIFState) -> Array:
        return state.v - self.v_threshold

    def reset(self, state: QIFState, *, key: PRNGKeyArray | None = None) -> QIFState:
        return QIFState(jnp.zeros_like(state.v) + self.v_reset, state.i)

    def receive(self, state: QIFState, kick: Array, port: str) -> QIFState:
        check_port("QIF", port, ("current",))
        return QIFState(state.v, state.i + kick)

    def observe(self, state: QIFState) -> Array:
        return state.v

    def time_to_spike(self, state: QIFState, drive: float | Array) -> Array:
        """How long the neuron takes to its next spike under a constant `drive` alone, in closed form.

        `tau_mem / w (arctan((v_threshold - m) / w) - arctan((v - m) / w))`, with `m` in the middle between `v_rest` and
        `v_crit` and `w^2 = drive - (v_crit - v_rest)^2 / 4`. For `saltation.Pseudospikes`: a time for a neuron that is
        silent in the trial, driven on after its end. A spike that crosses the end of the trial has the same time on
        either side, and the same derivative up to a share of `drive / v_threshold^2`, since `v` runs away by itself.

        **Raises:** `ValueError` for a drive that is known not to make it fire, `(v_crit - v_rest)^2 / 4` or less.
        """
        middle, width = beyond_rheobase("QIF", self.v_rest, self.v_crit, drive)
        ahead = jnp.arctan((self.v_threshold - middle) / width) - jnp.arctan((state.v - middle) / width)
        return self.tau_mem / width * ahead
