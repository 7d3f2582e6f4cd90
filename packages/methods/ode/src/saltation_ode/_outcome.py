"""What is wrong with a problem before it is solved, and how a solve ended."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.core import Tracer
from jaxtyping import Array

import saltation as st

from ._found import Flags


def check_start(neurons: dict[str, st.AbstractNeuron], state: dict[str, Any]) -> None:
    """Where values are known, a guard that is not below zero is a mistake in the parameters."""
    for name, neuron in neurons.items():
        for what, at in (("at the start", state[name]), ("right after a reset", neuron.reset(state[name]))):
            guard = neuron.guard(at)
            if not isinstance(guard, Tracer) and bool(jnp.any(guard >= 0)):
                raise ValueError(
                    f"The neurons {name!r} are at or above their threshold {what}; expected them below. Check v_reset, "
                    "v_threshold and the initial state."
                )


def result_of(flags: list[Flags], stimulus, network, samples: Array, t1: float, final) -> st.RESULTS:
    """How a solve ended, the gravest of what went wrong."""
    total = Flags(*(jnp.any(jnp.stack([jnp.asarray(flag) for flag in each])) for each in zip(*flags, strict=True)))
    times = [source.time for source in stimulus.values() if isinstance(source, st.Spikes)]
    currents = [source for source in stimulus.values() if isinstance(source, st.Current)]
    # Comparisons with NaN are false, so each test is written as what must hold.
    good_times = [jnp.all(time >= 0) for time in times]
    good_input = jnp.all(jnp.stack([*good_times, *(_finite(leaf) for leaf in _floats((network, currents)))]))
    bad_samples = ~jnp.all((samples >= 0) & (samples <= t1)) | jnp.any(samples[1:] < samples[:-1])
    finite = jnp.all(jnp.stack([_finite(leaf) for leaf in _floats(final)]))
    result = st.RESULTS.successful
    for failed, outcome in (
        (total.guard_at_start, st.RESULTS.guard_at_start),
        (total.max_steps_reached, st.RESULTS.max_steps_reached),
        (total.max_spikes_reached, st.RESULTS.max_spikes_reached),
        (total.diverged | ~finite, st.RESULTS.diverged),
        (bad_samples, st.RESULTS.bad_save_times),
        (~good_input | total.short_delay, st.RESULTS.non_finite_input),
    ):
        result = st.RESULTS.where(failed, outcome, result)
    return result


def _floats(tree: Any) -> list[Array]:
    return [leaf for leaf in jax.tree.leaves(tree) if eqx.is_inexact_array(leaf)]


def _finite(x: Array) -> Array:
    """Whether all of `x` is finite, from its largest magnitude: one reduction."""
    return jnp.max(jnp.abs(x), initial=0.0) < jnp.inf
