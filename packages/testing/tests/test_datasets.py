"""The suite of data sets: a right one passes every law, a wrong one fails the law that it breaks."""

import inspect
import socket

import numpy as np
import pytest

import saltation as st
from saltation_testing import AbstractDatasetConformance


def load_stripes(*, data_dir=None, download=False, size: int = 12, fault: str = "") -> st.Dataset:
    """Stripes in noise. `fault` names what is wrong with them."""
    if fault == "fetches":
        socket.create_connection(("localhost", 9))

    def split(seed: int) -> st.Split:
        seed = 1 if fault == "shares samples" else seed
        random = np.random if fault == "disturbs others" else np.random.RandomState(seed)
        if fault == "never the same":
            random = np.random.default_rng()
        targets = np.arange(size, dtype=np.int64 if fault == "wide classes" else np.int32) % 2
        if fault == "a missing class":
            targets = np.zeros_like(targets)
        images = np.stack([np.tile(np.arange(4) % 2, (4, 1)) if t else np.zeros((4, 4)) for t in targets])
        return st.Split((0.8 * images + 0.2 * random.random((size, 4, 4))).astype(np.float32), targets)

    return st.Dataset("stripes", split(1), split(2), split(3), classes=("plain", "striped"))


LAWS = [name for name in dir(AbstractDatasetConformance) if name.startswith("test_")]


def run(law: str, fault: str, tmp_path, monkeypatch) -> None:
    class Suite(AbstractDatasetConformance):
        options = {"size": 12, "fault": fault}

        def load(self, **options):
            return load_stripes(**options)

    suite = Suite()
    given = {"tmp_path": tmp_path, "monkeypatch": monkeypatch}
    wanted = inspect.signature(getattr(suite, law)).parameters
    if "dataset" in wanted:
        given["dataset"] = suite.load(**suite.options)
    getattr(suite, law)(**{name: given[name] for name in wanted})


@pytest.mark.parametrize("law", LAWS)
def test_a_right_data_set_passes(law, tmp_path, monkeypatch):
    run(law, "", tmp_path, monkeypatch)


@pytest.mark.parametrize(
    ("fault", "law", "message"),
    [
        ("shares samples", "test_no_sample_is_in_two_splits", "is also in validation"),
        ("disturbs others", "test_nobody_elses_random_numbers_change", "NumPy's global generator"),
        ("never the same", "test_loaded_twice_it_is_the_same", "other inputs the second time"),
        ("a missing class", "test_every_class_can_be_learnt", r"no training sample of the classes \['striped'\]"),
        ("wide classes", "test_inputs_and_targets_are_in_order", "classes of int64; expected int32"),
        ("fetches", "test_nothing_is_fetched_without_being_asked_for", "although download=False"),
    ],
)
def test_a_wrong_data_set_fails(fault, law, message, tmp_path, monkeypatch):
    with pytest.raises(AssertionError, match=message):
        run(law, fault, tmp_path, monkeypatch)
