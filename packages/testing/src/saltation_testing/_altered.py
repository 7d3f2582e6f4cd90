"""Cases with one thing changed."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from saltation import Current, Spikes

from ._case import CompleteCase


def pad_spikes(value: Spikes | Current) -> Spikes | Current:
    if not isinstance(value, Spikes):
        return value
    time = jnp.concatenate([value.time, jnp.full(2, jnp.inf, value.time.dtype)])
    return Spikes(time, jnp.concatenate([value.index, jnp.full(2, -1, jnp.int32)]), value.size)


def rescaled(stimulus: Mapping[str, Any], factor: float) -> dict[str, Any]:
    """Earlier or later spikes, weaker or stronger currents."""
    where = {
        name: (lambda s: s.time) if isinstance(value, Spikes) else (lambda s: s.value)
        for name, value in stimulus.items()
    }
    return {name: eqx.tree_at(where[name], value, factor * where[name](value)) for name, value in stimulus.items()}


def with_synapses(case: CompleteCase, factor: Any) -> CompleteCase:
    """The case with every weight times `factor`."""
    scale = lambda leaf: factor * leaf if eqx.is_inexact_array(leaf) else leaf  # noqa: E731
    connections = tuple(
        eqx.tree_at(lambda c: c.synapse, connection, jax.tree.map(scale, connection.synapse))
        for connection in case.network.connections
    )
    return dataclasses.replace(case, network=eqx.tree_at(lambda n: n.connections, case.network, connections))


def with_nan(stimulus: Mapping[str, Any]) -> dict[str, Any]:
    """With a NaN for the first number of the first input; built from the outside, as data in a batch would be."""
    name, value = next(iter(stimulus.items()))
    if isinstance(value, Spikes):
        broken = eqx.tree_at(lambda s: s.time, value, value.time.at[0].set(jnp.nan))
    else:
        first = (0,) * value.value.ndim
        broken = eqx.tree_at(lambda s: s.value, value, value.value.at[first].set(jnp.nan))
    return {**stimulus, name: broken}


def to_float32(leaf: Any) -> Any:
    return jnp.asarray(np.asarray(leaf, np.float32)) if eqx.is_inexact_array(leaf) else leaf
