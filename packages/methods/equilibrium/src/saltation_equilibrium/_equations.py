"""The equations of the equilibrium: `a = clip((sum of synapses(a) + drive) / threshold, 0, 1)`, layer by layer.

A stage is a set of layers that depend on each other. With `z` the rates of those of its layers that feed back, one pass
through the stage in order gives new rates of all of them, among them of `z`: the map `F` whose fixed point is sought.
"""

from collections.abc import Mapping

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from ._system import Layer, Rates


def feeding(stage: tuple[Layer, ...]) -> tuple[str, ...]:
    """The layers of a stage that feed back, in order."""
    sources = {edge.source for layer in stage for edge in layer.edges if edge.feedback}
    return tuple(layer.name for layer in stage if layer.name in sources)


def sweep(stage: tuple[Layer, ...], outer: Rates, z: Rates, point: Rates | None = None) -> tuple[Rates, Rates]:
    """One pass through a stage: the rates of its layers, from those of the layers that feed back.

    **Arguments:** `outer`: the charge that comes from outside the stage, by layer; `z`: rates of the layers that feed
    back; `point`: where to linearise: rates have these values, and derivatives as if each layer saw them.

    **Returns:** the rates, and what the equation makes of each layer's sources; they differ only if there is a `point`.
    """
    rates: Rates = {}
    mapped: Rates = {}
    names = [layer.name for layer in stage]
    for layer in stage:
        total = outer[layer.name]
        for edge in layer.edges:
            if edge.source in names:
                total = total + edge.synapse.apply((z if edge.feedback else rates)[edge.source])
        rate = mapped[layer.name] = clipped(total / layer.threshold)
        rates[layer.name] = rate if point is None else with_value(rate, point[layer.name])
    return rates, mapped


def clipped(x: Float[Array, " n"]) -> Float[Array, " n"]:
    """`clip(x, 0, 1)`, whose derivative is 1 from 0 to 1, both included, and 0 outside."""
    inside = (x >= 0) & (x <= 1)
    return jnp.where(inside, x, lax.stop_gradient(jnp.clip(x, 0.0, 1.0)))


@jax.custom_jvp
def with_value(x: Float[Array, " n"], value: Float[Array, " n"]) -> Float[Array, " n"]:
    """The derivative of `x` at another value."""
    # Not `value + (x - stop_gradient(x))`: compiled apart, the two may differ in the last digit.
    return value


@with_value.defjvp
def _with_value_jvp(primals, tangents):
    return primals[1], tangents[0]


def pack(rates: Mapping[str, Array], names: tuple[str, ...]) -> Float[Array, " n"]:
    """The rates of several layers as one vector."""
    return jnp.concatenate([rates[name] for name in names])


def unpack(vector: Float[Array, " n"], like: Mapping[str, Array], names: tuple[str, ...]) -> Rates:
    """One vector as the rates of several layers."""
    rates, start = {}, 0
    for name in names:
        size = like[name].shape[0]
        rates[name] = vector[start : start + size]
        start += size
    return rates
