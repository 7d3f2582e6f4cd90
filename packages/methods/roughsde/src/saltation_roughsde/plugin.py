"""The plugin: what saltation-roughsde registers."""

from collections.abc import Iterator

from saltation.plugins import DatasetSpec, LossSpec, MethodSpec, RecipeSpec, ReportSpec, hookimpl

_CITE = """@inproceedings{holberg2024exact,
  author = {Holberg, Christian and Salvi, Cristopher},
  title = {Exact gradients for stochastic spiking neural networks driven by rough signals},
  booktitle = {Advances in Neural Information Processing Systems},
  volume = {37},
  year = {2024},
}"""


@hookimpl
def saltation_methods() -> Iterator[MethodSpec]:
    yield MethodSpec(
        "roughsde",
        "saltation_roughsde:RoughSDE",
        "stochastic neurons driven by cadlag paths; pathwise gradients",
        cite=_CITE,
    )


@hookimpl
def saltation_losses() -> Iterator[LossSpec]:
    yield LossSpec("signature_kernel", "saltation_roughsde:signature_kernel", "inner product of two paths' signatures")
    yield LossSpec(
        "signature_mmd", "saltation_roughsde:mmd_squared", "maximum mean discrepancy of two samples under a kernel"
    )
    yield LossSpec(
        "expected_signature",
        "saltation_roughsde:expected_signature_distance",
        "mean squared difference of two expected signatures",
    )
    yield LossSpec(
        "first_spikes_mse", "saltation_roughsde:first_spikes_mse", "squared difference of mean first spike times"
    )


@hookimpl
def saltation_datasets() -> Iterator[DatasetSpec]:
    yield DatasetSpec(
        "sampled_trains",
        "saltation_roughsde:load_sampled_trains",
        "spike trains sampled from a stochastic neuron, or from a network of 22; generated",
        source="Holberg and Salvi: Exact gradients for stochastic spiking neural networks, NeurIPS 2024",
    )


@hookimpl
def saltation_recipes() -> Iterator[RecipeSpec]:
    yield RecipeSpec(
        "roughsde/single-neuron",
        "saltation_roughsde:estimate_current",
        "the current of a stochastic neuron, from samples of its first spikes",
        reproduces="Holberg and Salvi 2024, section 5.1 (|c - 1.5| < .05 after 640-790 steps)",
    )
    yield RecipeSpec(
        "roughsde/teacher-student",
        "saltation_roughsde:teacher_student",
        "4-16-2 stochastic neurons that learn to spike like others",
        reproduces="Holberg and Salvi 2024, section 5.2",
    )
    yield RecipeSpec(
        "roughsde/grasshopper",
        "saltation_roughsde:receptor",
        "a stochastic neuron that spikes like an auditory receptor of a grasshopper",
    )


@hookimpl
def saltation_reports() -> Iterator[ReportSpec]:
    yield ReportSpec("roughsde", "saltation_roughsde:report", "rasters, intervals, distance to the data, parameters")
