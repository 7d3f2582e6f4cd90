"""The plugin: what saltation-equilibrium registers."""

from collections.abc import Iterator

from saltation.plugins import MethodSpec, hookimpl


@hookimpl
def saltation_methods() -> Iterator[MethodSpec]:
    yield MethodSpec(
        "equilibrium",
        "saltation_equilibrium:Equilibrium",
        "rates at the fixed point of a feedback network; implicit differentiation",
    )
