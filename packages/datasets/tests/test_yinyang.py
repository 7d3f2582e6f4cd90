"""Yin-Yang is the published data set, number for number."""

import json
from pathlib import Path

import numpy as np
import pytest

import saltation_datasets as sd

REFERENCE = json.loads((Path(__file__).parent / "data" / "yinyang.json").read_text())["splits"]


@pytest.fixture(scope="module")
def dataset():
    return sd.load_yinyang()


@pytest.mark.parametrize("part", ["train", "validation", "test"])
def test_split_is_the_published_one(dataset, part):
    split, reference = getattr(dataset, part), REFERENCE[part]
    assert len(split) == reference["size"]
    assert split.inputs.dtype == np.float64 and split.targets.dtype == np.int32
    np.testing.assert_array_equal(split.inputs[:8], reference["first_8"])
    np.testing.assert_array_equal(split.targets[:8], reference["first_8_labels"])
    np.testing.assert_array_equal(split.inputs[-2:], reference["last_2"])
    np.testing.assert_array_equal(split.targets[-2:], reference["last_2_labels"])
    assert np.bincount(split.targets).tolist() == reference["class_counts"]
    np.testing.assert_allclose(split.inputs[:, :2].sum(), reference["feature_sum"], rtol=1e-12)


def test_classes_are_named(dataset):
    assert dataset.name == "yinyang"
    assert dataset.classes == ("yin", "yang", "dot")


def test_features_mirror_the_point(dataset):
    np.testing.assert_array_equal(dataset.train.inputs[:, 2:], 1.0 - dataset.train.inputs[:, :2])


def test_every_point_lies_where_its_class_does(dataset):
    x, y = dataset.train.inputs[:, 0] - 0.5, dataset.train.inputs[:, 1] - 0.5
    left, right = np.hypot(x + 0.25, y), np.hypot(x - 0.25, y)
    assert np.all(np.hypot(x, y) <= 0.5)
    dot = np.minimum(left, right) < 0.1
    # Yang: the left half-disc's circle, and the upper half without the right one's.
    yang = ~dot & ((left <= 0.25) | ((y > 0) & (right > 0.25)))
    np.testing.assert_array_equal(dataset.train.targets, np.where(dot, 2, np.where(yang, 1, 0)))


def test_a_smaller_split_is_the_beginning_of_the_published_one(dataset):
    small = sd.load_yinyang(train_size=20, validation_size=10, test_size=0)
    np.testing.assert_array_equal(small.train.inputs, dataset.train.inputs[:20])
    np.testing.assert_array_equal(small.validation.inputs, dataset.validation.inputs[:10])
    assert len(small.test) == 0


def test_another_seed_draws_other_points():
    assert not np.array_equal(sd.generate_yinyang(10, seed=1).inputs, sd.generate_yinyang(10, seed=2).inputs)


@pytest.mark.parametrize("options", [{"train_size": 0}, {"validation_size": -1}, {"test_size": -3}])
def test_a_size_that_is_none_is_refused(options):
    option, size = next(iter(options.items()))
    with pytest.raises(ValueError, match=f"{option}: got {size}, expected at least"):
        sd.load_yinyang(**options)


def test_generating_a_negative_number_is_refused():
    with pytest.raises(ValueError, match="size: got -1"):
        sd.generate_yinyang(-1, seed=0)
