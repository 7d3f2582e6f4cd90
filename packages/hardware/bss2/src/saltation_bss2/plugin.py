"""What this package brings to Saltation: read by plugin discovery, so it imports nothing heavy."""

from collections.abc import Iterator

from saltation.plugins import BackendSpec, hookimpl


@hookimpl
def saltation_backends() -> Iterator[BackendSpec]:
    yield BackendSpec(
        "bss2-emulator",
        "saltation_bss2:BSS2Emulator",
        "an emulated BrainScaleS-2 chip: fixed pattern, noise, 6-bit weights, on-chip axonal delays",
    )
