"""Recurrent LIF neurons in slices of the least delay: a cycle is advanced without waiting for the next event of all.

A spike reaches nobody before the least delay `d` has passed. So for a time of `d` every neuron goes through its own
arrivals, as in a layer that does not feed back.
"""

import jax
import jax.numpy as jnp

from ._attach import attach, freeze
from ._component import Component
from ._follow import Values
from ._found import Summary
from ._slice_follow import SliceValues, follow_slices
from ._slice_layer import SliceLayer, not_sliceable, pays, slice_layer
from ._slice_search import search_slices


def in_slices(component: Component, wanted: bool | None, max_steps: int | None) -> SliceLayer | None:
    """A cyclic component as it is solved in slices; `None` if it cannot be, or if that does not pay.

    **Raises:** `ValueError` if it cannot be where that is `wanted`.
    """
    reason = not_sliceable(component)
    if reason is not None and wanted:
        raise ValueError(f"ODE got slices=True, but {reason}. With slices=None, slices are used where they can be.")
    if reason is not None or not (wanted or pays(component)):
        return None
    return slice_layer(component, max_steps)


def solve_slices(component: Component, layer: SliceLayer) -> tuple[Values, Summary]:
    """The spikes and states of a component, which is `layer` too, differentiable."""
    found = search_slices(freeze(layer))
    times = found.times
    if layer.observed is not None:
        times = layer.observed.reshape(-1)
    values = attach(follow_slices, layer, found, SliceValues(times, found.samples, found.final))
    spikes, states, final = {}, {}, {}
    summary = Summary({}, {}, {}, found.flags)
    offsets = component.offsets()
    for name, neuron in component.neurons.items():
        n = component.size(name)
        here = slice(offsets[name], offsets[name] + n)
        spikes[name] = values.times.reshape(layer.size, -1)[here]
        summary.flat[name], summary.count[name] = found.flat[here], found.count[here]
        summary.min_slope[name] = found.min_slope[here]
        constants = neuron.lif()
        assert constants is not None
        fresh = component.state[name]
        reset = neuron.reset(fresh)
        when = found.times.reshape(layer.size, -1)[here]

        def state_at(at, v, i, constants=constants, fresh=fresh, reset=reset, when=when):
            spiked = jnp.any(when <= at, axis=1)
            flagged = jax.tree.map(lambda new, old: jnp.where(spiked, new, old), reset, fresh)
            return constants.write(flagged, v + constants.v_leak, i)

        if layer.samples.shape[0]:
            states[name] = jax.vmap(state_at)(layer.samples, *(x[:, here] for x in values.samples))
        final[name] = state_at(component.t1, *(x[here] for x in values.final))
    return Values(spikes, states if layer.samples.shape[0] else None, final), summary
