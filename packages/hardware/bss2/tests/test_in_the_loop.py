"""Training with the chip in the loop: the ordinary loop, the ordinary files, and what the chip reports in them."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import saltation as st
import saltation_train
from saltation_bss2 import BSS2Emulator, Chip, Spread
from saltation_delgrad import DelGrad
from saltation_neurons import LIF
from saltation_ode import ODE
from saltation_train._cli import main


@pytest.fixture(autouse=True)
def precision():
    """The command may set JAX to 64 bit; these tests run in it anyway."""
    before = jax.config.jax_enable_x64
    yield
    jax.config.update("jax_enable_x64", before)


@pytest.fixture
def small(monkeypatch):
    """A Yin-Yang of few samples."""
    load = st.get_dataset("yinyang")
    short = lambda **options: load(**{**options, "train_size": 120, "validation_size": 60, "test_size": 60})  # noqa: E731
    monkeypatch.setattr(st, "get_dataset", lambda name: short)


def test_the_recipe_trains_on_the_chip_from_the_command_line(tmp_path, small, capsys):
    out = tmp_path / "run"
    options = ["--backend", "bss2-emulator", "--backend-option", "chip=3", "--backend-option", "microseconds=0.6"]
    sizes = ["--epochs", "2", "--batch-size", "60", "--hidden", "10"]
    arguments = ["train", "delgrad/yinyang-axonal", "--out", str(out), "--quiet", "--no-report", *sizes, *options]
    assert main(arguments) == 0, capsys.readouterr().err
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert len(lines) == 2 and all(line["failed"] == {} for line in lines)
    health = lines[-1]["health"]
    assert set(health) >= {"dropped", "saturated_weights", "clipped_delays", "lost_inputs"}
    assert 0.0 < health["dropped"] < 3.0
    assert set(lines[-1]["flat"]) == {"hidden1", "out"}
    summary = json.loads((out / "summary.json").read_text())
    assert summary["backend_options"] == {"chip": 3, "microseconds": 0.6} and summary["test_health"]["dropped"] > 0
    # Read back, the run is on the same chip.
    run = saltation_train.load_run(out)
    assert run.experiment.method.backend == BSS2Emulator(3, microseconds=0.6)
    assert run.test.accuracy == summary["test_accuracy"]


def test_unknown_options_of_the_chip_are_refused(tmp_path, capsys):
    arguments = ["train", "bss2/yinyang-w", "--out", str(tmp_path / "run"), "--backend", "bss2-emulator"]
    assert main([*arguments, "--backend-option", "chipp=3"]) == 2
    assert "got the option 'chipp'; expected one of chip, calibration" in capsys.readouterr().err
    assert main([*arguments, "--backend-option", "chip=missing.npz"]) == 2
    assert "there is no file missing.npz" in capsys.readouterr().err


def test_several_processes_cannot_share_the_chip(tmp_path, capsys):
    arguments = ["train", "bss2/yinyang-w", "--out", str(tmp_path / "run"), "--backend", "bss2-emulator"]
    assert main([*arguments, "--processes", "2"]) == 2
    assert "2 processes with a backend in the loop, which gets whole batches; expected 1" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_ode_has_a_gradient_on_the_chip(times):
    """Neurons that spike often: the gradient at the chip's spikes points where the ideal model's points."""
    net = st.feedforward((6, 4), LIF(tau_mem=20.0, tau_syn=10.0), weight=st.normal(14.0, 3.0), key=jax.random.key(1))
    keys = jax.random.split(jax.random.key(0), 20)

    def loss(weight, method):
        synapse = st.Connection("in", "out", st.Dense(weight))
        network = st.Network(net.inputs, net.neurons, [synapse], net.outputs)

        def one(x, key):
            out = method.solve(network, {"in": st.Spikes.from_dense(x)}, t1=60.0, key=key, throw=False).spikes["out"]
            return jnp.sum(out.first())

        return jnp.mean(jax.vmap(one)(jnp.asarray(times(batch=20)), keys))

    ode = ODE(max_spikes=12)
    weight = net.connections[0].synapse.weight
    quiet = BSS2Emulator(effects="none,quantisation,stamps,lateness")
    gradients = [
        jax.jit(jax.grad(lambda w, m=method: loss(w, m)))(weight).ravel()
        for method in (ode, st.InTheLoop(ode, quiet, max_spikes=12))
    ]
    ideal, found = (np.asarray(gradient) for gradient in gradients)
    assert ideal @ found / np.linalg.norm(ideal) / np.linalg.norm(found) > 0.98


def test_spikes_beyond_the_room_for_them_fail_the_sample(times):
    net = st.feedforward((6, 2), LIF(tau_mem=20.0, tau_syn=10.0), weight=st.normal(20.0, 1.0), key=jax.random.key(1))
    chip = st.InTheLoop(ODE(max_spikes=2), BSS2Emulator(effects="none"), max_spikes=2)
    solution = chip.solve(net, {"in": st.Spikes.from_dense(jnp.asarray(times()[0]))}, t1=60.0, throw=False)
    assert solution.stats["health"]["overflow"] > 0
    assert solution.result == st.RESULTS.backend_failed


def test_observed_spikes_where_the_model_has_none_are_counted(network, times):
    """On a chip that is far off some neurons spike where the model's potential falls: no gradient, no NaN."""
    net = network()
    chip = st.InTheLoop(DelGrad(), BSS2Emulator(Chip(3, Spread(threshold=0.2, gain=0.3))))

    def solve(net, x, key):
        solution = chip.solve(net, {"in": st.Spikes.from_dense(x)}, t1=60.0, key=key, throw=False)
        out = solution.spikes["out"].first()
        return jnp.sum(jnp.where(jnp.isfinite(out), out, 0.0)), solution.stats["flat"]

    def loss(weight):
        connections = [st.Connection("in", "hidden1", st.Dense(weight)), net.connections[1]]
        changed = st.Network(net.inputs, net.neurons, connections, net.outputs)
        keys = jax.random.split(jax.random.key(0), 100)
        values, flat = jax.vmap(lambda x, key: solve(changed, x, key))(jnp.asarray(times(batch=100)), keys)
        return jnp.mean(values), flat

    gradient, flat = jax.jit(jax.grad(loss, has_aux=True))(net.connections[0].synapse.weight)
    assert np.isfinite(gradient).all() and np.abs(gradient).max() > 0
    assert flat["hidden1"].sum() > 0
