"""The membrane potential inside a state, however deep wrappers have buried it."""

from typing import Any

from jaxtyping import Array


def potential(state: Any) -> Array:
    """The membrane potential. Raises `ValueError` for a state that has no field `v`."""
    if "v" not in variables(state):
        raise ValueError(
            f"Refractory got a neuron whose state is a {type(state).__name__}; expected a NamedTuple with a "
            "field v, the membrane potential that it clamps."
        )
    return state.v


def with_potential(state: Any, v: Array) -> Any:
    """The same state with another membrane potential."""
    if "inner" in state._fields:
        return state._replace(inner=with_potential(state.inner, v))
    return state._replace(v=v)


def variables(state: Any) -> frozenset[str]:
    """The names of the variables of the innermost neuron; none if its state is not a `NamedTuple`."""
    names = getattr(state, "_fields", ())
    return variables(state.inner) if "inner" in names else frozenset(names)
