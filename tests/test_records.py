"""Every record of every installed plugin: its target is there, and is what its kind promises."""

import inspect
import sys
from pathlib import Path

import pytest

import saltation as st
from saltation.plugins import list_plugins, records

ROOT = Path(__file__).parents[1]
KINDS = ("neuron", "method", "backend", "dataset", "encoder", "loss", "recipe", "report", "converter")
RECORDS = [(kind, name) for kind in KINDS for name in records(kind)]
CLASSES = {"neuron": "AbstractNeuron", "method": "AbstractMethod", "backend": "AbstractBackend"}

sys.path.insert(0, str(Path(__file__).parents[1] / "tools"))
from workspace import packages  # noqa: E402

sys.path.pop(0)


def test_no_plugin_is_broken():
    assert {plugin.distribution: plugin.problem for plugin in list_plugins() if plugin.problem} == {}


def test_every_package_of_this_repository_is_there_whole(python):
    # Lazy packages import cleanly even if a listed name is not there.
    code = """
import importlib, sys
for name in sys.argv[1:]:
    package = importlib.import_module(name)
    assert package.__all__, name
    for public in package.__all__:
        getattr(package, public)
"""
    names = [package.import_name for package in packages().values()]
    python("-c", code, *names, env={"EAGER_IMPORT": "1"})


@pytest.mark.parametrize("kind, name", RECORDS, ids=[f"{kind}-{name}" for kind, name in RECORDS])
def test_every_record_resolves(kind, name):
    record = records(kind)[name]
    target = getattr(st, f"get_{kind}")(name)
    assert callable(target) and record.summary
    if kind in CLASSES:
        assert issubclass(target, getattr(st, CLASSES[kind]))
    if kind == "dataset":
        parameters = inspect.signature(target).parameters
        assert parameters["data_dir"].default is None and parameters["download"].default is False


@pytest.mark.parametrize("name", records("recipe"))
def test_every_recipe_builds_an_experiment_of_registered_parts(name):
    import jax

    experiment = st.get_recipe(name)()
    assert isinstance(experiment, st.Experiment) and experiment.name == name
    assert experiment.dataset in records("dataset")
    model = experiment.model(jax.random.key(0))
    st.check_supported(experiment.method, model.network)
    st.check_needs(experiment.method, experiment.loss.needs, "the loss")
    st.check_needs(experiment.method, model.readout.needs, "the read-out")
    assert any(jax.tree.leaves(st.trainable(model, *experiment.trainable)))


@pytest.mark.parametrize("name", records("method"))
def test_every_method_says_what_to_cite(name):
    cited = getattr(records("method")[name], "cite")  # noqa: B009
    assert cited.startswith("@") and "title = " in cited and "year = {20" in cited
    title = cited.partition("title = {")[2].partition("},\n")[0].replace("{", "").replace("}", "")
    assert title.lower() in (ROOT / "CITATION.cff").read_text().lower()
