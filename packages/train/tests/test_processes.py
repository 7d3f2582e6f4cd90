"""A run in several processes, or on several devices, is the run of one; what is said when that cannot be."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from saltation_train import ProcessError, Recipe, _launch, train
from saltation_train._cli import main

# With samples that fail, and at first so many silent units that a remedy has work.
ARGUMENTS = {"noisy": True, "failing": 0.02, "remedy": 0.4, "scales": (60.0, 1.0)}
OPTIONS = ("--noisy", "--failing", "0.02", "--remedy", "0.4", "--scales", "60", "1", "--no-report")
TIMING = ("seconds", "samples_per_second")


def alone(out: Path, *, epochs: int, **options):
    return train(Recipe("toy/blobs", ARGUMENTS, epochs=epochs), out=out, progress=False, report=False, **options)


def agree(one: list[dict], other: list[dict]) -> None:
    """All that metrics hold but time is the same, within float error."""
    for first, second in zip(one, other, strict=True):
        for name in first.keys() - set(TIMING):
            a, b = first[name], second[name]
            if isinstance(a, dict):
                assert a.keys() == b.keys()
                a, b = list(a.values()), list(b.values())
            np.testing.assert_allclose(a, b, rtol=1e-9, err_msg=name)


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> list[dict]:
    """The metrics of the run by one process."""
    metrics = alone(tmp_path_factory.mktemp("whole") / "run", epochs=3).metrics
    assert 0 < sum(line["remedied_steps"] for line in metrics) < 18 and metrics[0]["failed"]
    return metrics


def test_two_processes_do_what_one_does_which_can_go_on(tmp_path, command, whole):
    out = tmp_path / "run"
    done = command("train", "toy/blobs", *OPTIONS, "--epochs", "2", "--processes", "2", "--out", str(out))
    assert done.returncode == 0, done.stderr
    # The first process speaks for both.
    assert done.stdout.count("test accuracy") == 1 and done.stdout.endswith(f"{out}\n")
    assert "on 2 devices of 2 processes" in done.stderr and done.stderr.count("epoch 2/2") == 1
    summary = json.loads((out / "summary.json").read_text())
    assert (summary["devices"], summary["processes"], summary["epochs"]) == (2, 2, 2)
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    agree(lines, whole[:2])
    # On another number of processes, from a checkpoint of these.
    agree(alone(out, epochs=3, resume=True).metrics, whole)


@pytest.mark.slow
def test_two_devices_share_what_goes_over_the_batch(toy_environment):
    environment = {**toy_environment, "XLA_FLAGS": "--xla_force_host_platform_device_count=2"}
    script = Path(__file__).with_name("saltation_toy_shared.py")
    done = subprocess.run([sys.executable, str(script)], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--processes", "0"], "got 0 processes; expected at least 1"),
        (["--processes", "3"], "3 processes for batches of 32 samples; .*: 1, 2, 4, 8, 16, 32. .* batches of 30 or 33"),
        (["--process", "0"], "got --process 0 alone; expected --coordinator HOST:PORT and --processes N"),
        (["--coordinator", "here:1"], "got --coordinator here:1 alone; expected --processes N"),
        (["--distributed", "--processes", "2"], "expected one way to start processes"),
        (["--processes", "2", "--coordinator", "here"], "got the coordinator 'here'; expected HOST:PORT"),
    ],
)
def test_processes_that_cannot_be_are_refused(tmp_path, monkeypatch, capsys, options, message):
    monkeypatch.chdir(tmp_path)
    assert main(["train", "toy/blobs", *options]) == 2
    assert re.search(message, capsys.readouterr().err)
    assert not list(tmp_path.iterdir())


def test_an_address_in_use_is_refused(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        assert main(["train", "toy/blobs", "--processes", "2", "--coordinator", address]) == 2
    assert f"got the coordinator {address}, on which this machine cannot listen" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


# Stands for `saltation train`: sys.argv[3] says which process it is.
PRETENCE = """
import os, signal, sys, time
if sys.argv[3] == "1":
    {fate}
os.read(0, 1)
"""


def pretend(monkeypatch, fate: str) -> None:
    monkeypatch.setattr(_launch, "_CODE", PRETENCE.format(fate=fate))
    monkeypatch.setattr(_launch, "_SECONDS_AFTER_LOSS", 0.2)
    monkeypatch.setattr(_launch, "_SECONDS_AFTER_ERROR", 0.2)


@pytest.mark.parametrize(
    ("fate", "message"),
    [
        ("os.kill(os.getpid(), signal.SIGKILL)", "process 1 of 2 was ended by SIGKILL, as the system does when memory"),
        ("raise OSError('no more air')", "process 1 of 2 ended with status 1.* It said last: OSError: no more air"),
    ],
)
def test_a_lost_process_is_named_and_the_others_are_ended(tmp_path, monkeypatch, fate, message):
    pretend(monkeypatch, fate)
    started = time.monotonic()
    with pytest.raises(ProcessError, match=message + ".* It has left no checkpoint"):
        _launch.launch([], 2, coordinator=None, checkpoint=tmp_path / "last.eqx")
    assert time.monotonic() - started < 20


def test_what_a_process_explains_is_passed_on(tmp_path, monkeypatch, capfd):
    pretend(monkeypatch, "sys.stderr.write('saltation: error: no data here'); sys.exit(2)")
    assert _launch.launch([], 2, coordinator=None, checkpoint=tmp_path / "last.eqx") == 2
    assert capfd.readouterr().err == "saltation: error: no data here\n"


@pytest.mark.slow
def test_a_run_outlives_ctrl_c_and_the_loss_of_a_process(tmp_path, toy_environment, whole):
    from saltation_toy_site import COMMAND

    out = tmp_path / "run"

    def start(*options: str) -> subprocess.Popen:
        words = [*COMMAND, "train", "toy/blobs", *OPTIONS, "--epochs", "1000000", "--processes", "2", "--out", str(out)]
        return subprocess.Popen([*words, *options], env=toy_environment, stderr=subprocess.PIPE, text=True)

    def wait_for(lines: int, process: subprocess.Popen) -> None:
        metrics = out / "metrics.jsonl"
        while not metrics.exists() or metrics.read_bytes().count(b"\n") < lines:
            assert process.poll() is None, process.communicate()
            time.sleep(0.05)

    process = start()
    wait_for(2, process)
    process.send_signal(signal.SIGINT)
    _, message = process.communicate(timeout=120)
    assert process.returncode == 130 and f"--out {out} --resume" in message

    done = (out / "metrics.jsonl").read_bytes().count(b"\n")
    process = start("--resume")
    wait_for(done + 1, process)
    first, second = map(int, Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split())
    os.kill(second, signal.SIGKILL)
    _, message = process.communicate(timeout=120)
    assert process.returncode == 3, message
    assert "process 1 of 2 was ended by SIGKILL" in message and "Fix: --resume goes on from epoch" in message
    assert "Traceback" not in message and not Path(f"/proc/{first}").exists()
    done = (out / "metrics.jsonl").read_bytes().count(b"\n")
    agree(alone(out, epochs=done + 1, resume=True).metrics[:3], whole)
