"""`saltation.Dataset` and `saltation.Split` hold what they promise, and refuse the rest in words."""

import dataclasses

import numpy as np
import pytest

import saltation as st


def split(n=4, shape=(2,), classes=2, dtype="float32"):
    return st.Split(inputs=np.zeros((n, *shape), dtype), targets=np.arange(n, dtype=np.int32) % classes)


def dataset(**fields):
    parts = {"name": "toy", "train": split(), "validation": split(), "test": split(), "classes": ("a", "b")}
    return st.Dataset(**{**parts, **fields})


def test_split_knows_its_length_and_prints_its_shape():
    assert len(split(5)) == 5
    assert repr(split(5)) == "Split(inputs=float32[5, 2], targets=int32[5])"


def test_dataset_prints_without_its_numbers():
    assert "train=Split(inputs=float32[4, 2], targets=int32[4])" in repr(dataset())


def test_dataset_knows_the_shape_of_a_sample():
    images = split(shape=(8, 8))
    assert dataset(train=images, validation=images, test=images).sample_shape == (8, 8)


@pytest.mark.parametrize("record, field", [(split(), "inputs"), (dataset(), "train")])
def test_records_are_frozen(record, field):
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(record, field, None)


@pytest.mark.parametrize(
    "inputs, targets, message",
    [
        (np.zeros((3, 2)), np.zeros(2, int), r"targets of shape \(2,\), expected \(3,\).*Fix:"),
        (np.zeros((3, 2)), np.zeros((3, 10), int), r"targets of shape \(3, 10\).*not a one-hot row"),
        (np.zeros(()), np.zeros(1, int), r"inputs without axes"),
        (np.array([[np.nan]]), np.zeros(1, int), r"got NaN in inputs.*Fix:"),
        (np.zeros((1, 1)), np.array([np.nan]), r"got NaN in targets"),
    ],
)
def test_split_refuses(inputs, targets, message):
    with pytest.raises(ValueError, match=message):
        st.Split(inputs=inputs, targets=targets)


# A type checker in front of the records, as in this project's own test runs, says the same in its words.
REFUSED = (ValueError, TypeError)


def test_split_refuses_lists():
    with pytest.raises(REFUSED, match=r"got inputs of type list, expected a numpy.ndarray. Fix:|parameter 'inputs'"):
        st.Split(inputs=[[0.0]], targets=np.zeros(1, int))  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    "fields, message",
    [
        ({"name": ""}, "empty name"),
        (
            {"test": split(shape=(3,))},
            r"got test inputs float32\[4, 3\], expected float32\[n, 2\] as in train",
        ),
        ({"validation": split(dtype="float64")}, r"got validation inputs float64\[4, 2\]"),
        ({"test": split(classes=3)}, "test targets from 0 to 2, expected 0 to 1"),
        ({"train": st.Split(np.zeros((1, 2), np.float32), np.array([-1]))}, "train targets from -1 to -1"),
        ({"train": st.Split(np.zeros((1, 2), np.float32), np.array([0.5]))}, "expected class indices"),
    ],
)
def test_dataset_refuses(fields, message):
    with pytest.raises(ValueError, match=message):
        dataset(**fields)


@pytest.mark.parametrize(
    "fields, message",
    [
        ({"classes": ["a", "b"]}, "expected a tuple of names|parameter 'classes'"),
        ({"classes": (0, 1)}, "expected a tuple of names|parameter 'classes'"),
        ({"test": np.zeros(3)}, "got test of type ndarray, expected a Split|parameter 'test'"),
    ],
)
def test_dataset_refuses_other_types(fields, message):
    with pytest.raises(REFUSED, match=message):
        dataset(**fields)


def test_targets_need_not_be_classes():
    numbers = st.Split(np.zeros((2, 2), np.float32), np.array([0.5, -3.0]))
    assert dataset(train=numbers, validation=numbers, test=numbers, classes=()).classes == ()


def test_validation_split_may_be_empty():
    assert len(dataset(validation=split(0)).validation) == 0
