"""The method DelGrad."""

import math
from collections.abc import Mapping
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.core import Tracer
from jaxtyping import Array, PRNGKeyArray, PyTree

import saltation as st

from ._arrivals import Source, layer_of
from ._host import passes_of
from ._layer import first_spikes
from ._membrane import AbstractMembrane, membrane_of
from ._native import problem as native_problem


class DelGrad(st.AbstractReplayMethod, st.AbstractHostMethod):
    """First spike times of integrate-and-fire neurons in closed form, with exact gradients for weights and delays.

    The spike time `T` solves `v(T) = sum_i w_i kappa(T - t_i) = theta` over the arrivals `t_i < T`, each late by its
    axonal, dendritic and synaptic delay. `dT/dw_i = -kappa(T - t_i) / v'(T)`, `dT/dt_i = w_i kappa'(T - t_i) / v'(T)`;
    thresholds, time constants, currents and input times have gradients of the same kind. The search takes no root but
    one a neuron: a quadratic for `tau_mem = 2 tau_syn`, Lambert's function for `tau_mem = tau_syn`, a logarithm without
    a leak, a bracketed Newton iteration for any other ratio.

    Neurons are `AtMostOnce(LIF(...))` or `AtMostOnce(IF(...))`, in networks without cycles. Reverse mode only:
    `jax.grad`, `jax.vjp` and `jax.jacrev` work, `jax.jvp` and `jax.jacfwd` raise.

    **Arguments:**

    - `gradient_limit`: zeroes the gradient by all weights of a neuron, in a sample where the largest of them exceeds
      it, before the batch is averaged; in the unit of one sample's loss over that of a weight (0.2 in the published
      code). `None` for exact gradients: a limit is a bias.
    - `kernel`: "auto" takes the native kernel on a CPU where it was built, else plain JAX; "native" insists on it,
      "jax" does without. Both compute the same. Layers whose time constants are arrays are always for plain JAX.

    **Raises:** `ValueError` for a limit that is not positive, an unknown kernel, or a native one that there is not.

    Göltz et al., "DelGrad: exact event-based gradients for training delays and weights on spiking neuromorphic
    hardware", Nature Communications 2025.

    ```python
    net = st.feedforward([5, 30, 3], AtMostOnce(LIF(tau_mem=20.0, tau_syn=10.0)), delay="axonal", key=jax.random.key(0))
    solution = DelGrad().solve(net, {"in": st.Spikes.from_dense(times)}, t1=60.0)
    solution.spikes["out"].first()
    ```
    """

    provides: ClassVar[frozenset[str]] = frozenset({"spikes"})

    gradient_limit: float | int | None = eqx.field(static=True, default=None)
    kernel: str = eqx.field(static=True, default="auto")

    def __check_init__(self):
        if self.kernel not in ("auto", "native", "jax"):
            raise ValueError(f"DelGrad got kernel={self.kernel!r}; expected 'auto', 'native' or 'jax'.")
        if self.kernel == "native" and (problem := native_problem()):
            raise ValueError(f"DelGrad got kernel='native', but there is no native kernel: {problem}; or use 'auto'.")
        limit = self.gradient_limit
        if limit is not None and not (isinstance(limit, int | float) and 0 < limit < math.inf):
            raise ValueError(f"DelGrad got gradient_limit={limit}; expected a positive number, or None for no limit.")

    def supports(self, network: st.Network) -> st.Support:
        for stage in network.stages():
            if stage.cyclic:
                return st.Support(
                    False,
                    f"the populations {list(stage.populations)} are recurrent, and a neuron that waits for its own "
                    "spike has no closed form. Use the method 'ode', or connections that only go forward.",
                )
        for name, neuron in network.neurons.items():
            reason = _unsupported(neuron)
            if reason:
                return st.Support(False, f"the neurons {name!r} {reason}")
        for connection in network.connections:
            if connection.port != "current":
                return st.Support(
                    False,
                    f"the connection {connection.source!r} -> {connection.target!r} ends at the port "
                    f"{connection.port!r}. Use the port 'current', or the method 'ode'.",
                )
        return st.Support(True)

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
        """The first spikes of every neuron up to `t1`.

        **Raises:** as every method, and `ValueError` for what DelGrad does not compute: states, and initial ones.
        """
        if initial is not None:
            raise ValueError("DelGrad got initial states; its neurons start at rest. Leave `initial` out, or use ODE.")
        if save.states_at is not None:
            raise ValueError("DelGrad got Save(states_at=...); it computes spikes only. Leave it out, or use ODE.")
        return self._solve(network, stimulus, t1, save, throw, None)

    def replay(
        self,
        network: st.Network,
        stimulus: st.Stimulus,
        observed: Mapping[str, st.Spikes],
        *,
        t1: float,
        throw: bool = True,
    ) -> st.Solution:
        """The solution with the `observed` spikes, and the derivative of `v(T) = theta` at each of them.

        A spike where the model's potential does not rise, such as one before all its causes, has no derivative: zero,
        and counted in `stats["flat"]`. A neuron that was observed to spike twice is an error in the result.

        **Raises:** `ValueError` for spikes that do not fit the populations.
        """
        for name, neuron in network.neurons.items():
            if name not in observed:
                raise ValueError(f"replay got spikes of {list(observed)}; expected those of {list(network.neurons)}.")
            if observed[name].size != neuron.size or observed[name].time.ndim != 1:
                raise ValueError(
                    f"replay got spikes of {observed[name].size} units in an array of shape "
                    f"{observed[name].time.shape} for {name!r}; expected {neuron.size} units in [K], one sample. "
                    "Replay a batch with jax.vmap."
                )
        return self._solve(network, stimulus, t1, st.Save(), throw, dict(observed))

    def host_passes(self, network: st.Network, *, population: str, t1: float) -> st.AbstractHostPasses | None:
        """Those of the native kernel, for networks with one input and one dense connection to each population, without
        delays or with arrays of them, and constants that are Python numbers.
        """
        if self.kernel == "jax" or not self.supports(network):
            return None
        return passes_of(network, population=population, t1=t1, limit=self.gradient_limit)

    def _solve(self, network, stimulus, t1, save, throw, observed) -> st.Solution:
        st.check_stimulus(network, stimulus)
        st.check_supported(self, network)
        dtype = st.common_dtype(network, stimulus)
        sources: dict[str, Source] = dict(stimulus)
        stats: dict[str, dict[str, Array]] = {"spike_count": {}, "min_slope": {}, "flat": {}}
        armed, first = [], {}
        for stage in network.stages():
            (name,) = stage.populations
            membrane = _membrane(network, name, dtype)
            armed.append(jnp.all(jnp.asarray(membrane.theta) > 0))
            layer = layer_of(network, name, membrane, sources, dtype, replayed=observed is not None)
            given = None if observed is None else observed[name].first().astype(dtype)
            times, slope = first_spikes(
                layer, t1=float(t1), observed=given, gradient_limit=self.gradient_limit, kernel=self.kernel
            )
            sources[name] = first[name] = times
            fires = jax.lax.stop_gradient(jnp.isfinite(times))
            stats["spike_count"][name] = fires.astype(jnp.int32)
            stats["min_slope"][name] = jnp.min(slope)
            stats["flat"][name] = jnp.sum(fires & ~(slope > 0), dtype=jnp.int32)
        rates = {name: count.astype(dtype) / t1 for name, count in stats["spike_count"].items()}
        message = "DelGrad counts spikes to get rates, and a count has no derivative. Use spike times in the loss."
        return st.finish(
            st.Solution(
                spikes={name: st.Spikes.from_dense(first[name]) for name in network.neurons} if save.spikes else None,
                rates=st.not_differentiable(rates, message, depends_on=(network, stimulus)) if save.rates else None,
                states=None,
                final=None,
                updates={},
                stats=stats,
                result=_result(network, stimulus, observed, armed, dtype),
                first=first if save.spikes else None,
            ),
            throw=throw,
        )


def _unsupported(neuron: st.AbstractNeuron) -> str:
    """Why these neurons have no closed form for their first spike, and what to do; nothing if they have one."""
    if neuron.noise() is not None:
        return "are driven by noise, which has no closed form. Use the method 'roughsde', or a neuron without noise."
    constants = neuron.lif()
    if constants is None:
        return (
            f"({type(neuron).__name__}) are not integrate-and-fire neurons with a synaptic current and a reset to a "
            "value. Use AtMostOnce(LIF(...)) or AtMostOnce(IF(...)), or the method 'ode', which takes any neuron."
        )
    if not constants.at_most_once:
        return (
            "may spike more than once, and DelGrad computes first spikes. Wrap them, AtMostOnce(LIF(...)), if one "
            "spike a trial is what you mean, or use the method 'ode'."
        )
    if not isinstance(constants.g_leak, int | float):
        return "have a leak that is an array. Give `g_leak` as a Python number."
    return ""


def _membrane(network: st.Network, name: str, dtype) -> AbstractMembrane:
    neuron = network.neurons[name]
    constants = neuron.lif()
    assert constants is not None
    for field in ("tau_mem", "tau_syn", "v_leak", "v_threshold"):
        value = getattr(constants, field)
        if not isinstance(value, int | float) and jnp.shape(value) not in ((), neuron.shape):
            raise ValueError(
                f"The neurons {name!r} have {field} of shape {jnp.shape(value)}; expected () or {neuron.shape}, the "
                "shape of the population."
            )
    membrane = membrane_of(constants, neuron.size, dtype)
    start = jnp.asarray(membrane.theta)
    if not isinstance(start, Tracer) and not bool(jnp.all(start > 0)):
        raise ValueError(
            f"The neurons {name!r} are at or above their threshold at the start; expected v_leak < v_threshold. Check "
            "v_leak (without a leak, v_reset) and v_threshold."
        )
    return membrane


def _result(network, stimulus, observed, armed: list[Array], dtype) -> st.RESULTS:
    """How it ended: what is wrong with the values, the most serious thing last."""
    times = [source.time for source in stimulus.values() if isinstance(source, st.Spikes)]
    currents = [source for source in stimulus.values() if isinstance(source, st.Current)]
    delays = []
    for connection in network.connections:
        if connection.delay is not None:
            sizes = network.size(connection.source), network.size(connection.target)
            delay = connection.delay
            parts = (delay.per_source(*sizes), delay.per_target(*sizes), delay.per_synapse(*sizes))
            delays += [part for part in parts if part is not None]
    # Comparisons with NaN are false, so each test is written as what must hold.
    good = [jnp.all(value >= 0) for value in (*times, *delays)]
    good += [jnp.max(jnp.abs(leaf), initial=0.0) < jnp.inf for leaf in _floats((network, currents))]
    result = st.RESULTS.where(jnp.all(jnp.stack(armed)), st.RESULTS.successful, st.RESULTS.guard_at_start)
    if observed is not None:
        good += [jnp.all(train.time >= 0) for train in observed.values()]
        crowded = jnp.any(jnp.stack([jnp.any(train.count() > 1) for train in observed.values()]))
        result = st.RESULTS.where(crowded, st.RESULTS.max_spikes_reached, result)
    return st.RESULTS.where(jnp.all(jnp.stack(good)), result, st.RESULTS.non_finite_input)


def _floats(tree: Any) -> list[Array]:
    return [leaf for leaf in jax.tree.leaves(tree) if eqx.is_inexact_array(leaf)]
