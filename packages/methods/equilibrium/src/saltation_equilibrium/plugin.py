"""The plugin: what saltation-equilibrium registers."""

from collections.abc import Iterator

from saltation.plugins import MethodSpec, RecipeSpec, hookimpl


@hookimpl
def saltation_methods() -> Iterator[MethodSpec]:
    yield MethodSpec(
        "equilibrium",
        "saltation_equilibrium:Equilibrium",
        "rates at the fixed point of a feedback network; implicit differentiation",
    )


@hookimpl
def saltation_recipes() -> Iterator[RecipeSpec]:
    yield RecipeSpec(
        "equilibrium/digits", "saltation_equilibrium:digits", "8 x 8 handwritten digits by rates with feedback, offline"
    )
    yield RecipeSpec(
        "equilibrium/fashion-mnist",
        "saltation_equilibrium:fashion_mnist",
        "Fashion-MNIST by rates, 400 neurons with feedback",
        reproduces="Xiao et al. 2021 (784-400-10, 5 steps: 90.07 %)",
    )
