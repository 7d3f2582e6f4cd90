"""What this package brings to Saltation: read by plugin discovery, so it imports nothing heavy."""

from collections.abc import Iterator

from saltation.plugins import BackendSpec, RecipeSpec, hookimpl

_CITE = """@article{pehle2022brainscales2,
  author = {Pehle, Christian and Billaudelle, Sebastian and Cramer, Benjamin and Kaiser, Jakob and Schreiber, Korbinian
            and Stradmann, Yannik and Weis, Johannes and Leibfried, Aron and Müller, Eric and Schemmel, Johannes},
  title = {The {BrainScaleS-2} accelerated neuromorphic system with hybrid plasticity},
  journal = {Frontiers in Neuroscience},
  volume = {16},
  year = {2022},
}"""


@hookimpl
def saltation_backends() -> Iterator[BackendSpec]:
    yield BackendSpec(
        "bss2-emulator",
        "saltation_bss2:BSS2Emulator",
        "an emulated BrainScaleS-2 chip: fixed pattern, noise, 6-bit weights, on-chip axonal delays",
        cite=_CITE,
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
