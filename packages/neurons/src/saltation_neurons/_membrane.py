"""The membrane potential inside a state, however deep wrappers have buried it."""

from typing import Any

import jax.numpy as jnp
from jaxtyping import Array


def potential_fields(state: Any) -> tuple[str, ...]:
    """The fields of the innermost neuron's state that make up its potential: `v`, or those that it names itself.

    Raises `ValueError` for a state that has neither.
    """
    names = getattr(state, "_fields", ())
    if "inner" in names:
        return potential_fields(state.inner)
    if "v" in names:
        return ("v",)
    if not hasattr(state, "membrane"):
        raise ValueError(
            f"Refractory got a neuron whose state is a {type(state).__name__}; expected a NamedTuple with a field v, "
            "the membrane potential that it clamps, or with a property membrane that names the fields it consists of."
        )
    return state.membrane


def hold(held: Array, before: Any, after: Any) -> Any:
    """The state `after` something happened, but with the potential of `before` where it is held."""
    if "inner" in after._fields:
        return after._replace(inner=hold(held, before.inner, after.inner))
    fields = {
        name: jnp.where(held > 0, getattr(before, name), getattr(after, name)) for name in potential_fields(after)
    }
    return after._replace(**fields)


def variables(state: Any) -> frozenset[str]:
    """The names of the variables of the innermost neuron; none if its state is not a `NamedTuple`."""
    names = getattr(state, "_fields", ())
    return variables(state.inner) if "inner" in names else frozenset(names)
