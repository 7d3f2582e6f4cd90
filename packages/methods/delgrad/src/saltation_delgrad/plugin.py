"""The plugin: what saltation-delgrad registers."""

from collections.abc import Iterator

from saltation.plugins import MethodSpec, hookimpl


@hookimpl
def saltation_methods() -> Iterator[MethodSpec]:
    yield MethodSpec(
        "delgrad",
        "saltation_delgrad:DelGrad",
        "first spikes of integrate-and-fire neurons in closed form; exact gradients for weights and delays",
    )
