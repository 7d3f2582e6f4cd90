"""What this package brings to Saltation: read by plugin discovery, so it imports nothing heavy."""

from collections.abc import Iterator

from saltation.plugins import NeuronSpec, RecipeSpec, hookimpl


@hookimpl
def saltation_neurons() -> Iterator[NeuronSpec]:
    """The neuron."""
    yield NeuronSpec(
        "adaptive_lif", "saltation_adaptive_threshold:AdaptiveLIF", "leaky integrate-and-fire, adaptive threshold"
    )


@hookimpl
def saltation_recipes() -> Iterator[RecipeSpec]:
    """Its recipe."""
    yield RecipeSpec(
        "adaptive_lif/yinyang", "saltation_adaptive_threshold:yinyang", "Yin-Yang with adaptive thresholds"
    )
