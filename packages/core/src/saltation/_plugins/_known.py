"""Which distribution is known to bring which name, so that an unknown name can say what to install.

The table names this project's own plugins only. It is a help text, never a registry: a name works if an
installed plugin registers it, listed here or not.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase


@dataclass(frozen=True)
class KnownPlugin:
    """A plugin of this project: its distribution, its place in a checkout, and name patterns by kind."""

    distribution: str
    path: str
    brings: Mapping[str, tuple[str, ...]]


KNOWN = (
    KnownPlugin(
        "saltation-neurons",
        "packages/neurons",
        {
            "neuron": (
                "lif",
                "integrate_and_fire",
                "izhikevich",
                "adex",
                "qif",
                "theta",
                "stochastic_lif",
                "alif",
                "egru",
            )
        },
    ),
    KnownPlugin("saltation-ode", "packages/methods/ode", {"method": ("ode",), "recipe": ("ode/*",)}),
    KnownPlugin("saltation-delgrad", "packages/methods/delgrad", {"method": ("delgrad",), "recipe": ("delgrad/*",)}),
    KnownPlugin(
        "saltation-equilibrium",
        "packages/methods/equilibrium",
        {"method": ("equilibrium",), "recipe": ("equilibrium/*",)},
    ),
    KnownPlugin(
        "saltation-roughsde",
        "packages/methods/roughsde",
        {
            "method": ("roughsde",),
            "loss": ("signature_kernel", "signature_mmd", "expected_signature", "first_spikes_mse"),
            "dataset": ("sampled_trains",),
            "recipe": ("roughsde/*",),
        },
    ),
    KnownPlugin(
        "saltation-surrogate",
        "packages/methods/surrogate",
        {"method": ("surrogate",), "recipe": ("surrogate/*",)},
    ),
    KnownPlugin(
        "saltation-bss2",
        "packages/hardware/bss2",
        {"backend": ("bss2-emulator", "bss2"), "recipe": ("bss2/*",)},
    ),
    KnownPlugin(
        "saltation-datasets",
        "packages/datasets",
        {
            "dataset": (
                "yinyang",
                "xor",
                "delayed_xor",
                "sine",
                "digits",
                "mnist",
                "fashion_mnist",
                "n_mnist",
                "cifar10",
                "cifar100",
                "grasshopper",
                "shd",
                "shd_like",
            )
        },
    ),
    KnownPlugin("saltation-torch", "packages/interop/torch", {"converter": ("torch",)}),
    KnownPlugin("saltation-nir", "packages/interop/nir", {"converter": ("nir", "from_nir")}),
)


def known_plugin(kind: str, name: str) -> KnownPlugin | None:
    """Returns the plugin of this project that brings `name`, or `None`."""
    for plugin in KNOWN:
        if any(fnmatchcase(name, pattern) for pattern in plugin.brings.get(kind, ())):
            return plugin
    return None


def known_names(kind: str) -> list[str]:
    """Returns the names of `kind` that the table spells out, for suggestions."""
    return [pattern for plugin in KNOWN for pattern in plugin.brings.get(kind, ()) if "*" not in pattern]
