"""What the laws of methods are written in: the method, its cases, and what it finds for them."""

import abc
import functools
from collections.abc import Mapping
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import saltation as st
from saltation import AbstractMethod, Network, Save

from ._case import Case, CompleteCase, completed
from ._outcome import (
    FIELDS,
    Outcome,
    find_batch_outcome,
    find_outcome,
    main_field,
    saved,
    solved,
)
from ._suite import AbstractSuite, parametrise


class AbstractMethodSetting(AbstractSuite, abc.ABC):
    """The method of a conformance suite and what it is tested on; see `AbstractMethodConformance`."""

    t1: ClassVar[float] = 40.0
    key: ClassVar[int | None] = None
    rtol: ClassVar[float] = 1e-5
    step: ClassVar[float] = 3e-5
    same_rtol: ClassVar[float] = 1e-8

    @abc.abstractmethod
    def method(self) -> AbstractMethod:
        """The method."""

    @abc.abstractmethod
    def networks(self) -> Mapping[str, Network | Case]:
        """Networks that it supports."""

    def refused(self) -> Mapping[str, Network]:
        """Networks that it does not support; none unless overridden."""
        return {}

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        if "case" in metafunc.fixturenames:
            parametrise(metafunc, "case", _cases(type(self)))
        if "unsupported" in metafunc.fixturenames:
            parametrise(metafunc, "unsupported", _refused(type(self)))
        if "field" in metafunc.fixturenames:
            provided = [field for field in FIELDS if field in self.method().provides]
            parametrise(metafunc, "field", {field: field for field in provided})

    def random_key(self) -> Any:
        return None if self.key is None else jax.random.key(self.key)

    def save(self, field: str | None = None, t1: float = 1.0) -> Save:
        return saved(main_field(self.method()) if field is None else field, t1)

    def at(self, case: CompleteCase) -> tuple[Network, Any]:
        """What is differentiated: the network and the stimulus."""
        return case.network, case.stimulus

    def outcome(self, case: CompleteCase, field: str | None = None, *, method: Any = None, back: Any = None) -> Outcome:
        """What the method finds, and the gradient of a fixed random sum over a field of it; compiled once a case."""
        method = self.method() if method is None else method
        field = main_field(method) if field is None else field
        orders = {name: np.arange(neuron.size) for name, neuron in case.network.neurons.items()} | (back or {})
        orders = {name: jnp.asarray(order, jnp.int32) for name, order in orders.items()}
        return find_outcome(method, self.at(case), orders, case.t1, saved(field, case.t1), self.random_key(), field)

    def without_gradient(self, case: CompleteCase, method: Any) -> st.Solution:
        """What a method finds, which compiles in half the time."""
        return solved(method, self.at(case), case.t1, self.save(t1=case.t1), self.random_key(), False)

    def batch(self, cases: list[CompleteCase]) -> Outcome:
        """The same for cases that differ in their stimulus, under vmap."""
        method, case = self.method(), cases[0]
        field = main_field(method)
        stimuli = jax.tree.map(lambda *leaves: jnp.stack(leaves), *[one.stimulus for one in cases])
        save = saved(field, case.t1)
        return find_batch_outcome(method, (case.network, stimuli), case.t1, save, self.random_key(), field)

    def times(self, case: CompleteCase) -> dict[str, np.ndarray]:
        """Spike times `[n, k]` of each population."""
        return jax.tree.map(np.asarray, self.outcome(case).observed["spikes"])

    def must_throw(self, case: CompleteCase, message: str, method: Any = None) -> None:
        method = self.method() if method is None else method
        with pytest.raises(Exception, match=message):
            solution = solved(method, self.at(case), case.t1, self.save(t1=case.t1), self.random_key(), True)
            jax.block_until_ready(eqx.filter(solution, eqx.is_array))

    def need_spikes(self) -> None:
        if "spikes" not in self.method().provides:
            pytest.skip("the method does not provide spikes")


@functools.cache
def _cases(suite: type[AbstractMethodSetting]) -> dict[str, CompleteCase]:
    """The cases of a suite, made once and not for each of its laws."""
    return {name: completed(case, suite.t1) for name, case in suite().networks().items()}


@functools.cache
def _refused(suite: type[AbstractMethodSetting]) -> dict[str, Network]:
    return dict(suite().refused())
