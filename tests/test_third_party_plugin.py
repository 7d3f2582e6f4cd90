"""Somebody else's plugin: installed, found, checked, trained, removed, and nothing else has changed."""

import json
import shutil
import subprocess
import sys
from importlib.metadata import distributions
from pathlib import Path

import pytest

SOURCE = Path(__file__).parent / "third_party"
DISTRIBUTION = "saltation-adaptive-threshold"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the plugin installed in it, and nothing else."""
    site, source = tmp_path_factory.mktemp("site"), tmp_path_factory.mktemp("source") / "plugin"
    shutil.copytree(SOURCE, source, ignore=shutil.ignore_patterns("__pycache__"))
    offline = ["--no-deps", "--no-build-isolation", "--no-index", "--quiet", "--disable-pip-version-check"]
    done = subprocess.run(
        [sys.executable, "-m", "pip", "install", *offline, "--target", str(site), str(source)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return site


@pytest.fixture
def env(site: Path) -> dict[str, str]:
    return {"PYTHONPATH": str(site)}


def test_it_uses_the_public_interface_alone():
    for path in SOURCE.rglob("*.py"):
        text = path.read_text()
        assert "saltation._" not in text and "st._" not in text, path


def test_the_command_line_lists_it_among_the_others(saltation, env):
    plugins = {plugin["distribution"]: plugin for plugin in json.loads(saltation("plugins", "--json", env=env).stdout)}
    found = plugins.pop(DISTRIBUTION)
    assert (found["status"], found["version"]) == ("ok", "1.2.3")
    assert [record["name"] for record in found["records"]["neuron"]] == ["adaptive_lif"]
    assert [record["name"] for record in found["records"]["recipe"]] == ["adaptive_lif/yinyang"]
    assert plugins == {plugin["distribution"]: plugin for plugin in json.loads(saltation("plugins", "--json").stdout)}


@pytest.mark.slow  # its recipe does the same with less to see
def test_its_neuron_is_found_by_name_and_solved(python, env):
    code = """
import equinox as eqx, jax, jax.numpy as jnp
import saltation as st

hidden = st.get_neuron("adaptive_lif")(2, beta=jnp.array([0.0, 1.0]))
w = jnp.array([[30.0, 30.0]])
net = st.Network({"in": 1}, {"hidden": hidden}, [st.Connection("in", "hidden", st.Dense(w))], ["hidden"])
stimulus = {"in": st.Spikes.from_dense(jnp.array([[1.0]]))}

@eqx.filter_jit
@eqx.filter_grad(has_aux=True)
def solve(net):
    spikes = st.get_method("ode")(max_spikes=16).solve(net, stimulus, t1=40.0).spikes["hidden"]
    return jnp.sum(jnp.where(spikes.valid(), spikes.time, 0.0)), spikes.count()

gradient, count = solve(net)
assert count[0] > count[1] >= 1, count
# Nothing adapts where beta is 0 and there is one spike; a higher threshold is reached later.
assert gradient.neurons["hidden"].beta[1] > 0, gradient
"""
    python("-c", code, env=env)


def test_it_passes_the_suite_of_neurons(python, env):
    suite = SOURCE / "tests"
    done = python("-m", "pytest", "-q", "-p", "no:cacheprovider", f"--rootdir={suite}", str(suite), env=env)
    assert "passed" in done.stdout


def test_its_recipe_trains_on_data_of_another_plugin(saltation, env, tmp_path):
    options = ["--hidden", "none", "--train-size", "200", "--batch-size", "50", "--epochs", "2", "--quiet"]
    saltation("train", "adaptive_lif/yinyang", *options, "--out", "run", "--no-report", env=env)
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert (
        summary["recipe"] == "adaptive_lif/yinyang" and summary["dataset"] == "yinyang" and summary["parameters"] == 15
    )
    assert summary["epochs"] == 2 and summary["test_failed"] == {}
    assert summary["versions"][DISTRIBUTION] == "1.2.3"
    first, last = map(json.loads, (tmp_path / "run" / "metrics.jsonl").read_text().splitlines())
    assert last["train_loss"] < first["train_loss"]


# The last test of this file, since it removes what the others use.
def test_removed_it_is_gone_and_the_rest_works(saltation, python, env, site):
    shutil.rmtree(site)
    assert DISTRIBUTION not in {distribution.name for distribution in distributions()}
    plugins = {plugin["distribution"]: plugin for plugin in json.loads(saltation("plugins", "--json", env=env).stdout)}
    assert DISTRIBUTION not in plugins
    assert {plugin["status"] for plugin in plugins.values()} == {"ok"}
    missing = saltation("train", "adaptive_lif/yinyang", env=env, status=2)
    assert "there is no recipe 'adaptive_lif/yinyang'" in missing.stderr and "Traceback" not in missing.stderr
    python("-c", "import saltation as st; st.get_neuron('lif')(3); st.get_dataset('yinyang')(train_size=9)", env=env)
