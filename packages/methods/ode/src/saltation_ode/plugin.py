"""The plugin: what saltation-ode registers."""

from collections.abc import Iterator

from saltation.plugins import MethodSpec, hookimpl


@hookimpl
def saltation_methods() -> Iterator[MethodSpec]:
    yield MethodSpec("ode", "saltation_ode:ODE", "any neuron with a vector field; exact gradients through every event")
