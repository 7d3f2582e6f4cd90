"""The hooks that a plugin may implement, each with a complete `plugin.py` in its docstring.

A plugin is a distribution that names its light module in the entry-point group `saltation`:

```toml
[project.entry-points.saltation]
izhikevich = "my_neurons.plugin"
```

That module imports `saltation.plugins` and nothing heavy, and yields records. It may state
`SALTATION_API = 1`, the version of this interface that it is written for.
"""

from collections.abc import Iterable

import pluggy

from ._records import (
    BackendSpec,
    ConverterSpec,
    DatasetSpec,
    EncoderSpec,
    LossSpec,
    MethodSpec,
    NeuronSpec,
    RecipeSpec,
    ReportSpec,
)

PROJECT = "saltation"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)
"""Marks a function of a plugin as the implementation of the hook that has its name."""


@hookspec
def saltation_neurons() -> Iterable[NeuronSpec]:  # pyright: ignore[reportReturnType]
    """Neuron models.

    **Returns**

    Records whose target is a final `AbstractNeuron` class.

    **Example**

    ```python
    # my_neurons/plugin.py
    from collections.abc import Iterator

    from saltation.plugins import NeuronSpec, hookimpl


    @hookimpl
    def saltation_neurons() -> Iterator[NeuronSpec]:
        yield NeuronSpec("resonator", "my_neurons:Resonator", "a damped oscillator with a threshold")
    ```
    """


@hookspec
def saltation_methods() -> Iterable[MethodSpec]:  # pyright: ignore[reportReturnType]
    """Gradient methods.

    **Returns**

    Records whose target is a final `AbstractMethod` class that can be made without arguments.

    **Example**

    ```python
    # my_method/plugin.py
    from collections.abc import Iterator

    from saltation.plugins import MethodSpec, hookimpl


    @hookimpl
    def saltation_methods() -> Iterator[MethodSpec]:
        yield MethodSpec("adjoint", "my_method:Adjoint", "backward simulation of the adjoint system")
    ```
    """


@hookspec
def saltation_backends() -> Iterable[BackendSpec]:  # pyright: ignore[reportReturnType]
    """Backends that run a network, such as a chip or its emulator.

    **Returns**

    Records whose target is a final `AbstractBackend` class.

    **Example**

    ```python
    # my_chip/plugin.py
    from collections.abc import Iterator

    from saltation.plugins import BackendSpec, hookimpl


    @hookimpl
    def saltation_backends() -> Iterator[BackendSpec]:
        yield BackendSpec("my-chip", "my_chip:Chip", "the chip on our bench, over USB")
    ```
    """


@hookspec
def saltation_datasets() -> Iterable[DatasetSpec]:  # pyright: ignore[reportReturnType]
    """Data sets.

    **Returns**

    Records whose target is `load(*, data_dir=None, download=False, **options) -> Dataset`; it fetches
    nothing unless `download` is true.

    **Example**

    ```python
    # my_data/plugin.py
    from collections.abc import Iterator

    from saltation.plugins import DatasetSpec, hookimpl


    @hookimpl
    def saltation_datasets() -> Iterator[DatasetSpec]:
        yield DatasetSpec(
            "two-moons",
            "my_data:load_two_moons",
            "two interleaved half circles, 2 inputs, 2 classes",
            source="generated",
        )
    ```
    """


@hookspec
def saltation_encoders() -> Iterable[EncoderSpec]:  # pyright: ignore[reportReturnType]
    """Encoders, from the values of one sample to spikes or currents.

    **Returns**

    Records whose target is a pure function of one sample.

    **Example**

    ```python
    # my_encoders/plugin.py
    from collections.abc import Iterator

    from saltation.plugins import EncoderSpec, hookimpl


    @hookimpl
    def saltation_encoders() -> Iterator[EncoderSpec]:
        yield EncoderSpec("rank_order", "my_encoders:rank_order", "one spike per input, in order of value")
    ```
    """


@hookspec
def saltation_losses() -> Iterable[LossSpec]:  # pyright: ignore[reportReturnType]
    """Losses.

    **Returns**

    Records whose target is a differentiable function of what a solution holds.

    **Example**

    ```python
    # my_losses/plugin.py
    from collections.abc import Iterator

    from saltation.plugins import LossSpec, hookimpl


    @hookimpl
    def saltation_losses() -> Iterator[LossSpec]:
        yield LossSpec("van_rossum", "my_losses:van_rossum", "distance of two filtered spike trains")
    ```
    """


@hookspec
def saltation_recipes() -> Iterable[RecipeSpec]:  # pyright: ignore[reportReturnType]
    """Recipes for experiments, reached from the command line as `saltation train NAME`.

    **Returns**

    Records whose target is a function with plain keyword arguments that returns an `Experiment`.

    **Example**

    ```python
    # my_method/plugin.py
    from collections.abc import Iterator

    from saltation.plugins import RecipeSpec, hookimpl


    @hookimpl
    def saltation_recipes() -> Iterator[RecipeSpec]:
        yield RecipeSpec(
            "adjoint/yinyang",
            "my_method.recipes:yinyang",
            "Yin-Yang with 30 hidden neurons",
            reproduces="figure 2 of the paper: 95 % test accuracy",
        )
    ```
    """


@hookspec
def saltation_reports() -> Iterable[ReportSpec]:  # pyright: ignore[reportReturnType]
    """Sections that a run's report may hold.

    **Returns**

    Records whose target is a function that draws one section.

    **Example**

    ```python
    # my_plots/plugin.py
    from collections.abc import Iterator

    from saltation.plugins import ReportSpec, hookimpl


    @hookimpl
    def saltation_reports() -> Iterator[ReportSpec]:
        yield ReportSpec("isi", "my_plots:isi", "histogram of the inter-spike intervals of each population")
    ```
    """


@hookspec
def saltation_converters() -> Iterable[ConverterSpec]:  # pyright: ignore[reportReturnType]
    """Bridges to the networks of other libraries.

    **Returns**

    Records whose target is a function that turns a network into the other library's, or back.

    **Example**

    ```python
    # my_bridge/plugin.py
    from collections.abc import Iterator

    from saltation.plugins import ConverterSpec, hookimpl


    @hookimpl
    def saltation_converters() -> Iterator[ConverterSpec]:
        yield ConverterSpec("brian", "my_bridge:to_brian", "a network as Brian 2 code")
    ```
    """
