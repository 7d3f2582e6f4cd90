"""What the plugin registers exists, is found by name, and loads lazily."""

import subprocess
import sys

import pytest

import saltation as st
import saltation_neurons
from saltation_neurons import plugin

SPECS = {spec.name: spec for spec in plugin.saltation_neurons()}


def test_all_models_are_registered():
    names = [
        *("lif", "qif", "theta", "eif", "adex", "izhikevich", "alif", "egru", "dendritic_lif", "if"),
        *("stochastic_lif", "refractory", "at_most_once", "positive"),
    ]
    assert list(SPECS) == names
    models = {
        name
        for name in dir(saltation_neurons)
        if isinstance(getattr(saltation_neurons, name), type)
        and issubclass(getattr(saltation_neurons, name), st.AbstractNeuron)
    }
    assert models == {spec.target.split(":")[1] for spec in SPECS.values()}


@pytest.mark.parametrize("name", SPECS)
def test_is_found_by_name(name):
    assert st.get_neuron(name) is getattr(saltation_neurons, SPECS[name].target.split(":")[1])
    assert SPECS[name].summary


@pytest.mark.parametrize("name", dir(saltation_neurons))
def test_public_names_exist(name):
    assert getattr(saltation_neurons, name) is not None


def test_discovery_imports_no_jax():
    code = (
        "import sys, saltation_neurons.plugin as plugin; list(plugin.saltation_neurons()); "
        "print([name for name in ('numpy', 'jax', 'equinox') if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"


def test_types_are_checked_under_test():
    with pytest.raises(TypeError, match="QIFState"):
        saltation_neurons.QIF(3).reset(saltation_neurons.LIF(3).init())  # pyright: ignore
