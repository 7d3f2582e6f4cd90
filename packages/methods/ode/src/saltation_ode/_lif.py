"""Layers of leaky integrate-and-fire neurons that do not feed back: the fast way, exact for every ratio of constants.

Without resets the neuron is linear: `v_free(t)` and `i(t)` are sums over the arrivals. A reset at `T` takes
`(v_threshold - v_reset) exp(-(t - T) / tau_mem)` from `v` for good, so the condition for the k-th spike is

    v_free(T_k) - sum_{l<k} (v_threshold - v_reset) exp(-(T_k - T_l) / tau_mem) = v_threshold.

The search walks once through the sorted arrivals, the whole layer and the whole batch at a time. The derivative is
that of the condition above, at the times that were found: a linear scan over the arrivals and a few operations a spike.
"""

import jax
import jax.numpy as jnp

from ._attach import attach, derivative_of, freeze
from ._component import Component
from ._follow import Values
from ._found import Summary
from ._lif_follow import follow_lif, observe_lif
from ._lif_layer import LIFLayer
from ._lif_search import search_lif, search_lif_once


def solve_lif_layer(component: Component, layer: LIFLayer) -> tuple[Values, Summary]:
    """The spikes and states of a LIF layer, differentiable."""
    (name,) = component.neurons
    neuron = component.neurons[name]
    constants = neuron.lif()
    assert constants is not None
    room = 1 if constants.at_most_once else component.max_spikes
    t1 = component.t1
    observed = component.observed
    given = observed is not None
    still = freeze(layer)
    n = component.size(name)
    if observed is not None:
        times = jnp.pad(observed[name][:, :room], ((0, layer.spare), (0, 0)), constant_values=jnp.inf)
        found, reached = observe_lif(still, times, t1)
    else:
        found, reached = search_lif_once(still, t1) if constants.at_most_once else search_lif(still, room, t1)
        if layer.samples.shape[0]:
            # The search passes by the samples.
            _, v, i, _ = follow_lif(still, found, t1, given)
            v, i = jnp.concatenate([v[:-1], reached.v]), jnp.concatenate([i[:-1], reached.i])
            reached = reached._replace(v=v, i=i)

    def outputs(layer, found):
        return follow_lif(layer, found, t1, given)[:3]

    times, v, i = attach(derivative_of(outputs), layer, found, (found.times, reached.v, reached.i))
    missing = component.max_spikes - room
    times = jnp.pad(times[:n], ((0, 0), (0, missing)), constant_values=jnp.inf)
    v, i, count = v[:, :n], i[:, :n], found.count[:n]

    def state_at(when, v, i):
        spiked = jnp.any(found.times[:n] <= when, axis=1) & (count > 0)
        fresh, reset = component.state[name], neuron.reset(component.state[name])
        flagged = jax.tree.map(lambda new, old: jnp.where(spiked, new, old), reset, fresh)
        return constants.write(flagged, v + constants.v_leak, i)

    states = jax.vmap(state_at)(layer.samples, v[:-1], i[:-1]) if layer.samples.shape[0] else None
    final = state_at(jnp.inf, v[-1], i[-1])
    summary = Summary({name: reached.flat[:n]}, {name: count}, {name: reached.min_slope[:n]}, reached.flags)
    return Values({name: times}, None if states is None else {name: states}, {name: final}), summary
