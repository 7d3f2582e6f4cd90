"""For mkdocstrings: an Equinox module is a dataclass without its decorator, so that its signature is its fields.

griffe reads sources without running them and knows dataclasses by their decorator alone.
"""

from griffe import Attribute, Class, Decorator, Expr, ExprCall, ExprName, Extension, Module

BASES = {"equinox.Module", "typing.NamedTuple"}
ABSTRACT = {"equinox.AbstractVar", "equinox.AbstractClassVar"}


class EquinoxSignatures(Extension):
    """Decorates classes that derive from `equinox.Module` or `NamedTuple`; griffe's own extension does the rest."""

    def on_package(self, *, pkg: Module, **_) -> None:
        decorate(pkg, Decorator(ExprName("dataclasses.dataclass"), lineno=None, endlineno=None))


def decorate(scope: Module | Class, decorator: Decorator) -> None:
    for member in scope.members.values():
        if member.is_alias:
            continue
        if isinstance(member, Class) and is_record(member):
            member.decorators.append(decorator)
            for field in member.attributes.values():
                if not field.is_alias:
                    simplify(field)
        if isinstance(member, Module | Class):
            decorate(member, decorator)


def is_record(class_: Class) -> bool:
    ancestors = [class_, *class_.mro()]
    return any(str(getattr(base, "canonical_path", base)) in BASES for one in ancestors for base in one.bases)


def simplify(field: Attribute) -> None:
    """An abstract field is no argument, and `eqx.field(static=True, default=1.0)` is shown as its default."""
    if getattr(field.annotation, "canonical_path", None) in ABSTRACT:
        field.labels = {"class-attribute"}
    value = field.value
    if isinstance(value, ExprCall) and value.canonical_path == "equinox.field":
        given = {argument.name: argument.value for argument in value.arguments if isinstance(argument, Expr)}
        field.value = given.get("default")
