"""Attaching derivatives to values that a search has found."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
from jax import lax


def attach(differentiate: Callable[..., Any], inputs: Any, found: Any, values: Any) -> Any:
    """`values`, with derivatives by `inputs` in both modes.

    `differentiate(restore, moving, directions, found)` is the derivative of `values` along `directions`, the tangents
    of `moving`, the inputs that vary; `restore(moving)` is all inputs. It must be linear in `directions`. It is
    evaluated only where a derivative is asked for; solving without a gradient costs the search alone.
    """
    inputs, rest = eqx.partition(inputs, eqx.is_inexact_array)
    # Arrays of integers are arguments too: a rule that runs later must not hold on to a tracer.
    still, static = eqx.partition(rest, eqx.is_array)
    found, values = lax.stop_gradient((found, values))

    @jax.custom_jvp
    def keep(inputs, still, found, values):
        del inputs, still, found
        return values

    def rule(primals, tangents):
        inputs, still, found, values = primals
        is_zero = lambda x: isinstance(x, jax.custom_derivatives.SymbolicZero)  # noqa: E731
        varying = jax.tree.map(lambda d: not is_zero(d), tangents[0], is_leaf=is_zero)
        moving, constant = eqx.partition(inputs, varying)
        directions = jax.tree.map(lambda d: None if is_zero(d) else d, tangents[0], is_leaf=is_zero)

        def restore(moving):
            return eqx.combine(moving, constant, still, static)

        return values, differentiate(restore, moving, directions, found)

    keep.defjvp(rule, symbolic_zeros=True)
    return keep(inputs, still, found, values)


def derivative_of(follow: Callable[[Any, Any], Any]) -> Callable[..., Any]:
    """For `attach`: the derivative of `follow(inputs, found)`, which would return `values`."""

    def differentiate(restore, moving, directions, found):
        return jax.jvp(lambda moving: follow(restore(moving), found), (moving,), (directions,))[1]

    return differentiate


def freeze(tree: Any) -> Any:
    """The same tree without derivatives.

    `lax.stop_gradient` alone would turn Python numbers into arrays, and a formula that is chosen by their value would
    be lost.
    """
    return jax.tree.map(lambda x: lax.stop_gradient(x) if eqx.is_array(x) else x, tree)
