"""Following the slices that a search has found: the derivative, with the states inside a chunk computed again."""

from collections.abc import Callable
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array

from ._follow import difference
from ._linear_chunks import linear_chunks
from ._slice_advance import advance
from ._slice_layer import SliceLayer
from ._slice_record import Gathered, SlicesFound, firing_of, gather, incoming_of


class SliceValues(NamedTuple):
    """The differentiable outputs of a layer."""

    times: Array  # [n * max_spikes]
    samples: tuple[Array, ...]  # v and i, [S, n]; nothing where no states are asked for
    final: tuple[Array, Array]  # [n]


class _Carry(NamedTuple):
    v: Array
    i: Array
    sent: Array  # the times of all spikes so far


def follow_slices(
    restore: Callable[[SliceLayer], SliceLayer], moving: SliceLayer, directions: SliceLayer, found: SlicesFound
) -> SliceValues:
    """How the outputs of a layer change along `directions`, at the slices and spikes that were found."""

    def start(moving):
        layer = restore(moving)
        return layer.v, layer.i

    v, i = jax.jvp(start, (moving,), (directions,))[1]
    number = restore(moving).samples.shape[0]
    nothing = jnp.zeros((number, *v.shape), v.dtype)

    def chunk(directions, carry, x, *_):
        record, before = x
        events = jax.jvp(lambda moving: gather(restore(moving), record), (moving,), (directions,))

        def step(carry, x):
            v, i, tangents, samples = carry
            one, gathered, gathered_tangents = x

            def move(constants, when, carry, gathered):
                own = eqx.tree_at(lambda m: (m.constants, m.samples), moving, (constants, when), is_leaf=_is_none)
                return _slice(restore(own), carry, one, gathered, found.ready)

            primals = moving.constants, moving.samples, _Carry(v, i, found.times), gathered
            along = directions.constants, directions.samples, tangents, gathered_tangents
            (after, _), (tangents, sampled) = jax.jvp(move, primals, along)
            slot = jnp.where(one.sample >= 0, one.sample, number)
            samples = tuple(kept.at[slot].set(x, mode="drop") for kept, x in zip(samples, sampled, strict=True))
            return (after.v, after.i, tangents, samples), None

        (_, _, *carry), _ = lax.scan(step, (*before, *carry), (record, *events))
        return tuple(carry), ()

    carry = _Carry(v, i, jnp.zeros_like(found.times)), (nothing, nothing) if number else ()
    (last, samples), _ = linear_chunks(chunk, directions, carry, (found.record, found.starts), found.chunks)
    return SliceValues(last.sent, samples, (last.v, last.i))


def _is_none(x) -> bool:
    return x is None


def _slice(layer: SliceLayer, carry: _Carry, one, gathered: Gathered, ready: Array):
    """One slice, and `v` and `i` at the sample at its end."""
    constants = layer.constants
    incoming = incoming_of(layer, one, gathered, carry.sent, ready)
    firing = lax.stop_gradient(firing_of(layer, one, carry.sent))
    after = advance(
        constants,
        carry.v,
        carry.i,
        one.start,
        one.end,
        incoming,
        firing,
        layer.slope_floor,
        layer.observed is not None,
    )
    v, i = (jnp.where(one.real, new, old) for new, old in ((after.v, carry.v), (after.i, carry.i)))
    nowhere = carry.sent.shape[0]
    sent = carry.sent.at[jnp.where(one.spikes >= 0, one.spikes, nowhere)].set(after.when, mode="drop")
    if layer.samples.shape[0] == 0:
        return _Carry(v, i, sent), ()
    # A state is asked for at the end of its slice; that end stays, and the sample may move.
    later = difference(layer.samples[jnp.maximum(one.sample, 0)])
    v_rate, i_rate = (constants.drive + i - v) / constants.tau_mem, -i / constants.tau_syn
    sampled = v + lax.stop_gradient(v_rate) * later, i + lax.stop_gradient(i_rate) * later
    return _Carry(v, i, sent), sampled
