"""The plugin: what saltation-delgrad registers."""

from collections.abc import Iterator

from saltation.plugins import LossSpec, MethodSpec, RecipeSpec, hookimpl

from ._library import in_words

_CITE = """@article{goeltz2025delgrad,
  author = {Göltz, Julian and Weber, Jimmy and Kriener, Laura and Billaudelle, Sebastian and Lake, Peter and
            Schemmel, Johannes and Payvand, Melika and Petrovici, Mihai A.},
  title = {{DelGrad}: exact event-based gradients for training delays and weights on spiking neuromorphic hardware},
  journal = {Nature Communications},
  volume = {16},
  year = {2025},
  doi = {10.1038/s41467-025-63120-y},
}"""


@hookimpl
def saltation_methods() -> Iterator[MethodSpec]:
    yield MethodSpec(
        "delgrad",
        "saltation_delgrad:DelGrad",
        "first spikes of integrate-and-fire neurons in closed form; exact gradients for weights and delays; "
        f"on a CPU: {in_words()}",
        cite=_CITE,
    )


@hookimpl
def saltation_losses() -> Iterator[LossSpec]:
    yield LossSpec(
        "shift_invariant_mse",
        "saltation_delgrad:shift_invariant_mse",
        "squared errors of how much later than the label's neuron the others spike",
    )
    yield LossSpec("delay_penalty", "saltation_delgrad:delay_penalty", "regulariser that keeps delays short")


@hookimpl
def saltation_recipes() -> Iterator[RecipeSpec]:
    yield RecipeSpec(
        "delgrad/yinyang-w",
        "saltation_delgrad:yinyang_w",
        "Yin-Yang by first spikes, weights alone",
        reproduces="Göltz et al. 2025 (30 hidden: 96.7 %)",
    )
    yield RecipeSpec(
        "delgrad/yinyang-axonal",
        "saltation_delgrad:yinyang_axonal",
        "Yin-Yang by first spikes, weights and axonal delays",
        reproduces="Göltz et al. 2025 (30 hidden: 97.5 %)",
    )
    yield RecipeSpec(
        "delgrad/yinyang-dendritic",
        "saltation_delgrad:yinyang_dendritic",
        "Yin-Yang by first spikes, weights and dendritic delays",
        reproduces="Göltz et al. 2025 (10 hidden: 94 %)",
    )
    yield RecipeSpec(
        "delgrad/yinyang-synaptic",
        "saltation_delgrad:yinyang_synaptic",
        "Yin-Yang by first spikes, weights and synaptic delays",
        reproduces="Göltz et al. 2025 (30 hidden: 98.2 %, 5 hidden: 95.4 %)",
    )
    yield RecipeSpec("delgrad/digits", "saltation_delgrad:digits", "8 x 8 handwritten digits by first spikes, offline")
    yield RecipeSpec(
        "delgrad/mnist",
        "saltation_delgrad:mnist",
        "MNIST by first spikes, 784-350-10",
        reproduces="Göltz et al. 2021 (784-350-10: 97.1 %)",
    )
