"""The theta neuron: the quadratic integrate-and-fire neuron whose potential runs to infinity."""

import math
from typing import NamedTuple

import equinox as eqx
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, ArrayLike, PRNGKeyArray

import saltation as st

from ._bounds import at_least
from ._parameters import Parameter, as_parameter
from ._ports import check_port
from ._rheobase import beyond_rheobase

_LEAST = 1e-4  # of a square whose root is differentiated
_HIGHEST = 1e3  # potential that is shown


class ThetaState(NamedTuple):
    """`x`, `y`: a vector in the direction of half the phase; its length means nothing; `i`: synaptic current."""

    x: Array
    y: Array
    i: Array

    @classmethod
    def of(cls, v: ArrayLike, i: ArrayLike) -> "ThetaState":
        """The state at a membrane potential `v` and a synaptic current `i`, arrays of one shape."""
        v, i = jnp.broadcast_arrays(jnp.asarray(v, float), jnp.asarray(i, float))
        length = jnp.sqrt(1 + v**2)
        return cls(1 / length, v / length, i)

    @property
    def v(self) -> Array:
        """The membrane potential, `y / x`, cut off at 1000 on its way to a spike and from it."""
        return self.y / at_least(self.x, jnp.abs(self.y) / _HIGHEST)

    @property
    def theta(self) -> Array:
        """The phase, `2 arctan(v)`: from `-pi`, just after a spike, to `pi`."""
        return 2 * jnp.arctan2(self.y, self.x)

    @property
    def membrane(self) -> tuple[str, ...]:
        """The fields that make up the membrane potential."""
        return "x", "y"


class Theta(st.AbstractODENeuron):
    """The theta neuron: the quadratic integrate-and-fire neuron with its threshold and reset at infinity.

    `tau_mem dv/dt = (v - v_rest) (v - v_crit) + i + current`, `tau_syn di/dt = -i`; `v` runs to infinity in finite
    time, which is a spike, and comes back from minus infinity. In terms of the phase `theta = 2 arctan(v)` it goes
    around a circle. A spike that arrives at the port "current" adds its weight to `i`.

    **Arguments:**

    - `shape`: how many neurons, or a tuple; left out for a prototype.
    - `tau_mem`, `tau_syn`: membrane and synaptic time constants, in the network's unit of time (20 and 5 ms).
    - `v_rest`, `v_crit`: the stable and the unstable fixed point without a current; beyond `v_crit` the
      neuron fires by itself. Potentials are dimensionless, in units of `v_crit - v_rest` (0 and 1).

    Each is a Python number (fixed), or an array `[]` or of the population's shape (trainable). `v` starts at
    `v_rest`.

    **Raises:** `ValueError` for time constants that are not positive.

    It is solved for `v = y / x`, which makes the equation linear: `tau_mem dx/dt = v_rest x - y` and
    `tau_mem dy/dt = (v_rest v_crit + i + current) x - v_crit y`. A spike is a zero of `x`, an ordinary point, so steps
    need not shorten there; and since what an input does to the time of a spike does not depend on where the spike is
    cut off, spikes enter and leave a trial smoothly (`time_to_spike`). Set a state by `ThetaState.of(v, i)`.

    Ermentrout and Kopell, SIAM Journal on Applied Mathematics 46 (1986); Klos and Memmesheimer, Physical Review
    Letters 134 (2025), for gradients.

    ```python
    hidden = Theta(30, tau_mem=20.0, tau_syn=5.0)
    ```
    """

    shape: tuple[int, ...] = eqx.field(converter=st.population_shape, static=True, default=())
    tau_mem: Parameter = eqx.field(converter=as_parameter, default=20.0, kw_only=True)
    tau_syn: Parameter = eqx.field(converter=as_parameter, default=5.0, kw_only=True)
    v_rest: Parameter = eqx.field(converter=as_parameter, default=0.0, kw_only=True)
    v_crit: Parameter = eqx.field(converter=as_parameter, default=1.0, kw_only=True)

    def __check_init__(self):
        st.check_positive("Theta", tau_mem=self.tau_mem, tau_syn=self.tau_syn)
        st.check_finite("Theta", v_rest=self.v_rest, v_crit=self.v_crit)

    def init(self, *, key: PRNGKeyArray | None = None) -> ThetaState:
        return ThetaState.of(jnp.zeros(self.shape) + self.v_rest, 0.0)

    def vector_field(self, t: Array, state: ThetaState, current: Array) -> ThetaState:
        x, y, i = state
        # Any multiple of (x, y) will do. This one neither grows nor decays where the current acts alone.
        half = 0.5 * (self.v_crit - self.v_rest)
        growth = half - jnp.sqrt(at_least(half**2 - current, _LEAST))
        dx = (self.v_rest + growth) * x - y
        dy = (self.v_rest * self.v_crit + i + current) * x + (growth - self.v_crit) * y
        return ThetaState(dx / self.tau_mem, dy / self.tau_mem, -i / self.tau_syn)

    def guard(self, state: ThetaState) -> Array:
        return -state.x

    def reset(self, state: ThetaState, *, key: PRNGKeyArray | None = None) -> ThetaState:
        # Not 0: a neuron starts below its threshold. What is left is a rounding of the time at which x = 0.
        return ThetaState(jnp.full_like(state.x, jnp.finfo(state.x.dtype).eps), -jnp.ones_like(state.y), state.i)

    def receive(self, state: ThetaState, kick: Array, port: str) -> ThetaState:
        check_port("Theta", port, ("current",))
        # The longer of the two back to about 1, by a power of two: that is exact, and has no derivative.
        size = jnp.maximum(jnp.abs(state.x), jnp.abs(state.y))
        size = lax.stop_gradient(lax.reduce_precision(size, jnp.finfo(size.dtype).nexp, 0))
        return ThetaState(state.x / size, state.y / size, state.i + kick)

    def observe(self, state: ThetaState) -> Array:
        return state.v

    def time_to_spike(self, state: ThetaState, drive: float | Array) -> Array:
        """How long the neuron takes to its next spike under a constant `drive` alone, in closed form.

        `tau_mem / w (pi / 2 - arctan((v - m) / w))`, with `m` in the middle between `v_rest` and `v_crit` and
        `w^2 = drive - (v_crit - v_rest)^2 / 4`. For `saltation.Pseudospikes`: a time for a neuron that is silent in
        the trial, driven on after its end. A spike that crosses the end of the trial has the same time and the same
        derivative on either side, whatever the drive.

        **Raises:** `ValueError` for a drive that is known not to make it fire, `(v_crit - v_rest)^2 / 4` or less.
        """
        middle, width = beyond_rheobase("Theta", self.v_rest, self.v_crit, drive)
        phase = jnp.arctan2(state.y - middle * state.x, width * state.x)
        return self.tau_mem / width * (0.5 * math.pi - phase)
