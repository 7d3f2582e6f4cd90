"""The stochastic leaky integrate-and-fire neuron: escape noise, and diffusion of the membrane."""

import dataclasses
import math
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PRNGKeyArray

import saltation as st

from ._parameters import Parameter, as_parameter
from ._ports import check_port

# Gauss-Legendre: exact to rounding for a hazard that changes by some e-folds within a cell.
_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(12)
_LARGEST_LOG = 80.0


class StochasticLIFState(NamedTuple):
    """`v`: membrane potential; `i`: synaptic current; `s`: integrated hazard, minus what it takes to spike."""

    v: Array
    i: Array
    s: Array


class StochasticLIF(st.AbstractNeuron):
    """A leaky integrate-and-fire neuron that spikes at random, the sooner the higher its potential.

    `tau_mem dv = (-(v - v_leak) + i + current) dt + tau_mem sigma dX`, `tau_syn di = -i dt + tau_syn sigma_syn dX'`,
    `ds = exp(beta min(v - v_threshold, cap)) / tau_escape dt`. It spikes where `s` reaches 0; then `v` falls by
    `v_drop` and `s = log u - alpha` with `u` uniform in (0, 1): an intensity of escape, with an absolute refractory
    period that lasts until the hazard has added up to `alpha`. A spike that arrives at the port "current" adds its
    weight to `i`.

    **Arguments:**

    - `shape`: how many neurons, or a tuple; left out for a prototype.
    - `tau_mem`, `tau_syn`: membrane and synaptic time constants; `tau_syn=math.inf` for a current that stays.
    - `v_threshold`, `beta`, `tau_escape`, `cap`: of the hazard: where it is `1 / tau_escape`, how steep it is there,
      and how far above it stops rising.
    - `v_drop`: how far `v` falls at a spike. `v_leak`: where it rests.
    - `alpha`: the refractory hazard.
    - `sigma`, `sigma_syn`: diffusion of `v` and of `i`, per square root of time; 0 for none.
    - `log_u`: `None` to draw thresholds (without a key they are their mean, 1), or one that stays the same.

    **Raises:** `ValueError` for time constants that are not positive, a negative `sigma`, `alpha` or `beta`, or a
    hazard that overflows.

    With `sigma = sigma_syn = 0` and a given `log_u` nothing is random, and every method that solves differential
    equations can solve it. Holberg and Salvi, "Exact gradients for stochastic spiking neural networks driven by rough
    signals", NeurIPS 2024; `v_drop` is its `v_reset`. The defaults are those of its first experiment.

    ```python
    hidden = StochasticLIF(30, sigma=0.25)
    ```
    """

    shape: tuple[int, ...] = eqx.field(converter=st.population_shape, static=True, default=())
    tau_mem: Parameter = eqx.field(converter=as_parameter, default=1 / 15, kw_only=True)
    tau_syn: Parameter = eqx.field(converter=as_parameter, default=0.2, kw_only=True)
    v_threshold: Parameter = eqx.field(converter=as_parameter, default=1.0, kw_only=True)
    v_drop: Parameter = eqx.field(converter=as_parameter, default=1.4, kw_only=True)
    v_leak: Parameter = eqx.field(converter=as_parameter, default=0.0, kw_only=True)
    beta: Parameter = eqx.field(converter=as_parameter, default=5.0, kw_only=True)
    tau_escape: Parameter = eqx.field(converter=as_parameter, default=1.0, kw_only=True)
    alpha: Parameter = eqx.field(converter=as_parameter, default=0.03, kw_only=True)
    sigma: Parameter = eqx.field(converter=as_parameter, default=0.0, kw_only=True)
    sigma_syn: Parameter = eqx.field(converter=as_parameter, default=0.0, kw_only=True)
    cap: Parameter = eqx.field(converter=as_parameter, default=10.0, kw_only=True)
    log_u: Parameter | None = eqx.field(converter=as_parameter, default=None, kw_only=True)

    def __check_init__(self):
        st.check_positive("StochasticLIF", tau_mem=self.tau_mem, tau_escape=self.tau_escape, cap=self.cap)
        if not _is(self.tau_syn, math.inf):
            st.check_positive("StochasticLIF", tau_syn=self.tau_syn)
        finite = ("v_threshold", "v_drop", "v_leak", "beta", "alpha", "sigma", "sigma_syn", "log_u")
        st.check_finite("StochasticLIF", **{name: getattr(self, name) for name in finite})
        for name in ("beta", "alpha", "sigma", "sigma_syn"):
            value = getattr(self, name)
            if isinstance(value, int | float) and value < 0:
                raise ValueError(f"StochasticLIF got {name} = {value}; expected a number >= 0.")
        if isinstance(self.log_u, int | float) and not self.log_u < 0:
            raise ValueError(f"StochasticLIF got log_u = {self.log_u}; expected the logarithm of a number below 1.")
        known = [value for value in (self.beta, self.cap) if isinstance(value, int | float)]
        if len(known) == 2 and known[0] * known[1] > _LARGEST_LOG:
            raise ValueError(
                f"StochasticLIF got beta = {self.beta} and cap = {self.cap}, a hazard of up to "
                f"exp({known[0] * known[1]}), which overflows; expected beta * cap <= {_LARGEST_LOG}. Lower `cap`."
            )

    def with_shape(self, shape: int | tuple[int, ...]) -> "StochasticLIF":
        return dataclasses.replace(self, shape=shape)

    def init(self, *, key: PRNGKeyArray | None = None) -> StochasticLIFState:
        zeros = jnp.zeros(self.shape)
        return self._arm(StochasticLIFState(zeros + self.v_leak, zeros, zeros), self._threshold(zeros, key))

    def vector_field(self, t: Array, state: StochasticLIFState, current: Array) -> StochasticLIFState:
        dv = (self.v_leak - state.v + state.i + current) / self.tau_mem
        return StochasticLIFState(dv, -state.i / self.tau_syn, self._hazard(state.v))

    def guard(self, state: StochasticLIFState) -> Array:
        return state.s

    def reset(self, state: StochasticLIFState, *, key: PRNGKeyArray | None = None) -> StochasticLIFState:
        dropped = StochasticLIFState(state.v - self.v_drop, state.i, state.s)
        return self._arm(dropped, self._threshold(state.s, key))

    def receive(self, state: StochasticLIFState, kick: Array, port: str) -> StochasticLIFState:
        check_port("StochasticLIF", port, ("current",))
        return StochasticLIFState(state.v, state.i + kick, state.s)

    def next_timer(self, state: StochasticLIFState) -> Array:
        return jnp.full_like(state.v, jnp.inf)

    def on_timer(self, state: StochasticLIFState) -> StochasticLIFState:
        return state

    def observe(self, state: StochasticLIFState) -> Array:
        return state.v

    def lif(self) -> None:
        return None

    def closed_form(self) -> None:
        return None

    def rate(self) -> None:
        return None

    def noise(self) -> st.NoiseDynamics | None:
        if _is(self.sigma, 0) and _is(self.sigma_syn, 0) and self.log_u is not None:
            return None

        def diffusion(state: StochasticLIFState) -> StochasticLIFState:
            zero = jnp.zeros_like(state.v)
            return StochasticLIFState(zero + self.sigma, zero + self.sigma_syn, zero)

        return st.NoiseDynamics(diffusion, self._arm if self.log_u is None else None, self._forced_flow)

    def _hazard(self, v: Array) -> Array:
        above = v - self.v_threshold
        # Not jnp.minimum, whose derivative takes a division to be even-handed at the cap.
        return jnp.exp(self.beta * jnp.where(above > self.cap, self.cap, above)) / self.tau_escape

    def _threshold(self, like: Array, key: PRNGKeyArray | None) -> Array:
        if self.log_u is not None:
            return jnp.zeros_like(like) + self.log_u
        return -jnp.ones_like(like) if key is None else -jax.random.exponential(key, like.shape, like.dtype)

    def _arm(self, state: StochasticLIFState, log_u: Array) -> StochasticLIFState:
        return StochasticLIFState(state.v, state.i, log_u - self.alpha)

    def _forced_flow(
        self, state: StochasticLIFState, duration: Array, current: Array, forcing: StochasticLIFState
    ) -> StochasticLIFState:
        def potential(u: Array) -> tuple[Array, Array]:
            # With i = i1 + (i - i1) exp(-u / tau_syn), the equation of v is linear: lif_flow, from v relative to where
            # it would rest under the constant part of all inputs.
            if _is(self.tau_syn, math.inf):
                # The current is a ramp.
                e = -jnp.expm1(-u / self.tau_mem)
                rest = self.v_leak + state.i + current + self.tau_mem * forcing.v
                v = state.v + (rest - state.v) * e + forcing.i * (u - self.tau_mem * e)
                return v, state.i + forcing.i * u
            constant = forcing.i * self.tau_syn
            drive = current + constant + self.tau_mem * forcing.v
            v, i = st.lif_flow(state.v - self.v_leak, state.i - constant, u, drive, self.tau_mem, self.tau_syn)
            return v + self.v_leak, i + constant

        total = jnp.zeros_like(state.s)
        for node, weight in zip(_NODES.tolist(), _WEIGHTS.tolist(), strict=True):
            total += 0.5 * weight * self._hazard(potential(0.5 * (node + 1) * duration)[0])
        return StochasticLIFState(*potential(duration), state.s + duration * (total + forcing.s))


def _is(value, number: float | int) -> bool:
    """Whether a parameter is fixed at a number."""
    return isinstance(value, int | float) and value == number
