"""What this package brings to Saltation: read by plugin discovery, so it imports nothing heavy."""

from collections.abc import Iterator

from saltation.plugins import ConverterSpec, hookimpl


@hookimpl
def saltation_converters() -> Iterator[ConverterSpec]:
    yield ConverterSpec("nir", "saltation_nir:to_nir", "a network as a graph of NIR")
    yield ConverterSpec("from_nir", "saltation_nir:from_nir", "a graph or file of NIR as a network")
