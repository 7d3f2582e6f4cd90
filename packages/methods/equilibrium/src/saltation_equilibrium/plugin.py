"""The plugin: what saltation-equilibrium registers."""

from collections.abc import Iterator

from saltation.plugins import MethodSpec, RecipeSpec, hookimpl

_CITE = """@inproceedings{xiao2021feedback,
  author = {Xiao, Mingqing and Meng, Qingyan and Zhang, Zongpeng and Wang, Yisen and Lin, Zhouchen},
  title = {Training feedback spiking neural networks by implicit differentiation on the equilibrium state},
  booktitle = {Advances in Neural Information Processing Systems},
  volume = {34},
  year = {2021},
}"""


@hookimpl
def saltation_methods() -> Iterator[MethodSpec]:
    yield MethodSpec(
        "equilibrium",
        "saltation_equilibrium:Equilibrium",
        "rates at the fixed point of a feedback network; implicit differentiation",
        cite=_CITE,
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
    yield RecipeSpec(
        "equilibrium/mnist",
        "saltation_equilibrium:mnist",
        "MNIST by rates, one convolutional layer with feedback",
        reproduces="Xiao et al. 2021 (64C5s(F64C5), LIF, 30 steps: 99.53 %)",
    )
    yield RecipeSpec(
        "equilibrium/nmnist",
        "saltation_equilibrium:nmnist",
        "N-MNIST by rates, one convolutional layer with feedback",
        reproduces="Xiao et al. 2021 (64C5s(F64C5), 30 steps: 99.42 %)",
    )
    yield RecipeSpec(
        "equilibrium/cifar10",
        "saltation_equilibrium:cifar10",
        "CIFAR-10 by rates, five convolutional layers with feedback",
        reproduces="Xiao et al. 2021 (CIFARNet-F, 100 steps: 92.5 %)",
    )
    yield RecipeSpec(
        "equilibrium/cifar100",
        "saltation_equilibrium:cifar100",
        "CIFAR-100 by rates, five convolutional layers with feedback",
        reproduces="Xiao et al. 2021 (CIFARNet-F, 100 steps: 73.1 %)",
    )
