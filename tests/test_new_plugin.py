"""A plugin from the template: it compiles at once, and passes its suite with core and testing alone."""

import ast
import json
import shutil
import subprocess
import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path

import pytest

from saltation_train import new_plugin
from saltation_train._new_plugin import KINDS, rendered

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_rendered_is_python_that_names_itself_everywhere(kind):
    files = {path.as_posix(): text for path, text in rendered("leaky-thing", kind)}
    assert all("{{" not in text and "{%" not in text for text in files.values())
    package = "src/saltation_leaky_thing"
    wanted = {"__init__.py", "__init__.pyi", "plugin.py", "py.typed", "_leaky_thing.py"}
    assert {name.removeprefix(f"{package}/") for name in files if name.startswith(package)} == wanted
    assert ("tests/leaky.py" in files) == (kind != "neuron")
    for name, text in files.items():
        if name.endswith((".py", ".pyi")):
            ast.parse(text, name)
            assert all(len(line) <= 120 for line in text.splitlines()), name
    project = tomllib.loads(files["pyproject.toml"])
    assert project["project"]["entry-points"]["saltation"] == {"leaky_thing": "saltation_leaky_thing.plugin"}
    assert (
        f'yield {kind.capitalize()}Spec("leaky-thing", "saltation_leaky_thing:LeakyThing"'
        in files[f"{package}/plugin.py"]
    )
    assert "saltation._" not in "".join(files.values()) and "st._" not in "".join(files.values())


@pytest.mark.parametrize("kind", KINDS)
def test_copier_renders_the_same(kind, tmp_path):
    copier = pytest.importorskip("copier")
    answers = {"name": "leaky-thing", "kind": kind}
    copier.run_copy(str(ROOT / "template"), tmp_path / "c", data=answers, defaults=True, quiet=True)
    found = {p.relative_to(tmp_path / "c"): p.read_text() for p in (tmp_path / "c").rglob("*") if p.is_file()}
    assert found == dict(rendered("leaky-thing", kind))


def installed(source: Path, site: Path) -> None:
    offline = ["--no-deps", "--no-build-isolation", "--no-index", "--quiet", "--disable-pip-version-check"]
    command = [sys.executable, "-m", "pip", "install", *offline, "--target", str(site), str(source)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_installed_it_is_listed_and_checked(saltation, tmp_path):
    """The fast version: one kind, beside everything else."""
    made = saltation("new-plugin", "leaky-thing", "--kind", "neuron").stdout
    assert "saltation plugins --check leaky-thing" in made
    installed(tmp_path / "saltation-leaky-thing", tmp_path / "site")
    env = {"PYTHONPATH": str(tmp_path / "site")}
    plugins = {p["distribution"]: p for p in json.loads(saltation("plugins", "--json", env=env).stdout)}
    assert plugins["saltation-leaky-thing"]["status"] == "ok"
    shown = saltation("plugins", "--check", "leaky-thing", env=env).stdout.splitlines()
    assert shown[:3] == [
        "ok    saltation-leaky-thing 0.1.0 is registered",
        "ok    its plugin module imports nothing heavy",
        "ok    neuron leaky-thing",
    ]
    assert shown[3].startswith("ok    conformance of the neuron leaky-thing: ") and "passed" in shown[3]


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
def test_in_a_clean_environment_with_core_and_testing_alone_it_passes_its_suite(kind, tmp_path):
    source = new_plugin("leaky-thing", kind=kind, out=tmp_path)
    maker = "virtualenv" if find_spec("virtualenv") else "venv"
    subprocess.run([sys.executable, "-m", maker, str(tmp_path / "venv")], check=True)
    python = tmp_path / "venv" / "bin" / "python"
    local = [str(ROOT / "packages" / "core"), str(ROOT / "packages" / "testing"), str(source)]
    constraints = str(ROOT / "constraints" / "constraints.txt")
    subprocess.run([python, "-m", "pip", "install", "--quiet", "-c", constraints, *local], check=True)
    done = subprocess.run(
        [python, "-m", "pytest", "-q", "-p", "no:cacheprovider"], cwd=source, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout
    assert "passed" in done.stdout


MISTAKES = {
    "taken": (["lif", "--kind", "neuron"], "an installed plugin has a neuron of that name"),
    "a known plugin's": (["bss2", "--kind", "backend"], "saltation-bss2 brings a backend of that name"),
    "no identifier": (["2 fast", "--kind", "neuron"], "expected lower-case words with hyphens.*'fast'"),
    "capitals": (["MyNeuron", "--kind", "neuron"], "such as 'myneuron'"),
    "a keyword": (["lambda", "--kind", "neuron"], "such as 'my-lambda'"),
    "the distribution's": (["saltation-thing", "--kind", "neuron"], "without 'saltation-', such as 'thing'"),
    "an installed distribution": (["datasets", "--kind", "neuron"], "saltation-datasets is installed already"),
    "another kind": (["thing", "--kind", "neurn"], "expected one of neuron, method, backend. Did you mean 'neuron'"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_name_that_cannot_be_is_refused(mistake, tmp_path, capsys, monkeypatch):
    import re

    from saltation_train._cli import main

    monkeypatch.chdir(tmp_path)
    arguments, message = MISTAKES[mistake]
    assert main(["new-plugin", *arguments]) == 2
    assert re.search(message, capsys.readouterr().err)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_exists_is_left_alone(tmp_path):
    (tmp_path / "saltation-thing").mkdir()
    with pytest.raises(ValueError, match="exists already"):
        new_plugin("thing", kind="method", out=tmp_path)


def test_a_fault_is_named_by_the_check(saltation, tmp_path, capsys):
    from saltation_train._cli import main

    new_plugin("leaky-thing", kind="neuron", out=tmp_path)
    plugin = tmp_path / "saltation-leaky-thing" / "src" / "saltation_leaky_thing" / "plugin.py"
    plugin.write_text("import numpy\n" + plugin.read_text().replace(":LeakyThing", ":Leakything"))
    installed(tmp_path / "saltation-leaky-thing", tmp_path / "site")
    shutil.rmtree(tmp_path / "saltation-leaky-thing")
    shown = saltation(
        "plugins", "--check", "saltation-leaky-thing", env={"PYTHONPATH": str(tmp_path / "site")}, status=1
    )
    assert "FAIL  its plugin module imports nothing heavy: it imports numpy" in shown.stdout
    assert "FAIL  neuron leaky-thing: " in shown.stdout and "cannot be imported" in shown.stdout
    assert main(["plugins", "--check", "leeky"]) == 2
    assert "no installed plugin is called 'leeky'" in capsys.readouterr().err
