"""Each effect alone does what it says, and nothing else."""

import dataclasses

import jax.numpy as jnp
import numpy as np
import pytest

import saltation as st
from saltation_bss2 import BSS2Emulator, Chip, Effects, Recording
from saltation_bss2._effects import MEANINGS
from saltation_neurons import LIF, AtMostOnce

NONE = BSS2Emulator(effects="none")


def alone(effect: str, **options) -> BSS2Emulator:
    return BSS2Emulator(effects=Effects.none(**{effect: True}), **options)


@pytest.mark.parametrize("effect", MEANINGS)
def test_every_effect_acts_alone(network, times, measure, effect):
    """On a network in which each has something to act on, no effect leaves the ideal spikes as they are."""
    strong = effect in ("saturation", "refractory")
    net = network(delay="axonal", scale=3.0 if strong else 1.0)
    given = times(batch=200)
    if effect == "input_loss":
        given[:, 1] = given[:, 0] + 0.01
    options = {"refractory": 5.0} if effect == "refractory" else {}
    ideal, found = measure(NONE, net, given), measure(alone(effect, **options), net, given)
    changed = [
        not np.array_equal(np.asarray(found.spikes[name].time), np.asarray(train.time))
        for name, train in ideal.spikes.items()
    ]
    assert any(changed)


def test_without_it_the_spikes_are_ideal(network, times, measure):
    net = network(delay="axonal")
    for effect in MEANINGS:
        off = dataclasses.replace(Effects.none(**{effect: True}), **{effect: False})
        assert off == Effects.none()
    np.testing.assert_array_equal(
        measure(BSS2Emulator(7, effects="none"), net, times()).spikes["out"].time,
        measure(NONE, net, times()).spikes["out"].time,
    )


def test_stamps_are_multiples_of_8_ns_and_late(network, times, measure, first):
    net = network()
    ideal = first(measure(NONE, net, times()))
    stamped = first(measure(alone("stamps"), net, times()))
    seen = np.isfinite(stamped)
    np.testing.assert_allclose(stamped[seen] / 0.008, np.round(stamped[seen] / 0.008), atol=1e-6)
    late = first(measure(alone("lateness"), net, times()))
    np.testing.assert_allclose(late[seen] - ideal[seen], 0.08, atol=1e-9)


def test_weights_have_six_bits_and_saturate(network, times, measure):
    net = network(scale=3.0)
    found = measure(alone("quantisation"), net, times())
    for weights in found.configuration.weights.values():
        np.testing.assert_array_equal(weights, np.round(weights))
    assert max(np.abs(w).max() for w in found.configuration.weights.values()) > 63  # not yet clipped
    both = measure(BSS2Emulator(effects="none,quantisation,saturation"), net, times())
    assert both.health["saturated_weights"][0] > 0
    for position, weights in both.configuration.weights.items():
        assert np.abs(weights).max() == 63
        wanted = 30.0 * np.asarray(net.connections[position].synapse.weight)
        limit = 63 * weights.shape[1]
        np.testing.assert_allclose(weights.sum(axis=1), np.clip(np.round(wanted), -limit, limit))
        # Copies share as evenly as whole numbers can.
        assert np.ptp(weights, axis=1).max() <= 1


def test_a_fixed_pattern_is_the_chip_s_and_noise_is_the_key_s(network, times, measure, first):
    net, given = network(), times()
    run = lambda chip, key, effects: first(measure(BSS2Emulator(chip, effects=effects), net, given, key=key))  # noqa: E731
    pattern = "none,time_constants,thresholds,gains"
    np.testing.assert_array_equal(run(0, 0, pattern), run(0, 1, pattern))
    assert not np.array_equal(run(0, 0, pattern), run(1, 0, pattern))
    np.testing.assert_array_equal(run(0, 5, "all"), run(0, 5, "all"))
    assert not np.array_equal(run(0, 5, "all"), run(0, 6, "all"))


def test_one_effect_more_changes_no_draw_of_another(network, times, measure, first):
    net, given = network(), times(batch=200)
    loss = np.isinf(first(measure(alone("loss"), net, given)))
    both = np.isinf(first(measure(BSS2Emulator(effects="none,loss,lateness,stamps"), net, given)))
    np.testing.assert_array_equal(loss, both)


def test_losses_come_in_bursts_at_the_rate_of_each_neuron():
    from saltation_bss2._noise import lost_in_bursts

    share = np.array([0.003, 0.02, 0.06])
    lost = lost_in_bursts(np.random.default_rng(0), share, 0.5, 200_000)
    np.testing.assert_allclose(lost.mean(axis=0), share, rtol=0.15)
    after_loss = (lost[1:] & lost[:-1]).sum(axis=0) / lost[:-1].sum(axis=0)
    np.testing.assert_allclose(after_loss, 0.5, atol=0.05)


def test_packets_that_follow_closely_get_lost(network, times, measure):
    given = times(batch=300)
    given[:, 1:] = given[:, :1] + 1.0 + np.arange(5)
    apart = measure(alone("input_loss"), network(), given)
    assert apart.health["lost_inputs"].sum() == 0
    given[:, 1:] = given[:, :1]
    burst = measure(alone("input_loss"), network(), given)
    assert burst.health["lost_inputs"].mean() == pytest.approx(0.1 * 5, abs=0.1)


def test_after_its_refractory_period_a_neuron_fires_again_and_the_host_takes_the_first(times, measure):
    neuron = AtMostOnce(LIF(1, tau_mem=20.0, tau_syn=10.0))
    weight = jnp.full((6, 1), 8.0)
    net = st.Network({"in": 6}, {"out": neuron}, [st.Connection("in", "out", st.Dense(weight))], ["out"])
    ideal, found = measure(NONE, net, times()), measure(alone("refractory", refractory=2.0), net, times())
    np.testing.assert_array_equal(found.spikes["out"].time, ideal.spikes["out"].time)
    assert (found.health["repeated"] >= 1).all()
    longest = measure(alone("refractory", refractory=32.0), net, times())
    assert longest.health["repeated"].sum() < found.health["repeated"].sum()


def test_delays_have_steps_and_a_range(network, times, measure):
    net = network(delay="axonal")
    found = measure(alone("quantisation"), net, times())
    setting = found.configuration.delays[1]
    np.testing.assert_allclose((setting - 8.25) / 0.125, np.round((setting - 8.25) / 0.125), atol=1e-9)
    np.testing.assert_allclose(setting - 8.25, net.connections[1].delay.value, atol=0.0626)
    measured = found.delays[1]
    known = np.isfinite(measured)
    np.testing.assert_allclose(measured[known], np.broadcast_to(setting - 8.25, measured.shape)[known], atol=1e-9)
    # Delays of inputs are the host's, and exact.
    np.testing.assert_allclose(found.configuration.delays[0], net.connections[0].delay.value)


def test_long_delays_are_clipped_and_counted(once, times, measure):
    net = st.feedforward((6, 4, 3), once, delay="axonal", weight=st.normal(9.0, 5.0), key=_key(0))
    longer = st.Delay(jnp.array([3.0, 30.0, 24.9, 26.0]), kind="axonal")
    connections = [net.connections[0], dataclasses.replace(net.connections[1], delay=longer)]
    net = st.Network(net.inputs, net.neurons, connections, net.outputs)
    found = measure(alone("saturation"), net, times())
    np.testing.assert_allclose(found.configuration.delays[1], [11.25, 33.25, 33.15, 33.25])
    assert (found.health["clipped_delays"] == 2).all()


def test_membrane_samples_follow_the_potential(measure):
    """One input onto one neuron that stays below its threshold: samples are the closed form, in steps of the ADC."""
    neuron = AtMostOnce(LIF(1, tau_mem=20.0, tau_syn=10.0))
    weight = jnp.array([[2.0]])
    net = st.Network({"in": 1}, {"out": neuron}, [st.Connection("in", "out", st.Dense(weight))], ["out"])
    recording = Recording("out", period=2.0)
    found = measure(NONE, net, np.array([[5.0]]), recording=recording)
    u = np.maximum(found.sample_times - 5.0, 0.0)
    wanted = 80 + 70 * 2.0 * (np.exp(-u / 20.0) - np.exp(-u / 10.0))
    assert found.membrane.dtype == np.uint8 and found.membrane.shape == (1, 1, 30)
    np.testing.assert_array_equal(found.membrane[0, 0], np.round(wanted))
    assert found.membrane.max() == round(80 + 70 * 0.5)
    noisy = measure(alone("membrane_noise"), net, np.full((300, 1), 5.0), recording=recording)
    assert np.std(noisy.membrane[:, 0] - found.membrane[0, 0].astype(float)) == pytest.approx(2.0, rel=0.1)


def test_words_choose_effects():
    assert Effects.parse("all") == Effects()
    assert Effects.parse("none") == Effects.none()
    assert Effects.parse("-jitter,-loss") == Effects(jitter=False, loss=False)
    assert Effects.parse("none,loss") == Effects.none(loss=True)
    assert not BSS2Emulator(effects="none").capabilities.noisy
    assert not BSS2Emulator(effects="none,gains,thresholds").capabilities.noisy
    assert BSS2Emulator(effects="none,jitter").capabilities.noisy
    with pytest.raises(ValueError, match="got '-jiter'.*Did you mean 'jitter'"):
        Effects.parse("-jiter")


def test_equal_chips_make_equal_programs(network):
    structure = st.structure_of(network(delay="axonal"))
    stimulus = {"in": st.structure_of(st.Spikes.from_dense(jnp.ones(6)))}
    make = lambda chip: BSS2Emulator(chip).prepare(structure, stimulus, t1=60.0, max_spikes=1)  # noqa: E731
    assert make(3) == make(Chip(3)) and hash(make(3)) == hash(make(Chip(3)))
    assert make(3) != make(4)


def _key(seed):
    import jax

    return jax.random.key(seed)
