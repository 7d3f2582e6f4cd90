"""The records that plugins yield: a name, where its target is, and one line on what it is.

A record is plain data from the standard library, so that yielding one imports nothing heavy. The target
`"package.module:attribute"` is imported when it is first asked for.
"""

import re
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

_NAME = re.compile(r"\S+")
_TARGET = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*")


@dataclass(frozen=True)
class NeuronSpec:
    """A neuron model; the target is an `AbstractNeuron` class."""

    name: str
    target: str
    summary: str

    def __post_init__(self) -> None:
        _check(self)


@dataclass(frozen=True)
class MethodSpec:
    """A gradient method; the target is an `AbstractMethod` class. `cite`: BibTeX of the papers that it is from."""

    name: str
    target: str
    summary: str
    cite: str = ""

    def __post_init__(self) -> None:
        _check(self)


@dataclass(frozen=True)
class BackendSpec:
    """A backend, such as a chip; the target is an `AbstractBackend` class. `cite`: as of a method."""

    name: str
    target: str
    summary: str
    cite: str = ""

    def __post_init__(self) -> None:
        _check(self)


@dataclass(frozen=True)
class DatasetSpec:
    """A data set; the target is `load(*, data_dir=None, download=False, **options) -> Dataset`; `source`: whose."""

    name: str
    target: str
    summary: str
    source: str = ""

    def __post_init__(self) -> None:
        _check(self)


@dataclass(frozen=True)
class EncoderSpec:
    """An encoder; the target turns one sample into a stimulus."""

    name: str
    target: str
    summary: str

    def __post_init__(self) -> None:
        _check(self)


@dataclass(frozen=True)
class LossSpec:
    """A loss; the target is a function of a solution or of a read-out's output."""

    name: str
    target: str
    summary: str

    def __post_init__(self) -> None:
        _check(self)


@dataclass(frozen=True)
class RecipeSpec:
    """A recipe; the target is a function with plain arguments that returns an `Experiment`."""

    name: str
    target: str
    summary: str
    reproduces: str = ""

    def __post_init__(self) -> None:
        _check(self)


@dataclass(frozen=True)
class ReportSpec:
    """A section of a run's report; the target is a function that draws it."""

    name: str
    target: str
    summary: str

    def __post_init__(self) -> None:
        _check(self)


@dataclass(frozen=True)
class ConverterSpec:
    """A bridge to another library's networks; the target is a function that converts one."""

    name: str
    target: str
    summary: str

    def __post_init__(self) -> None:
        _check(self)


Record: TypeAlias = (
    NeuronSpec
    | MethodSpec
    | BackendSpec
    | DatasetSpec
    | EncoderSpec
    | LossSpec
    | RecipeSpec
    | ReportSpec
    | ConverterSpec
)


class Kind(NamedTuple):
    """One kind of thing that plugins bring: its singular name, its hook, its record."""

    name: str
    hook: str
    spec: type


KINDS = {
    kind.name: kind
    for kind in (
        Kind("neuron", "saltation_neurons", NeuronSpec),
        Kind("method", "saltation_methods", MethodSpec),
        Kind("backend", "saltation_backends", BackendSpec),
        Kind("dataset", "saltation_datasets", DatasetSpec),
        Kind("encoder", "saltation_encoders", EncoderSpec),
        Kind("loss", "saltation_losses", LossSpec),
        Kind("recipe", "saltation_recipes", RecipeSpec),
        Kind("report", "saltation_reports", ReportSpec),
        Kind("converter", "saltation_converters", ConverterSpec),
    )
}


def _check(record: Record) -> None:
    kind = type(record).__name__
    for field in ("name", "target", "summary"):
        value = getattr(record, field)
        if not isinstance(value, str):
            raise ValueError(f"{kind}: got {field}={value!r}, expected a string")
    if not _NAME.fullmatch(record.name):
        raise ValueError(f"{kind}: got the name {record.name!r}, expected one word such as 'delgrad' or 'ode/digits'")
    if not _TARGET.fullmatch(record.target):
        raise ValueError(
            f"{kind} {record.name!r}: got target={record.target!r}, expected 'package.module:attribute' "
            f"such as 'saltation_delgrad:DelGrad'"
        )
