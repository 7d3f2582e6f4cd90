"""Which networks have a pathwise gradient: what the noise may do to a guard and to a jump."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import PyTree

import saltation as st

from ._kinds import alike, prototype


def support(network: st.Network, *, closed_form: bool) -> st.Support:
    """Whether all neurons meet the conditions of a pathwise gradient, at states and parameters taken at random."""
    known: list[st.AbstractNeuron] = []
    for name, neuron in network.neurons.items():
        if any(alike(neuron, other) for other in known):
            continue
        known.append(neuron)
        reason = _reason(neuron, closed_form)
        if reason:
            return st.Support(False, f"the neurons {name!r} {reason}")
    return st.Support(True)


def noisy_leaves(neuron: st.AbstractNeuron) -> PyTree:
    """Which variables have noise: a state-like tree of bools."""
    example, state = _example(neuron)
    with jax.ensure_compile_time_eval():
        dynamics = example.noise()
        if dynamics is None:
            return jax.tree.map(lambda leaf: False, state)
        return jax.tree.map(lambda leaf: bool(np.any(np.asarray(leaf))), dynamics.diffusion(state))


def _reason(neuron: st.AbstractNeuron, closed_form: bool) -> str:
    with jax.ensure_compile_time_eval():
        example, state = _example(neuron)
        if np.isfinite(np.asarray(example.next_timer(example.reset(state)))).any():
            return (
                "schedule events of their own, such as the end of a refractory period, which this method does not "
                "follow. Use the refractory hazard `alpha` of StochasticLIF."
            )
        field = example.vector_field(jnp.zeros(()), state, jnp.zeros_like(example.guard(state)))
        slope = jax.jvp(example.guard, (state,), (field,))[1]
        ahead = jax.tree.map(lambda x, dx: x + dx, state, field)
        if not _same(example.guard(ahead), example.guard(state) + slope):
            return (
                "have a guard that is not linear in their state, so that it cannot be located inside a step. Make the "
                "guard a variable of the state."
            )
        dynamics = example.noise()
        if closed_form and (dynamics is None or dynamics.forced_flow is None):
            if dynamics is not None or example.closed_form() is None:
                return (
                    "have no closed form under a constant forcing, which the scheme 'piecewise_linear' needs. Use "
                    "scheme='euler', or give `NoiseDynamics.forced_flow`."
                )
        if dynamics is None:
            return ""
        spread = dynamics.diffusion(state)
        if not _same(jax.jvp(example.guard, (state,), (spread,))[1], 0.0):
            return (
                "have noise in the guard itself: a diffusing potential crosses a hard threshold infinitely often near "
                "each spike, and the crossing time has no pathwise derivative. Use escape noise, whose integrated "
                "hazard is smooth in time: StochasticLIF."
            )
        jumped = jax.jvp(example.reset, (state,), (spread,))[1]
        after = dynamics.diffusion(example.reset(state))
        if not all(map(_same, jax.tree.leaves(jumped), jax.tree.leaves(after))):
            return (
                "have noise that does not commute with their reset, such as multiplicative noise with a reset by "
                "subtraction, so that spike times have no pathwise derivative. Use additive noise, or a reset that "
                "scales as the noise does."
            )
    return ""


def _example(neuron: st.AbstractNeuron) -> tuple[Any, Any]:
    """One neuron with known parameters, and a state at random: what it does there, it does everywhere."""
    rng = np.random.default_rng(1)
    with jax.ensure_compile_time_eval():
        example = prototype(neuron)
        start = example.init()
        state = jax.tree.map(lambda leaf: leaf + jnp.asarray(rng.uniform(-0.6, -0.3), leaf.dtype), start)
    return example, state


def _same(a: Any, b: Any) -> bool:
    return bool(np.allclose(np.asarray(a), np.asarray(b), rtol=1e-4, atol=1e-5))
