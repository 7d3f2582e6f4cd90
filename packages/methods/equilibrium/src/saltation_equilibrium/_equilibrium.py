"""The method Equilibrium."""

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.core import Tracer
from jaxtyping import Array, PRNGKeyArray, PyTree

import saltation as st

from ._anderson import Anderson
from ._equations import with_value
from ._implicit import Settings, Settled, settle, simulated_distance
from ._input import input_of, measured_between
from ._report import POLICIES
from ._simulate import Simulated, simulate
from ._solver import AbstractFixedPointSolver, AbstractSolver
from ._solvers import as_solver
from ._support import unsupported
from ._system import Input, Rates, System, detached, step_leak, system_of


class Equilibrium(st.AbstractMethod):
    """Rates of a spiking network that feeds back, with the gradient of the equilibrium that they settle to.

    Forward, the spikes are simulated in steps: `u <- leak (u - v_threshold s) + input`. Their (weighted) mean rates
    approach the fixed point of `a = clip((W a + drive) / v_threshold, 0, 1)`, whose derivative needs no history of
    the spikes: `(1 - (D W)^T) v = dL/da`, `dL/dW = D v a^T`, `D` the slope of the clip. Memory does not grow with the
    number of steps.

    Neurons are those with a `rate()`: `IF` and `LIF` with `tau_syn=None, reset_mode="subtract"`. Layers are updated in
    order; what feeds back arrives a step later. A rate is spikes per step, in [0, 1]. Reverse mode only.

    **Arguments:**

    - `step`: the duration of a step; `t1` is a multiple of it.
    - `gradient_at`: "rates", the simulated ones, as published; or "fixed_point": they are first polished to it, and the
      derivative is that of the true equilibrium.
    - `rates`: which ones a solution holds: "spiking", or "fixed_point" (with `gradient_at="fixed_point"`; then the
      gradient is exact for the loss's own value, and the number of steps has no influence).
    - `forward`: the solver that polishes, a name or a solver: "anderson", "picard".
    - `backward`: the adjoint's solver: "anderson", "neumann" (or "picard"), "gmres", "dense", "jacobian_free".
    - `unconverged`: what happens when a solver misses its tolerance: "warn", "error" or "ignore". A fixed point that
      was not found is in the result as well: `RESULTS.not_converged`.
    - `probe`: whether `stats` tell how the adjoint's solver does, tried on a cotangent of ones.

    `Solution.stats` holds by population `spike_count`, `dead` and `saturated` (shares of neurons that never spike, or
    in every step), `residual` (the largest `|a - f(a)|` where the gradient is taken), `distance` (from simulated to
    polished rates), and of the solvers `steps` and `solver_residual`, `adjoint_steps` and `adjoint_residual`.

    **Raises:** `ValueError` for settings out of range.

    Xiao, Meng, Zhang, Wang, Lin, "Training feedback spiking neural networks by implicit differentiation on the
    equilibrium state", NeurIPS 2021.

    ```python
    hidden = IF(400, tau_syn=None, reset_mode="subtract")
    feedback = st.Connection("hidden", "hidden", st.Dense(weight))
    solution = Equilibrium().solve(network, {"in": st.Current(x)}, t1=5.0, save=st.Save(spikes=False, rates=True))
    solution.rates["hidden"]
    ```
    """

    provides: ClassVar[frozenset[str]] = frozenset({"rates"})

    step: float = eqx.field(static=True)
    gradient_at: str = eqx.field(static=True)
    rates: str = eqx.field(static=True)
    forward: AbstractFixedPointSolver
    backward: AbstractSolver
    unconverged: str = eqx.field(static=True)
    probe: bool = eqx.field(static=True)

    def __init__(
        self,
        *,
        step: float | int = 1.0,
        gradient_at: str = "rates",
        rates: str = "spiking",
        forward: str | AbstractFixedPointSolver = Anderson(),
        backward: str | AbstractSolver = Anderson(),
        unconverged: str = "warn",
        probe: bool = False,
    ):
        self.step = float(step)
        self.gradient_at = gradient_at
        self.rates = rates
        solver = as_solver(forward)
        if not isinstance(solver, AbstractFixedPointSolver):
            raise ValueError(
                f"Equilibrium got forward={forward!r}, which solves linear equations only; expected 'anderson', "
                "'picard' or a solver of fixed points."
            )
        self.forward = solver
        self.backward = as_solver(backward)
        self.unconverged = unconverged
        self.probe = probe

    def __check_init__(self):
        if not 0 < self.step < math.inf:
            raise ValueError(f"Equilibrium got step={self.step}; expected a positive number, in the unit of t1.")
        for name, value, allowed in (
            ("gradient_at", self.gradient_at, ("rates", "fixed_point")),
            ("rates", self.rates, ("spiking", "fixed_point")),
            ("unconverged", self.unconverged, POLICIES),
        ):
            if value not in allowed:
                raise ValueError(f"Equilibrium got {name}={value!r}; expected one of {list(allowed)}.")
        if self.rates == "fixed_point" and self.gradient_at != "fixed_point":
            raise ValueError(
                "Equilibrium got rates='fixed_point' with gradient_at='rates'; expected the gradient where the rates "
                "are. Set gradient_at='fixed_point' as well."
            )

    def supports(self, network: st.Network) -> st.Support:
        reason = unsupported(network)
        return st.Support(not reason, reason)

    def solve(
        self,
        network: st.Network,
        stimulus: st.Stimulus,
        *,
        t1: float,
        initial: dict[str, PyTree] | None = None,
        key: PRNGKeyArray | None = None,
        save: st.Save = st.Save(),
        throw: bool = True,
    ) -> st.Solution:
        """The spikes of `t1 / step` steps, and the rates that they settle to.

        **Raises:** as every method, and `ValueError` for what it does not compute: states, and initial ones.
        """
        if initial is not None:
            raise ValueError("Equilibrium got initial states; its neurons start without charge. Leave `initial` out.")
        prepared, system, given, updates, steps = self._prepare(network, stimulus, t1, key, save)
        simulated = simulate(detached(system), detached(given), steps=steps, keep_trains=save.spikes)
        settled = settle(system, given, simulated.rates, self._settings())
        between = measured_between(prepared, {**settled.rates, **given.mean})
        spikes = None
        if simulated.trains is not None:
            trains = {name: _spikes(train, self.step, given) for name, train in simulated.trains.items()}
            spikes = st.not_differentiable(trains, _NO_SPIKES, depends_on=(network, stimulus))
        return st.finish(
            st.Solution(
                spikes=spikes,
                rates=self._values(settled, simulated.rates) if save.rates else None,
                states=None,
                final=None,
                updates={**updates, **between},
                stats=_stats(simulated, settled, steps),
                result=_result(network, stimulus, settled),
            ),
            throw=throw,
        )

    def at_rates(
        self,
        network: st.Network,
        stimulus: st.Stimulus,
        rates: Mapping[str, Array],
        *,
        t1: float,
        key: PRNGKeyArray | None = None,
        throw: bool = True,
    ) -> st.Solution:
        """The solution at `rates` that something else measured, such as a chip: these values, this method's gradient.

        **Arguments:** `rates` `[n]` in [0, 1] of every population, spikes per step.

        **Raises:** as `solve`, and `ValueError` for rates that don't fit the populations or lie outside [0, 1]; where
        that shows under `jit` only, it is in the result.
        """
        for name, neuron in network.neurons.items():
            if name not in rates or jnp.shape(rates[name]) != (neuron.size,):
                found = {name: jnp.shape(value) for name, value in rates.items()}
                raise ValueError(f"at_rates got rates of {found}; expected ({neuron.size},) for {name!r}.")
            value = rates[name]
            if not isinstance(value, Tracer) and not bool(jnp.all((value >= 0) & (value <= 1))):
                raise ValueError(
                    f"at_rates got rates of {name!r} outside [0, 1]; expected spikes per step, counts over steps."
                )
        save = st.Save(spikes=False, rates=True)
        prepared, system, given, updates, _ = self._prepare(network, stimulus, t1, key, save)
        observed = {name: jax.lax.stop_gradient(rates[name]) for name in network.neurons}
        settled = settle(system, given, observed, self._settings())
        result = _result(network, stimulus, settled)
        inside = jnp.all(jnp.stack([jnp.all((value >= 0) & (value <= 1)) for value in observed.values()]))
        return st.finish(
            st.Solution(
                spikes=None,
                rates=self._values(settled, observed),
                states=None,
                final=None,
                updates={**updates, **measured_between(prepared, {**settled.rates, **given.mean})},
                stats={"residual": settled.residual, **_solver_stats(settled)},
                result=st.RESULTS.where(inside, result, st.RESULTS.non_finite_input),
            ),
            throw=throw,
        )

    def _prepare(
        self, network: st.Network, stimulus: st.Stimulus, t1: float, key: PRNGKeyArray | None, save: st.Save
    ) -> tuple[st.Network, System, Input, dict[str, Any], int]:
        st.check_stimulus(network, stimulus)
        st.check_supported(self, network)
        if save.states_at is not None:
            raise ValueError(
                "Equilibrium got Save(states_at=...); it computes rates and spikes. Leave it out, or use ODE."
            )
        steps = _steps(t1, self.step)
        dtype = st.common_dtype(network, stimulus)
        network = st.resolved(network, key=key)
        leak = step_leak(network, self.step)
        given, updates = input_of(network, stimulus, step=self.step, steps=steps, leak=leak, dtype=dtype)
        return network, system_of(network, step=self.step, dtype=dtype), given, updates, steps

    def _settings(self) -> Settings:
        return Settings(self.forward, self.backward, self.gradient_at == "fixed_point", self.probe, self.unconverged)

    def _values(self, settled: Settled, observed: Rates) -> Rates:
        if self.rates == "fixed_point":
            return settled.rates
        return {name: with_value(rate, observed[name]) for name, rate in settled.rates.items()}


_NO_SPIKES = (
    "Equilibrium differentiates rates, and single spikes of its simulation have no derivative. Use rates in the loss "
    "(Save(rates=True)), or the method 'ode'."
)


def _steps(t1: float, step: float) -> int:
    steps = round(t1 / step) if 0 < t1 < math.inf else 0
    if steps < 1 or abs(steps * step - t1) > 1e-6 * t1:
        raise ValueError(
            f"Equilibrium got t1={t1} with step={step}; expected t1 = T step for a whole number T >= 1 of steps."
        )
    return steps


def _spikes(train: Array, step: float, given: Input) -> st.Spikes:
    """Spikes at the end of their steps, in order of time, the padding last."""
    steps, size = train.shape
    dtype = next(iter(given.drive.values())).dtype
    time = jnp.where(train, step * jnp.arange(1, steps + 1).astype(dtype)[:, None], jnp.inf).reshape(-1)
    index = jnp.where(train, jnp.arange(size, dtype=jnp.int32)[None], -1).reshape(-1)
    order = st.argsort_times(time)
    return st.Spikes(time[order], index[order], size)


def _stats(simulated: Simulated, settled: Settled, steps: int) -> dict[str, Any]:
    share = lambda which: jnp.mean(which.astype(jnp.float32))  # noqa: E731
    return {
        "spike_count": simulated.count,
        "dead": {name: share(count == 0) for name, count in simulated.count.items()},
        "saturated": {name: share(count == steps) for name, count in simulated.count.items()},
        "residual": settled.residual,
        "distance": simulated_distance(simulated, jax.lax.stop_gradient(settled.rates)),
        **_solver_stats(settled),
    }


def _solver_stats(settled: Settled) -> dict[str, Any]:
    return {
        "steps": {name: solved.steps for name, solved in settled.forward.items()},
        "solver_residual": {name: solved.residual for name, solved in settled.forward.items()},
        "adjoint_steps": {name: solved.steps for name, solved in settled.adjoint.items()},
        "adjoint_residual": {name: solved.residual for name, solved in settled.adjoint.items()},
    }


def _result(network: st.Network, stimulus: st.Stimulus, settled: Settled) -> st.RESULTS:
    """How it ended; comparisons with NaN are false, so each test is written as what must hold."""
    times = [value.time for value in stimulus.values() if isinstance(value, st.Spikes)]
    currents = [value for value in stimulus.values() if isinstance(value, st.Current)]
    good = [jnp.all(time >= 0) for time in times]
    leaves = [leaf for leaf in jax.tree.leaves((network, currents)) if eqx.is_inexact_array(leaf)]
    good += [jnp.max(jnp.abs(leaf), initial=0.0) < jnp.inf for leaf in leaves]
    result = st.RESULTS.where(settled.converged, st.RESULTS.successful, st.RESULTS.not_converged)
    return st.RESULTS.where(jnp.all(jnp.stack(good)), result, st.RESULTS.non_finite_input)
