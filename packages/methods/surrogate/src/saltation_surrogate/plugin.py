"""The plugin: what saltation-surrogate registers."""

from collections.abc import Iterator

from saltation.plugins import MethodSpec, RecipeSpec, hookimpl

_CITE = """@article{neftci2019surrogate,
  author = {Neftci, Emre O. and Mostafa, Hesham and Zenke, Friedemann},
  title = {Surrogate gradient learning in spiking neural networks},
  journal = {IEEE Signal Processing Magazine},
  volume = {36},
  number = {6},
  pages = {51--63},
  year = {2019},
}"""


@hookimpl
def saltation_methods() -> Iterator[MethodSpec]:
    yield MethodSpec(
        "surrogate",
        "saltation_surrogate:Surrogate",
        "discrete time and surrogate gradients, a biased baseline; neurons with a closed form, recurrence, delays",
        cite=_CITE,
    )


@hookimpl
def saltation_recipes() -> Iterator[RecipeSpec]:
    yield RecipeSpec("surrogate/yinyang", "saltation_surrogate:yinyang", "Yin-Yang by first spikes, in discrete time")
    yield RecipeSpec(
        "surrogate/digits", "saltation_surrogate:digits", "8 x 8 handwritten digits by first spikes, in discrete time"
    )
