"""The same as the native kernel in plain JAX, for every device and for time constants that are trained."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array

from ._membrane import over_rows
from ._search import search

if TYPE_CHECKING:
    from ._layer import Layer
    from ._primitive import Setup

_CHUNK = 64  # arrivals of a sample whose responses are held at once


def spikes(setup: "Setup", operands: Sequence[Array]) -> tuple[Array, Array]:
    """Spike times and slopes, `[n]` or `[batch, n]`."""

    def one(*operands):
        arrays, observed = setup.split(operands)
        layer = setup.layer(arrays)
        reached = _undelayed(layer)
        if observed is not None:
            return observed, _slope_at(reached, observed)
        times, slope = search(reached, setup.t1)
        if layer.dendritic is None:
            return times, slope
        times = times + layer.dendritic
        return jnp.where(times <= setup.t1, times, jnp.inf), jnp.where(times <= setup.t1, slope, jnp.inf)

    if setup.batched is None:
        return one(*operands)
    return jax.vmap(one, [0 if b else None for b in setup.batched], axis_size=setup.batch)(*operands)


def pull_back(
    setup: "Setup",
    operands: Sequence[Array],
    times: Array,
    slope: Array,
    cotangent: Array,
    wanted: tuple[int, ...],
    summed: bool,
) -> list[Array]:
    """The gradient by the operands at the positions `wanted`, as `_primitive` describes it."""
    arrays, _ = setup.split(operands)
    flags = (setup.batched or (False,) * len(arrays))[: len(arrays)]
    if setup.batched is None:
        times, slope, cotangent = times[None], slope[None], cotangent[None]
    own = [flag or not summed for flag in flags]
    given, single = setup.layer(arrays), setup.layer(own)
    layer, batched = _undelayed_batch(given, setup.layer(flags))
    leaves, structure = jax.tree.flatten(eqx.filter(layer, eqx.is_array))
    axes = [0 if flag else None for flag in jax.tree.leaves(eqx.filter(batched, lambda x: isinstance(x, bool)))]
    build = lambda leaves: eqx.combine(jax.tree.unflatten(structure, leaves), layer)  # noqa: E731
    fires = jnp.isfinite(times) & (slope > 0)
    at = times
    if given.dendritic is not None:
        at = times - jnp.broadcast_to(given.dendritic, times.shape)
    at = jnp.where(fires, at, 0.0)
    force = jnp.where(fires, -cotangent / jnp.where(fires, slope, 1.0), 0.0)

    def each(function: Callable, *more: Array) -> Any:
        """`function(layer, *more)` of each sample."""
        run = lambda leaves, *more: function(build(leaves), *more)  # noqa: E731
        return jax.vmap(run, (axes, *[0] * len(more)))(leaves, *more)

    def fitting(gradients: Sequence[Any], own: Sequence[bool]) -> list[Any]:
        """Gradients of each sample, summed where the samples share what they are by."""
        return [g if single else jnp.sum(g, axis=0) for g, single in zip(gradients, own, strict=True)]

    kick_force = force
    if setup.limit is not None:
        kick_force = jnp.where(each(_steepest, at, force) <= setup.limit, force, 0.0)
    constants = len(jax.tree.leaves(eqx.filter(layer.membrane, eqx.is_array)))

    def of_chunk(start: Any, size: int) -> tuple[list[Any], Any]:
        """What the arrivals from `start` on give: the gradients by units and constants, and those by time."""
        part = lambda layer, *more: _by_arrivals(_arrivals(layer, start, size), *more)  # noqa: E731
        by_row, by_late, by_constants = each(part, at, force, kick_force)
        assert layer.source is not None
        source = lax.dynamic_slice_in_dim(layer.source, start, size, axis=layer.source.ndim - 1)
        units = [_by_unit(source, by_row, layer.weight.shape[-2], single.weight)]
        if layer.delay is not None:
            units.append(_by_unit(source, by_late, layer.weight.shape[-2], single.delay))
        return [*units, *fitting(by_constants, own[:constants])], jnp.sum(by_late, axis=-1)

    number = layer.time.shape[-1]
    if number <= _CHUNK:
        units, by_time = of_chunk(0, number)
    else:
        chunks = -(-number // _CHUNK)
        missing = chunks * _CHUNK - number
        pad = lambda x, value: jnp.pad(x, [(0, 0)] * (x.ndim - 1) + [(0, missing)], constant_values=value)  # noqa: E731
        layer = _exchanged(layer, pad(layer.time, jnp.inf), pad(layer.source, -1))
        leaves = jax.tree.leaves(eqx.filter(layer, eqx.is_array))
        empty = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), jax.eval_shape(lambda: of_chunk(0, _CHUNK)[0]))

        def step(total, chunk):
            units, by_time = of_chunk(chunk * _CHUNK, _CHUNK)
            return jax.tree.map(jnp.add, total, units), by_time

        units, by_time = lax.scan(step, empty, jnp.arange(chunks, dtype=jnp.int32))
        by_time = jnp.moveaxis(by_time, 0, 1).reshape(by_time.shape[1], -1)[:, :number]

    by_rest, by_drive = each(_by_the_rest, at, force)
    found = [a + b for a, b in zip(units[len(units) - constants :], fitting(by_rest, own[:constants]), strict=True)]
    found += fitting([by_time], [single.time])
    if given.source is not None:
        found.append(None)
    found += units[: len(units) - constants]
    if layer.drive is not None:
        found += fitting([by_drive], [single.drive])
    if given.axonal is not None:
        assert layer.source is not None
        source = layer.source[..., :number]
        found.append(_by_unit(source, by_time[..., None], layer.weight.shape[-2], single.axonal)[..., 0])
    if given.dendritic is not None:
        found += fitting([jnp.where(jnp.isfinite(times), cotangent, 0.0)], [single.dendritic])
    return [found[k][0] if own[k] and setup.batched is None else found[k] for k in wanted]


def _undelayed(layer: "Layer") -> "Layer":
    """The layer with the delays of sources in its times of arrival, without those of its own spikes."""
    return _exchanged(layer, *_times_of_arrival(layer.time, layer.source, layer.axonal))


def _undelayed_batch(layer: "Layer", batched: "Layer") -> tuple["Layer", "Layer"]:
    """The same of a batch, and which arrays have an axis for the samples then, as `batched` says of those before."""
    flags = [bool(flag) for flag in (batched.time, batched.source, batched.axonal)]
    late = flags[0] or (layer.axonal is not None and any(flags))
    function = _times_of_arrival
    if any(flags):
        axes = [0 if flag else None for flag in (*flags, late)]
        function = jax.vmap(function, tuple(axes[:3]), out_axes=(axes[3], axes[1]))
    time, source = function(layer.time, layer.source, layer.axonal)
    return _exchanged(layer, time, source), _exchanged(batched, late, flags[1])


def _times_of_arrival(time: Array, source: Array | None, axonal: Array | None) -> tuple[Array, Array]:
    """When arrivals come, with the delays of their sources, and those sources, `[N]`."""
    source = jnp.arange(time.shape[0], dtype=jnp.int32) if source is None else source
    if axonal is not None:
        time = time + axonal.at[source].get(mode="fill", fill_value=0.0, wrap_negative_indices=False)
    return time, source


def _exchanged(layer: Any, time: Any, source: Any) -> Any:
    """The layer with other times and sources, and without delays of sources and targets."""
    where = lambda layer: (layer.time, layer.source, layer.axonal, layer.dendritic)  # noqa: E731
    return eqx.tree_at(where, layer, (time, source, None, None), is_leaf=lambda x: x is None)


def _slope_at(layer: "Layer", times: Array) -> Array:
    """The slope of the potential at given times `[n]`; `inf` where there is no spike."""
    fires = jnp.isfinite(times)
    at = jnp.where(fires, times, 0.0)
    before, u, rows = _since(layer, at)
    kappa, left = over_rows(layer.membrane).kernel(u)
    v, i = (jnp.sum(jnp.where(before, rows * x, 0.0), axis=0) for x in (kappa, left))
    if layer.drive is not None:
        v, i = v + layer.drive * layer.membrane.step(at), i + layer.drive
    return jnp.where(fires, layer.membrane.slope(v, i), jnp.inf)


def _since(layer: "Layer", at: Array) -> tuple[Array, Array, Array]:
    """Which arrivals come before the times `at`, how long, and with which kicks, all `[N, n]`."""
    assert layer.source is not None
    time = layer.time[:, None]
    if layer.delay is not None:
        time = time + layer.lateness(layer.source)
    u = at[None, :] - time
    # An arrival at the spike itself comes after it.
    before = u > 0
    return before, jnp.where(before, u, 0.0), layer.kicks(layer.source)


def _arrivals(layer: "Layer", start: Any, size: int) -> "Layer":
    """The layer with the arrivals `start` to `start + size` alone."""
    part = lambda x: lax.dynamic_slice_in_dim(x, start, size)  # noqa: E731
    return dataclasses.replace(layer, time=part(layer.time), source=part(layer.source))


def _steepest(layer: "Layer", at: Array, force: Array) -> Array:
    """The largest gradient by a weight of each neuron, `[n]`."""
    before, u, _ = _since(layer, at)
    by_row = jnp.where(before, force[None] * over_rows(layer.membrane).kernel(u)[0], 0.0)
    return jnp.max(jnp.abs(by_row), axis=0, initial=0.0)


def _by_arrivals(layer: "Layer", at: Array, force: Array, kick_force: Array) -> tuple[Array, Array, list[Array]]:
    """The gradients by each kick and by each time of arrival `[N, n]`, and by the membrane's constants."""
    before, u, rows = _since(layer, at)
    membrane = over_rows(layer.membrane)
    kappa, left = membrane.kernel(u)
    by_row = jnp.where(before, kick_force[None] * kappa, 0.0)
    by_late = jnp.where(before, -force[None] * rows * membrane.slope(kappa, left), 0.0)

    def potential(membrane):
        return jnp.sum(jnp.where(before, rows * over_rows(membrane).kernel(u)[0], 0.0), axis=0)

    return by_row, by_late, _by_constants(layer, potential, force)


def _by_the_rest(layer: "Layer", at: Array, force: Array) -> tuple[list[Array], Array]:
    """The gradients by the constants, apart from the arrivals, and by the drive."""
    drive = jnp.zeros_like(at) if layer.drive is None else layer.drive
    by_constants = _by_constants(layer, lambda membrane: drive * membrane.step(at) - membrane.theta, force)
    return by_constants, force * layer.membrane.step(at)


def _by_constants(layer: "Layer", function: Callable, force: Array) -> list[Array]:
    constants, fixed = eqx.partition(layer.membrane, eqx.is_inexact_array)
    if not jax.tree.leaves(constants):
        return []
    _, pull = jax.vjp(lambda constants: function(eqx.combine(constants, fixed)), constants)
    return jax.tree.leaves(pull(force)[0])


def _by_unit(source: Array, by_arrival: Array, units: int, own: bool) -> Array:
    """From arrivals, `[batch, K, n]`, to the `units` that they come from, for each sample or for all of them."""
    empty = jnp.zeros((units, by_arrival.shape[-1]), by_arrival.dtype)
    # Out of range and so dropped; -1 would be the last unit.
    source = jnp.where(source >= 0, source, empty.shape[0])
    add = lambda source, rows: empty.at[source].add(rows, mode="drop")  # noqa: E731
    if own:
        return jax.vmap(add, (source.ndim - 2 if source.ndim == 2 else None, 0))(source, by_arrival)
    if source.ndim == 1:
        return add(source, jnp.sum(by_arrival, axis=0))
    return add(source.reshape(-1), by_arrival.reshape(-1, empty.shape[1]))
