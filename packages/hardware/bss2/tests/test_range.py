"""Weights beyond what the chip can hold: what it makes of them, and how they are brought into range."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import saltation as st
import saltation_train
from saltation_bss2 import BSS2Emulator
from saltation_delgrad import DelGrad
from saltation_neurons import LIF, AtMostOnce
from saltation_train import Recipe


def program_of(backend, network):
    stimulus = {"in": st.Spikes.from_dense(jnp.zeros(network.size("in")))}
    return backend.prepare(st.structure_of(network), st.structure_of(stimulus), t1=60.0, max_spikes=1)


def test_a_network_within_range_is_the_same_on_the_chip(network, times, measure):
    chip = BSS2Emulator(3)
    net = network(scale=3.0, delay="axonal")
    near = program_of(chip, net).within_range(net)
    found, wanted = measure(chip, near, times()), measure(chip, net, times())
    for name, train in wanted.spikes.items():
        np.testing.assert_array_equal(found.spikes[name].time, train.time)
    assert wanted.health["saturated_weights"][0] > 0 and found.health["saturated_weights"][0] == 0
    # Of an input, five rows of 63 at a scale of 30.
    for before, after, limit in zip(net.connections, near.connections, (10.5, 2.1), strict=True):
        np.testing.assert_allclose(after.synapse.weight, np.clip(before.synapse.weight, -limit, limit))
        np.testing.assert_array_equal(after.delay.raw, before.delay.raw)


def test_the_range_is_in_thresholds_of_the_target_and_leaves_currents_alone():
    neuron = AtMostOnce(LIF(2, tau_mem=20.0, tau_syn=10.0, v_leak=-60.0, v_threshold=-50.0, v_reset=-60.0))
    connections = [
        st.Connection("in", "out", st.OneToOne(2, -300.0)),
        st.Connection("in", "out", st.OneToOne(2, jnp.array([300.0, 7.0]))),
        st.Connection("bias", "out", st.Dense(jnp.array([[90.0, 1.0]]))),
    ]
    net = st.Network({"in": 2, "bias": 1}, {"out": neuron}, connections, ["out"])
    stimulus = {"in": st.Spikes.from_dense(jnp.zeros(2)), "bias": st.Current(jnp.ones(1))}
    program = BSS2Emulator().prepare(st.structure_of(net), st.structure_of(stimulus), t1=60.0, max_spikes=1)
    number, array, current = (connection.synapse.weight for connection in program.within_range(net).connections)
    assert number == -105.0
    np.testing.assert_allclose(array, [105.0, 7.0])
    np.testing.assert_array_equal(current, [[90.0, 1.0]])


def test_keep_firing_reaches_a_silent_output_whose_weights_were_out_of_range():
    """The chip leaves it silent, while its model's weights sum to more than `drive`: nothing would pull on them."""
    neurons = {name: AtMostOnce(LIF(size, tau_mem=20.0, tau_syn=10.0)) for name, size in (("hidden", 6), ("out", 1))}
    first = st.Connection("in", "hidden", st.Dense(jnp.full((2, 6), 10.0)))
    weight = jnp.array([8.0, 8.0, 8.0, -1.0, -1.0, -1.0])[:, None]
    with_weight = lambda weight: st.Network(  # noqa: E731
        {"in": 2}, neurons, [first, st.Connection("hidden", "out", st.Dense(weight))], ["out"]
    )
    net = with_weight(weight)
    chip = BSS2Emulator(effects="none,saturation")
    stimulus = {"in": st.Spikes.from_dense(jnp.array([1.0, 2.0]))}

    def pull(network):
        def regulariser(weight):
            solution = st.InTheLoop(DelGrad(), chip).solve(with_weight(weight), stimulus, t1=60.0)
            return st.keep_firing(with_weight(weight), solution, strength=20.0, drive=20.0), solution

        gradient, solution = jax.grad(regulariser, has_aux=True)(network.connections[1].synapse.weight)
        assert solution.spike_count("hidden").sum() == 6 and solution.spike_count("out") == 0
        return gradient

    assert DelGrad().solve(net, stimulus, t1=60.0).spike_count("out") == 1
    assert np.all(pull(net) == 0.0)
    assert np.all(pull(program_of(chip, net).within_range(net)) < 0.0)


@pytest.mark.slow
def test_the_ideal_models_network_goes_on_in_the_loop(tmp_path):
    """Weights alone: what the chip costs is won back by more than half, from weights a third of which saturate."""
    quiet = {"progress": False, "report": False}
    ideal = saltation_train.train(Recipe("bss2/yinyang-w", epochs=150), seed=0, out=tmp_path / "ideal", **quiet)
    chip = {"chip": 0}
    there = Recipe("bss2/yinyang-w", {"learning_rate": 1e-9}, backend="bss2-emulator", backend_options=chip, epochs=1)
    on_chip = saltation_train.train(
        dataclasses.replace(there.build(), model=lambda key: ideal.model), seed=0, out=tmp_path / "on_chip", **quiet
    )
    settings = {"batch_size": 50, "learning_rate": 0.01}
    further = Recipe("bss2/yinyang-w", settings, backend="bss2-emulator", backend_options=chip, epochs=3).build()
    model = st.Model(
        program_of(BSS2Emulator(0), ideal.model.network).within_range(ideal.model.network), ideal.model.readout
    )
    run = saltation_train.train(
        dataclasses.replace(further, model=lambda key: model), seed=0, out=tmp_path / "further", **quiet
    )
    lost = ideal.test.accuracy - on_chip.test.accuracy
    assert lost > 0.1
    assert run.test.accuracy - on_chip.test.accuracy > 0.5 * lost
