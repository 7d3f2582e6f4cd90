"""Traits: what a neuron can offer a method beyond its vector field, as records.

A method asks a neuron for a record and gets it or `None`; it never looks at the neuron's class. So a wrapper decides by
itself which of the inner neuron's traits still hold, and a third party's neuron can offer the same ones.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from jaxtyping import Array, Float

Number = float | int | Float[Array, "..."]


class LIFDynamics(NamedTuple):
    """A current-based integrate-and-fire neuron, given by its constants.

    `tau_mem dv/dt = -g_leak (v - v_leak) + i + current`, `tau_syn di/dt = -i`; where `v` rises through `v_threshold`
    it is set to `v_reset`, and it starts at `v_leak`. Its state has the fields (or properties) `v` and `i`,
    `write(state, v, i)` is the same state with others, and a kick on the port "current" adds to `i`. With
    `at_most_once`, a neuron spikes once a trial. `g_leak` is 1 for a leaky neuron and 0 for one without a leak, whose
    `tau_mem` is its capacitance.
    """

    tau_mem: Number
    tau_syn: Number
    v_leak: Number
    v_threshold: Number
    v_reset: Number
    write: Callable[[Any, Array, Array], Any]
    at_most_once: bool = False
    g_leak: Number = 1.0


class ClosedForm(NamedTuple):
    """An exact solution between events.

    - `flow(state, duration, current) -> state`: elementwise, exact for every duration >= 0; differentiable.
    - `crossing(state, duration, current) -> time`: the first time in `(0, duration]` at which the guard rises through
      zero, `inf` where it does not; its derivative is not used.
    """

    flow: Callable[[Any, Array, Array], Any]
    crossing: Callable[[Any, Array, Array], Array]


class RateDynamics(NamedTuple):
    """The discrete-time dynamics whose firing rate an equilibrium method works with.

    `u <- leak (u - v_threshold s) + input`, `s = 1[u >= v_threshold]`: `u` is a charge, from 0, to which a spike adds
    its weight, and `leak`, in (0, 1], what a unit of time leaves of it (1: no leak).
    """

    v_threshold: Number
    leak: Number


class NoiseDynamics(NamedTuple):
    """Noise of a stochastic neuron, `dy = f(y) dt + diffusion(y) dX`, and random thresholds.

    - `diffusion(state) -> state-like`: standard deviations per square root of time, elementwise; zeros where there is
      no noise. A pathwise derivative exists only where the noise does not act on the guard.
    - `arm(state, log_u) -> state`: the state whose guard reaches 0 when the hazard from now on has added up to a
      threshold that the standard uniform number `u` stands for; drawn anew at the start and after each reset. `None`
      if thresholds are not random.
    - `forced_flow(state, duration, current, forcing) -> state`: the exact flow if `forcing`, a state-like constant, is
      added to the vector field; `None` if there is no closed form.
    """

    diffusion: Callable[[Any], Any]
    arm: Callable[[Any, Array], Any] | None = None
    forced_flow: Callable[[Any, Array, Array, Any], Any] | None = None
