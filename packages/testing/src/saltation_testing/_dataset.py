"""The conformance suite of data sets."""

import abc
import functools
import inspect
import socket
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import pytest

import saltation as st

from ._suite import AbstractSuite

_SPLITS = ("train", "validation", "test")


class AbstractDatasetConformance(AbstractSuite, abc.ABC):
    """The laws of a data set. Subclass it in a test file; say how it is loaded.

    - `load(**options)`: the registered target, `load(*, data_dir=None, download=False, **options) -> Dataset`.
    - `options`: its options, such as a small size or, where files are needed, `{"data_dir": ...}` with some.
    - `overlapping`: whether one sample may be in two splits.

    ```python
    class TestStripes(AbstractDatasetConformance):
        options = {"size": 40}

        def load(self, **options):
            return load_stripes(**options)
    ```
    """

    options: ClassVar[Mapping[str, Any]] = {}
    overlapping: ClassVar[bool] = False

    @abc.abstractmethod
    def load(self, **options: Any) -> st.Dataset:
        """The data set."""

    @pytest.fixture
    def dataset(self) -> st.Dataset:
        return _loaded(type(self))

    def test_it_is_a_data_set_that_can_be_trained_on(self, dataset):
        assert isinstance(dataset, st.Dataset), f"load: got a {type(dataset).__name__}; expected a saltation.Dataset."
        assert len(dataset.train) > 0, "the training split is empty."
        assert len(dataset.test) > 0, "the test split is empty: no run on it would have a score."

    def test_inputs_and_targets_are_in_order(self, dataset):
        for name in _SPLITS:
            split = getattr(dataset, name)
            inputs = split.inputs
            if np.issubdtype(inputs.dtype, np.floating) and inputs.ndim > 2:
                assert inputs.dtype == np.float32, f"{name}: images of {inputs.dtype}; expected float32."
            assert inputs.dtype != object and split.targets.dtype != object, f"{name}: arrays of Python objects."
            if dataset.classes:
                assert split.targets.dtype == np.int32, f"{name}: classes of {split.targets.dtype}; expected int32."

    def test_every_class_can_be_learnt(self, dataset):
        if not dataset.classes:
            pytest.skip("its targets are no classes")
        missing = sorted(set(range(len(dataset.classes))) - set(np.unique(dataset.train.targets).tolist()))
        assert not missing, f"no training sample of the classes {[dataset.classes[i] for i in missing]}."

    def test_loaded_twice_it_is_the_same(self, dataset):
        again = self.load(**self.options)
        for name in _SPLITS:
            one, other = getattr(dataset, name), getattr(again, name)
            assert np.array_equal(one.inputs, other.inputs), f"{name}: other inputs the second time; fix its seed."
            assert np.array_equal(one.targets, other.targets), f"{name}: other targets the second time; fix its seed."

    def test_nobody_elses_random_numbers_change(self):
        np.random.seed(0)
        expected = np.random.random(4)
        np.random.seed(0)
        self.load(**self.options)
        found = np.random.random(4)
        assert np.array_equal(found, expected), "load draws from NumPy's global generator; use one of its own."

    def test_no_sample_is_in_two_splits(self, dataset):
        if self.overlapping:
            pytest.skip("its splits may share samples")
        seen: dict[bytes, str] = {}
        for name in _SPLITS:
            split = getattr(dataset, name)
            for sample in {row.tobytes() for row in np.ascontiguousarray(split.inputs)}:
                other = seen.setdefault(sample, name)
                assert other == name, f"a sample of {other} is also in {name}; scores there would mean little."

    def test_its_arguments_are_those_of_every_data_set(self):
        parameters = inspect.signature(self.load).parameters
        if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()):
            # The suite's own wrapper: what it passes on must be accepted.
            self.load(**{"data_dir": None, "download": False, **self.options})
        with pytest.raises((TypeError, ValueError)):
            self.load(**self.options, no_such_option=1)

    def test_nothing_is_fetched_without_being_asked_for(self, tmp_path, monkeypatch):
        def refuse(*_: Any, **__: Any) -> None:
            raise AssertionError("load opens a connection although download=False.")

        monkeypatch.setattr(socket.socket, "connect", refuse)
        monkeypatch.setattr(socket, "getaddrinfo", refuse)
        try:
            self.load(**{**self.options, "data_dir": tmp_path, "download": False})
        except st.DataError as error:
            assert len(str(error).split()) >= 6, f"the message {str(error)!r} does not say what to do."


@functools.lru_cache(maxsize=1)
def _loaded(suite: "type[AbstractDatasetConformance]") -> st.Dataset:
    """Loaded once for all laws of a suite."""
    return suite().load(**suite.options)
