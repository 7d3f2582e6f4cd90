"""What a march leaves, as a solution: trains, states, counts and how it ended."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, PyTree

import saltation as st

from ._march import Finish, Problem, Track


def solution_of(
    network: st.Network,
    stimulus: st.Stimulus,
    problem: Problem,
    track: Track,
    finish: Finish,
    save: st.Save,
    *,
    room: int,
) -> st.Solution:
    """The solution; `room`: for each neuron's spikes."""
    spikes, counts, slopes, offset = {}, {}, {}, 0
    for name, neuron in network.neurons.items():
        mine = (track.neuron >= offset) & (track.neuron < offset + neuron.size)
        spikes[name] = _train(
            jnp.where(mine, track.time, jnp.inf), track.neuron - offset, neuron.size, neuron.size * room
        )
        counts[name] = finish.count[name]
        slopes[name] = jnp.min(jnp.where(mine, track.slope, jnp.inf))
        offset += neuron.size
    shaped = lambda tree, name, lead=(): jax.tree.map(  # noqa: E731
        lambda leaf: leaf.reshape(*lead, *network.neurons[name].shape), tree
    )
    states = None
    if save.states_at is not None:
        number = problem.samples.shape[0]
        assert track.sample is not None
        steps = track.sample.shape[0]
        target = jnp.where(track.sample >= 0, track.sample, number)
        found = jnp.full(number, steps, jnp.int32).at[target].set(jnp.arange(steps, dtype=jnp.int32), mode="drop")
        states = {
            name: shaped(_sampled(track.states[name], found, finish.state[name]), name, (number,))
            for name in network.neurons
        }
    stats = {"spike_count": counts, "min_slope": slopes}
    rates = {name: count.astype(problem.noise.dtype) / problem.t1 for name, count in counts.items()}
    return st.Solution(
        spikes=spikes if save.spikes else None,
        rates=_count_rates(rates, (network, stimulus)) if save.rates else None,
        states=states,
        final={name: shaped(finish.state[name], name) for name in network.neurons},
        updates={},
        stats=jax.lax.stop_gradient(stats),
        result=_result(room, network, stimulus, problem, finish),
    )


def _train(time: Array, index: Array, size: int, room: int) -> st.Spikes:
    """The spikes of one population, which the march found in order of time."""
    order = st.argsort_times(time)[:room]
    time = time[order]
    index = jnp.where(jnp.isfinite(time), index[order], -1)
    if room > order.shape[0]:
        time = jnp.pad(time, (0, room - order.shape[0]), constant_values=jnp.inf)
        index = jnp.pad(index, (0, room - order.shape[0]), constant_values=-1)
    return st.Spikes(time, index, size)


def _sampled(track: PyTree, found: Array, final: PyTree) -> PyTree:
    # A sample at the very end may lie behind the last cell, by rounding.
    def take(x, end):
        there = (found < x.shape[0])[:, None]
        return jnp.where(there, x.at[found].get(mode="clip"), end[None])

    return jax.tree.map(take, track, final)


def _count_rates(rates: dict[str, Array], depends_on: PyTree) -> dict[str, Array]:
    message = (
        "RoughSDE counts spikes to get rates, and a count has no derivative. Use spike times or states in the loss."
    )
    return st.not_differentiable(rates, message, depends_on=depends_on)


def _result(room: int, network, stimulus, problem: Problem, finish: Finish) -> st.RESULTS:
    full = jnp.stack([jnp.any(count > room) for count in finish.count.values()])
    times = [source.time for source in stimulus.values() if isinstance(source, st.Spikes)]
    values = [leaf for leaf in jax.tree.leaves((network, stimulus)) if eqx.is_inexact_array(leaf)]
    values = [leaf for leaf in values if not any(leaf is time for time in times)]
    good_times = _all([time >= 0 for time in times])
    samples = problem.samples
    bad_samples = ~jnp.all((samples >= 0) & (samples <= problem.t1)) | jnp.any(samples[1:] < samples[:-1])
    guards = [neuron.guard(problem.state[name]) for name, neuron in problem.neurons.items()]
    result = st.RESULTS.successful
    for failed, outcome in (
        (jnp.any(jnp.concatenate(guards) >= 0), st.RESULTS.guard_at_start),
        (jnp.any(full) | ~finish.ended, st.RESULTS.max_spikes_reached),
        (~_all([jnp.isfinite(leaf) for leaf in jax.tree.leaves(finish.state)]), st.RESULTS.diverged),
        (bad_samples, st.RESULTS.bad_save_times),
        (~(good_times & _all([jnp.isfinite(leaf) for leaf in values])), st.RESULTS.non_finite_input),
    ):
        result = st.RESULTS.where(failed, outcome, result)
    return result


def _all(conditions: list[Array]) -> Array:
    return jnp.all(jnp.stack([jnp.all(each) for each in conditions] or [jnp.ones((), bool)]))
