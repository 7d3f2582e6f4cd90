"""What this package brings to Saltation: read by plugin discovery, so it imports nothing heavy."""

from collections.abc import Iterator

from saltation.plugins import BackendSpec, RecipeSpec, hookimpl


@hookimpl
def saltation_backends() -> Iterator[BackendSpec]:
    yield BackendSpec(
        "bss2-emulator",
        "saltation_bss2:BSS2Emulator",
        "an emulated BrainScaleS-2 chip: fixed pattern, noise, 6-bit weights, on-chip axonal delays",
    )


@hookimpl
def saltation_recipes() -> Iterator[RecipeSpec]:
    yield RecipeSpec(
        "bss2/yinyang-w",
        "saltation_bss2:yinyang_w",
        "Yin-Yang by first spikes, sized for the chip, weights alone",
        reproduces="Göltz et al. 2025 (30 hidden; ideal 96.7 %, on the chip 84.9 %)",
    )
    yield RecipeSpec(
        "bss2/yinyang-axonal",
        "saltation_bss2:yinyang_axonal",
        "Yin-Yang by first spikes, sized for the chip, weights and axonal delays",
        reproduces="Göltz et al. 2025 (30 hidden; ideal 97.5 %, on the chip 92.6 %)",
    )
