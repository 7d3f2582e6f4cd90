"""What fits gets a place that can be printed; what does not is refused, with the reason and how much is used."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import saltation as st
from saltation_bss2 import BSS2Emulator
from saltation_neurons import IF, LIF, AtMostOnce


def once(size, **constants):
    return AtMostOnce(LIF(size, **{"tau_mem": 12.0, "tau_syn": 6.0, **constants}))


def prepared(network, *, inputs=("in",), max_spikes=1, currents=(), **options):
    stimulus = {name: st.Spikes.from_dense(jnp.ones(network.size(name))) for name in inputs}
    stimulus |= dict(currents)
    backend = BSS2Emulator(**options)
    return backend.prepare(st.structure_of(network), st.structure_of(stimulus), t1=36.0, max_spikes=max_spikes)


def layers(*sizes, neuron=None, delay=None):
    neuron = [once(size) for size in sizes[1:]] if neuron is None else neuron
    return st.feedforward(sizes, neuron, delay=delay, key=jax.random.key(0))


def test_the_placement_says_where_everything_is():
    placement = prepared(layers(4, 30, 3, delay="axonal")).placement
    hidden, out = placement.populations
    assert (hidden.circuits, out.circuits) == (range(30), range(60, 63))
    (inputs, axons) = placement.wires
    assert (inputs.kind, inputs.copies, inputs.pairs) == ("input", 5, None)
    assert (axons.kind, axons.copies, axons.pairs) == ("axon", 1, 30)
    assert placement.rows_used("hidden1") == 4 * 5 * 2 and placement.rows_used("out") == 30 * 2
    assert placement.circuits_used == 63
    shown = str(placement)
    for words in ("hidden1", "0-29", "60-62", "30-59  of hidden1 -> out", "63 of 512 circuits", "12 us"):
        assert words in shown
    rows = np.concatenate([inputs.rows(0).ravel(), inputs.rows(1).ravel()])
    assert sorted(rows) == list(range(40))


def test_a_network_can_fill_the_chip():
    placement = prepared(layers(25, 128, 128, 128, 128)).placement
    assert placement.circuits_used == 512 and placement.populations[-1].circuits == range(384, 512)


def chain(neuron, delay=None):
    return st.Network(
        {"in": 2},
        {"a": neuron, "b": once(3)},
        [
            st.Connection("in", "a", st.Dense(jnp.ones((2, neuron.size)))),
            st.Connection("a", "b", st.Dense(jnp.ones((neuron.size, 3))), delay),
        ],
        ["b"],
    )


def recurrent():
    net = chain(once(3))
    back = st.Connection("b", "a", st.Dense(jnp.ones((3, 3))))
    return st.Network(net.inputs, net.neurons, [*net.connections, back], net.outputs)


def early():
    """Spikes of `a` reach `c` directly, and through `b` and its delaying pairs."""
    net = chain(once(3), st.Delay(jnp.ones(3), kind="axonal"))
    direct = st.Connection("a", "b", st.Dense(jnp.ones((3, 3))))
    return st.Network(net.inputs, net.neurons, [*net.connections, direct], net.outputs)


REFUSED = {
    "too many neurons": (lambda: layers(4, 128, 128, 128, 129), "needs 513 circuits, and 512 are there"),
    "too many with delays": (lambda: layers(4, 128, 128, 3, delay="axonal"), "needs 515 circuits, 256 of them for del"),
    "fan-in": (lambda: layers(26, 5), "needs 130 signed synapses .26 x 5 copies from 'in'., and 128 are there"),
    "fan-in from neurons": (lambda: layers(4, 129, 3), "needs 129 signed synapses"),
    "how much is used": (lambda: layers(26, 600), "would use 600 of 512 circuits, and at most 130 of 128 signed"),
    "delay too long": (lambda: chain(once(3), st.Delay(26.0)), "delays of at least 26 us, and 0 to 25 us are there"),
    "dendritic": (lambda: chain(once(2), st.Delay(jnp.ones(3))), "dendritic or synaptic.*use Delay.value.pre.."),
    "synaptic": (lambda: chain(once(2), st.Delay(jnp.ones((2, 3)))), "dendritic or synaptic"),
    "no leak": (lambda: chain(AtMostOnce(IF(3))), "have a leak of 0.0; use LIF"),
    "not LIF": (lambda: chain(_qif()), "no leaky integrate-and-fire neurons"),
    "trained constants": (lambda: chain(once(3, tau_mem=jnp.full(3, 12.0))), "constants that are arrays"),
    "slow membrane": (lambda: chain(once(3, tau_mem=61.0)), "need tau_mem of 61 us, and 0.5 to 60.0 are there"),
    "reset too low": (lambda: chain(once(3, v_reset=-0.5)), "need v_reset of 45 on the ADC, and 50 to 160 are there"),
    "recurrent": (recurrent, r"\['a', 'b'\] are recurrent"),
    "past the pairs": (early, "8.25 us before those that pass through delaying pairs; give that connection a delay"),
    "port": (lambda: _at_port(), "ends at the port 'other'; use 'current'"),
}


def _qif():
    from saltation_neurons import QIF

    return QIF(3)


def _at_port():
    net = chain(once(3))
    other = st.Connection("a", "b", st.Dense(jnp.ones((3, 3))), port="other")
    return st.Network(net.inputs, net.neurons, [net.connections[0], other], net.outputs)


@pytest.mark.parametrize("case", REFUSED)
def test_what_does_not_fit_is_refused_with_the_reason(case):
    make, message = REFUSED[case]
    with pytest.raises(st.UnsupportedError, match=f"(?s)does not fit on the chip: .*{message}"):
        prepared(make())


def test_all_reasons_are_given_at_once():
    with pytest.raises(st.UnsupportedError) as refused:
        prepared(layers(26, 600, neuron=[once(600, tau_mem=100.0)]))
    for words in ("tau_mem of 100", "130 signed synapses", "needs 600 circuits"):
        assert words in str(refused.value)


def test_several_spikes_of_a_neuron_that_spikes_once_are_refused():
    with pytest.raises(st.UnsupportedError, match="max_spikes=3 was asked for; use 1"):
        prepared(layers(4, 3), max_spikes=3)


def test_currents_must_be_constant_and_undelayed():
    net = chain(once(3), None)
    steps = st.Current(jnp.ones((2, 2)), start=jnp.array([0.0, 5.0]))
    with pytest.raises(st.UnsupportedError, match="current that changes in time, and bias currents are constant"):
        prepared(net, inputs=(), currents={"in": steps}.items())
    delayed = st.Connection("in", "a", st.Dense(jnp.ones((2, 3))), st.Delay(1.0))
    net = st.Network(net.inputs, net.neurons, [delayed, net.connections[1]], net.outputs)
    with pytest.raises(st.UnsupportedError, match="delays a constant current; leave the delay out"):
        prepared(net, inputs=(), currents={"in": st.Current(jnp.ones(2))}.items())


def test_slower_time_brings_constants_into_range():
    net = layers(4, 3, neuron=[once(3, tau_mem=100.0, tau_syn=50.0)])
    with pytest.raises(st.UnsupportedError, match="how many microseconds a unit of time is"):
        prepared(net)
    (out,) = prepared(net, microseconds=0.1).placement.populations
    assert (out.tau_mem, out.tau_syn) == (10.0, 5.0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"chip": -1}, "got seed=-1; expected a whole number"),
        ({"microseconds": 0.0}, "got microseconds=0.0; expected a positive number"),
        ({"weight_scale": float("inf")}, "got weight_scale=inf"),
        ({"input_copies": 0}, "got input_copies=0"),
        ({"refractory": 100.0}, "expected 0.04 to 32.0 microseconds"),
        ({"effects": "none,nois"}, "Effects got 'nois'"),
    ],
)
def test_wrong_options_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        BSS2Emulator(**options)
