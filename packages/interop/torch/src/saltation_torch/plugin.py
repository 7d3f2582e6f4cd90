"""What this package brings to Saltation: read by plugin discovery, so it imports nothing heavy."""

from collections.abc import Iterator

from saltation.plugins import ConverterSpec, hookimpl


@hookimpl
def saltation_converters() -> Iterator[ConverterSpec]:
    yield ConverterSpec("torch", "saltation_torch:SpikingModule", "a network and a method as a torch.nn.Module")
