"""The command: its help, its errors, and the paths through it."""

import json
import re

import jax
import pytest

from saltation._plugins._known import KnownPlugin
from saltation_train._cli import main


@pytest.fixture(autouse=True)
def precision():
    """The command may set JAX to 64 bit; these tests run in it anyway."""
    before = jax.config.jax_enable_x64
    yield
    jax.config.update("jax_enable_x64", before)


def test_plugins_answers_without_jax(command):
    found = command("plugins", "--json")
    assert found.returncode == 0, found.stderr
    plugins = {plugin["distribution"]: plugin for plugin in json.loads(found.stdout)}
    assert plugins["saltation-toy"]["status"] == "ok" and plugins["saltation-toy"]["version"] == "1.0"
    assert plugins["saltation-toy"]["records"]["recipe"][0]["name"] == "toy/blobs"
    assert "core" in plugins["saltation"]["name"]


@pytest.mark.parametrize(
    "arguments", [["plugins"], ["recipes"], ["--help"], ["train", "--help"], ["compare", "--help"]]
)
def test_what_only_lists_imports_nothing_heavy(arguments, toy_environment):
    import subprocess
    import sys

    code = (
        "import sys; from saltation_train._cli import main\n"
        "try: main(sys.argv[1:])\n"
        "except SystemExit: pass\n"
        "print([name for name in ('jax', 'numpy', 'equinox', 'optax', 'matplotlib') if name in sys.modules])"
    )
    found = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        env=toy_environment,
        check=True,
    )
    assert found.stdout.splitlines()[-1] == "[]"


def test_recipes_say_what_they_reproduce(capsys):
    assert main(["recipes"]) == 0
    shown = capsys.readouterr().out
    assert re.search(r"toy/blobs +three sectors of a disc\n +reproduces: nothing", shown)
    assert main(["recipes", "--json"]) == 0
    assert {"name": "toy/blobs", "summary": "three sectors of a disc", "reproduces": "nothing"} in json.loads(
        capsys.readouterr().out
    )


def test_help_has_examples(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    for words in ("plugins", "recipes", "train", "evaluate", "report", "examples:", "--resume"):
        assert words in shown


def test_help_of_a_recipe_lists_its_arguments_with_defaults(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["train", "toy/blobs", "--help"])
    assert ended.value.code == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "Three sectors of a disc." in shown
    assert "--learning-rate X default: 0.05" in shown
    assert "--noisy, --no-noisy default: off" in shown
    assert "--scales X [X ...] default: 1.0 1.0" in shown
    # Not what a command line cannot express, and the epochs once.
    assert "--encoder" not in shown and shown.count("--epochs N instead") == 1


def test_train_evaluate_and_report_from_the_command_line(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("saltation_train._report.PICTURES", {})  # those of the plugin are pictures enough
    options = [
        "--hidden",
        "6",
        "--learning-rate",
        "0.02",
        "--scales",
        "0.5",
        "1.5",
        "--epochs",
        "2",
        "--seed",
        "4",
    ]
    assert main(["train", "toy/blobs", *options, "--quiet"]) == 0
    shown = capsys.readouterr()
    out = tmp_path / "runs" / "toy-blobs-seed4"
    assert "test accuracy" in shown.out and "runs/toy-blobs-seed4" in shown.out
    assert "Traceback" not in shown.err
    config = json.loads((out / "config.json").read_text())
    assert config["arguments"]["hidden"] == 6 and config["arguments"]["learning_rate"] == 0.02
    assert config["arguments"]["scales"] == [0.5, 1.5] and config["epochs"] == 2 and config["seed"] == 4

    assert main(["evaluate", str(out), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["accuracy"] == json.loads((out / "summary.json").read_text())["test_accuracy"]
    assert main(["evaluate", str(out), "--split", "validation", "--checkpoint", "last"]) == 0
    assert re.match(r"validation: accuracy .*% on|validation: accuracy", capsys.readouterr().out)

    (out / "report.html").unlink()
    assert main(["report", str(out)]) == 0
    assert capsys.readouterr().out.strip() == str(out / "report.html") and (out / "report.html").exists()

    # Only the folder is needed: the rest is in its config.json.
    assert main(["train", "toy/blobs", "--seed", "4", "--epochs", "3", "--resume", "--quiet", "--no-report"]) == 0
    assert json.loads((out / "summary.json").read_text())["epochs"] == 3


ERRORS = {
    "unknown recipe": (["train", "toy/blobz"], "no recipe 'toy/blobz'.*Did you mean 'toy/blobs'"),
    "unknown option": (["train", "toy/blobs", "--hiden", "3"], "got '--hiden'.*Did you mean --hidden"),
    "unknown option with =": (["train", "toy/blobs", "--learning_rate=1"], "Did you mean --learning-rate"),
    "option before the recipe": (["train", "--seed", "1", "toy/blobs"], "expected the recipe first"),
    "unknown method": (["train", "toy/blobs", "--method", "tooy"], "no method 'tooy'.*Did you mean 'toy'"),
    "unknown backend": (["train", "toy/blobs", "--backend", "chip"], "has no gradient at spikes"),
    "method that does not fit": (["train", "toy/blobs", "--method", "picky"], "wrap it in silk"),
    "options without a backend": (["train", "toy/blobs", "--backend-option", "chip=3"], "and no backend; name it"),
    "unknown setting": (["train", "toy/blobs", "--method-option", "stp=1"], "method 'Toy' got the option 'stp'"),
    "option without a value": (["train", "toy/blobs", "--backend-option", "chip"], "expected NAME=VALUE"),
    "no epochs": (["train", "toy/blobs", "--epochs", "0"], "got epochs=0; expected at least 1"),
    "no run to evaluate": (["evaluate", "nowhere"], "holds no run .*expected the folder of a run"),
    "no run to report": (["report", "nowhere"], "holds no run"),
    "no run to resume": (["train", "toy/blobs", "--out", "nowhere", "--resume"], "holds no run"),
}


@pytest.mark.parametrize("mistake", ERRORS)
def test_a_mistake_is_one_clear_message_and_exit_2(tmp_path, capsys, monkeypatch, mistake):
    monkeypatch.chdir(tmp_path)
    arguments, message = ERRORS[mistake]
    assert main(arguments) == 2
    shown = capsys.readouterr()
    assert re.search(message, shown.err) and shown.err.startswith("saltation: error:") and shown.out == ""
    assert list(tmp_path.iterdir()) == []


def test_a_recipe_of_a_known_plugin_says_what_to_install(capsys, monkeypatch):
    elsewhere = KnownPlugin("saltation-elsewhere", "packages/elsewhere", {"recipe": ("elsewhere/*",)})
    monkeypatch.setattr("saltation._plugins._known.KNOWN", (elsewhere,))
    assert main(["train", "elsewhere/nothing"]) == 2
    shown = capsys.readouterr().err
    assert "comes with saltation-elsewhere; from a checkout: pip install -e packages/elsewhere" in shown


def test_a_value_of_the_wrong_kind_is_named(capsys):
    with pytest.raises(SystemExit) as ended:
        main(["train", "toy/blobs", "--hidden", "many"])
    assert ended.value.code == 2
    assert "--hidden: got 'many'; expected a whole number" in capsys.readouterr().err


def test_debugging_shows_where_an_error_comes_from(monkeypatch):
    monkeypatch.setenv("SALTATION_DEBUG", "1")
    with pytest.raises(LookupError):
        main(["train", "toy/blobz"])


def test_resuming_another_recipe_is_refused(tmp_path, capsys):
    (tmp_path / "config.json").write_text(
        json.dumps(
            {
                "format": 1,
                "recipe": "toy/stripes",
                "arguments": {},
                "method": None,
                "backend": None,
                "backend_options": {},
                "seed": 0,
                "epochs": 1,
                "data_dir": None,
                "experiment": {},
                "versions": {},
            }
        )
    )
    assert main(["train", "toy/blobs", "--out", str(tmp_path), "--resume"]) == 2
    assert "got the recipe 'toy/blobs' for the run" in capsys.readouterr().err


def test_values_of_named_options_are_numbers_truth_values_or_text():
    from saltation_train._options import named_values

    given = ["chip=3", "microseconds=0.6", "fast=true", "effects=none", "calibration=a=b.npz"]
    assert named_values("--backend-option", given) == {
        "chip": 3,
        "microseconds": 0.6,
        "fast": True,
        "effects": "none",
        "calibration": "a=b.npz",
    }
