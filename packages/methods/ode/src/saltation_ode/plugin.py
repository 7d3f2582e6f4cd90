"""The plugin: what saltation-ode registers."""

from collections.abc import Iterator

from saltation.plugins import MethodSpec, RecipeSpec, hookimpl

_CITE = """@misc{koenig2026eventax,
  author = {König, Lukas and Kuhn, Manuel and Kappel, David and Subramoney, Anand},
  title = {Training event-based neural networks with exact gradients via differentiable {ODE} solving in {JAX}},
  year = {2026},
  eprint = {2603.08146},
  archivePrefix = {arXiv},
}"""


@hookimpl
def saltation_methods() -> Iterator[MethodSpec]:
    yield MethodSpec(
        "ode",
        "saltation_ode:ODE",
        "any neuron with a vector field; exact gradients through every event",
        cite=_CITE,
    )


@hookimpl
def saltation_recipes() -> Iterator[RecipeSpec]:
    yield RecipeSpec(
        "ode/yinyang",
        "saltation_ode:yinyang",
        "Yin-Yang by first spikes of LIF neurons",
        reproduces="Göltz et al. 2021 (4-120-3 on chip: 95.9 %)",
    )
    yield RecipeSpec(
        "ode/yinyang-qif",
        "saltation_ode:yinyang_qif",
        "Yin-Yang by first spikes of QIF neurons, solved numerically",
        reproduces="Eventax 2026 (5-20-3: 98.7 % best validation)",
    )
    yield RecipeSpec("ode/yinyang-eif", "saltation_ode:yinyang_eif", "Yin-Yang by first spikes of exponential neurons")
    yield RecipeSpec(
        "ode/yinyang-izhikevich", "saltation_ode:yinyang_izhikevich", "Yin-Yang by first spikes of Izhikevich's neurons"
    )
    yield RecipeSpec(
        "ode/yinyang-alif",
        "saltation_ode:yinyang_alif",
        "Yin-Yang by first spikes, hidden neurons of adaptive threshold",
    )
    yield RecipeSpec(
        "ode/dendritic-xor",
        "saltation_ode:dendritic_xor",
        "the exclusive or in one neuron with an active dendrite",
        reproduces="Gidon et al. 2020 (a human pyramidal cell can compute it)",
    )
    yield RecipeSpec(
        "ode/delayed-xor",
        "saltation_ode:delayed_xor",
        "the exclusive or with a delay between its inputs, by recurrent gated units",
        reproduces="Eventax 2026 (a recurrent EGRU solves it)",
    )
    yield RecipeSpec("ode/regression", "saltation_ode:regression", "a sine, read from a membrane potential")
    yield RecipeSpec(
        "ode/shd", "saltation_ode:shd", "spoken digits as spikes, recurrent LIF neurons with trainable delays"
    )
    yield RecipeSpec(
        "ode/shd-like",
        "saltation_ode:shd_like",
        "the timing of 700 units' bursts, by the network of ode/shd; generated",
    )
    yield RecipeSpec(
        "ode/yinyang-state", "saltation_ode:yinyang_state", "Yin-Yang read from membrane potentials of LIF neurons"
    )
    yield RecipeSpec("ode/digits", "saltation_ode:digits", "8 x 8 handwritten digits by first spikes, offline")
    yield RecipeSpec(
        "ode/mnist",
        "saltation_ode:mnist",
        "MNIST by first spikes, 784-100-10",
        reproduces="Göltz et al. 2021 (784-350-10: 97.1 %)",
    )
    yield RecipeSpec("ode/mnist-egru", "saltation_ode:mnist_egru", "MNIST by event-based gated units, 784-100-10")
