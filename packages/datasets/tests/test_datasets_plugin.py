"""What the plugin registers exists, loads lazily, and keeps the contract of a data set."""

import importlib
import inspect
import subprocess
import sys

import pytest

import saltation_datasets
from saltation_datasets import plugin

SPECS = {spec.name: spec for spec in plugin.saltation_datasets()}


def _target(spec):
    module, attribute = spec.target.split(":")
    return getattr(importlib.import_module(module), attribute)


def test_all_data_sets_are_registered():
    generated = ["yinyang", "xor", "delayed_xor", "sine", "shd_like"]
    read = ["shd", "digits", "mnist", "fashion_mnist", "n_mnist", "cifar10", "cifar100", "grasshopper"]
    assert sorted(SPECS) == sorted(generated + read)


@pytest.mark.parametrize("name", SPECS)
def test_record_says_what_and_from_where(name):
    assert SPECS[name].summary and SPECS[name].source


@pytest.mark.parametrize("name", SPECS)
def test_target_has_the_signature_of_a_data_set(name):
    parameters = inspect.signature(_target(SPECS[name])).parameters
    assert all(parameter.kind is parameter.KEYWORD_ONLY for parameter in parameters.values())
    assert parameters["data_dir"].default is None
    assert parameters["download"].default is False


@pytest.mark.parametrize("name", ["yinyang", "xor", "delayed_xor", "sine", "digits"])
def test_offline_data_sets_load_by_default(name):
    dataset = _target(SPECS[name])(data_dir="nowhere", download=False)
    assert dataset.name == name
    assert len(dataset.train) > len(dataset.test) > 0


@pytest.mark.parametrize("name", dir(saltation_datasets))
def test_public_names_exist(name):
    assert getattr(saltation_datasets, name) is not None


def test_discovery_imports_neither_numpy_nor_jax():
    code = (
        "import sys, saltation_datasets.plugin as plugin; list(plugin.saltation_datasets()); "
        "print([name for name in ('numpy', 'jax', 'pooch') if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
