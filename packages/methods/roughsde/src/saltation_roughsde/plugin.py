"""The plugin: what saltation-roughsde registers."""

from collections.abc import Iterator

from saltation.plugins import LossSpec, MethodSpec, hookimpl


@hookimpl
def saltation_methods() -> Iterator[MethodSpec]:
    yield MethodSpec(
        "roughsde",
        "saltation_roughsde:RoughSDE",
        "stochastic neurons driven by cadlag paths; pathwise gradients",
    )


@hookimpl
def saltation_losses() -> Iterator[LossSpec]:
    yield LossSpec("signature_kernel", "saltation_roughsde:signature_kernel", "inner product of two paths' signatures")
    yield LossSpec(
        "signature_mmd", "saltation_roughsde:mmd_squared", "maximum mean discrepancy of two samples under a kernel"
    )
    yield LossSpec(
        "expected_signature",
        "saltation_roughsde:expected_signature_distance",
        "mean squared difference of two expected signatures",
    )
    yield LossSpec(
        "first_spikes_mse", "saltation_roughsde:first_spikes_mse", "squared difference of mean first spike times"
    )
