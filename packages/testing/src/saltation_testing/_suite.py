"""What all suites share: laws that can be skipped by name, for a stated reason."""

import difflib
from collections.abc import Mapping
from typing import Any, ClassVar

import pytest


class AbstractSuite:
    """A class of laws. A subclass whose name starts with `Test` is collected by pytest.

    `skip` names laws that do not apply, each with its reason: `skip = {"test_vmap_is_a_loop": "one chip"}`.
    """

    skip: ClassVar[Mapping[str, str]] = {}

    @pytest.fixture(autouse=True)
    def _skip_what_does_not_apply(self, request: pytest.FixtureRequest) -> None:
        for name in self.skip:
            if not hasattr(type(self), name):
                laws = [law for law in dir(type(self)) if law.startswith("test_")]
                near = difflib.get_close_matches(name, laws, n=1)
                hint = f" Did you mean {near[0]!r}?" if near else ""
                raise ValueError(f"{type(self).__name__}.skip got {name!r}; expected one of {laws}.{hint}")
        law = request.node.originalname
        if law in self.skip:
            pytest.skip(self.skip[law])


def parametrise(metafunc: pytest.Metafunc, argument: str, values: Mapping[str, Any]) -> None:
    """Run a law once for each of `values`, by name."""
    if argument in metafunc.fixturenames:
        # By class: what is prepared for a value serves all laws.
        metafunc.parametrize(argument, list(values.values()), ids=list(values), scope="class")
