"""The digits are the real ones, in a split that stays."""

import hashlib
from importlib import resources

import numpy as np
import pytest

import saltation_datasets as sd

PARTS = ("train", "validation", "test")


@pytest.fixture(scope="module")
def dataset():
    return sd.load_digits()


def test_sizes_types_and_range(dataset):
    assert [len(getattr(dataset, part)) for part in PARTS] == [1197, 300, 300]
    assert dataset.sample_shape == (8, 8)
    assert dataset.classes == tuple("0123456789")
    for part in PARTS:
        split = getattr(dataset, part)
        assert split.inputs.dtype == np.float32 and split.targets.dtype == np.int32
        assert split.inputs.min() == 0.0 and split.inputs.max() == 1.0


def test_packaged_file_is_the_documented_one():
    folder = resources.files("saltation_datasets").joinpath("data")
    found = hashlib.sha256(folder.joinpath("digits.csv.gz").read_bytes()).hexdigest()
    note = folder.joinpath("README.md").read_text()
    assert found in note
    assert "CC BY 4.0" in note and "Alpaydin" in note


def test_every_image_is_in_one_split_with_its_label(dataset):
    splits = [getattr(dataset, part) for part in PARTS]
    images = np.concatenate([split.inputs.reshape(len(split), -1) for split in splits])
    labels = np.concatenate([split.targets for split in splits])
    assert len(np.unique(images, axis=0)) == 1797  # all images differ, so none is in two splits
    assert np.bincount(labels).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]


def test_images_show_the_digit_of_their_label(dataset):
    """A nearest-mean classifier, trained on one split, reads another: images and labels belong together."""
    train, test = dataset.train, dataset.test
    means = np.stack([train.inputs[train.targets == digit].mean(axis=0) for digit in range(10)])
    distance = ((test.inputs[:, None] - means[None]) ** 2).sum(axis=(2, 3))
    assert np.mean(distance.argmin(axis=1) == test.targets) > 0.85
    zeros = means[0]
    # Rows and columns are not mixed up: a zero is a ring around a hole.
    assert zeros[3:5, 3:5].mean() < 0.2 < zeros[3:5, 2].mean()


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_split_is_stratified(seed):
    dataset = sd.load_digits(seed=seed)
    total = np.array([178, 182, 177, 183, 181, 182, 181, 179, 174, 180]) / 1797
    for part in PARTS:
        split = getattr(dataset, part)
        assert np.all(np.abs(np.bincount(split.targets, minlength=10) - total * len(split)) <= 2)


def test_split_is_fixed(dataset):
    again = sd.load_digits()
    np.testing.assert_array_equal(again.train.inputs, dataset.train.inputs)
    digest = hashlib.sha256(b"".join(getattr(dataset, part).targets.astype("<i4").tobytes() for part in PARTS))
    assert digest.hexdigest() == "8b1297064976742ad397482e6bb07b7c07dccdfa74b598d63dfebfb8bdb653cb"


def test_seed_draws_another_split(dataset):
    assert not np.array_equal(sd.load_digits(seed=1).test.inputs, dataset.test.inputs)


def test_sizes_can_be_chosen():
    dataset = sd.load_digits(validation_size=0, test_size=797)
    assert [len(getattr(dataset, part)) for part in PARTS] == [1000, 0, 797]


@pytest.mark.parametrize(
    "options, message",
    [
        ({"test_size": 1797}, r"test_size: got 1797, expected 0 to 1796"),
        ({"validation_size": 1500}, r"validation_size: got 1500, expected 0 to 1496"),
        ({"validation_size": -1}, r"validation_size: got -1"),
    ],
)
def test_sizes_that_leave_nothing_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        sd.load_digits(**options)
