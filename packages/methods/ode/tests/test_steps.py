"""The steps of a search: how long they are, how few a spike takes, and how near to it the last one ends."""

import diffrax
import jax.numpy as jnp
import numpy as np
import pytest

import saltation as st
from saltation_neurons import EIF, LIF, QIF, Izhikevich
from saltation_ode import ODE, _ode
from saltation_ode._record import Kind

BOSH3 = diffrax.Bosh3()


@pytest.fixture
def searched(monkeypatch):
    """Solves one neuron with arrivals at some times, and tells what was searched and what was found."""

    def solve(method, neuron, weight, times, t1):
        noted = []
        search = _ode.search

        def noting(component, **settings):
            found = search(component, **settings)
            noted.append((component, found))
            return found

        monkeypatch.setattr(_ode, "search", noting)
        # A connection to itself that delivers nothing: the neuron is searched for as it is, not as one lane of many.
        links = [
            st.Connection("in", "n", st.Dense(jnp.array([[weight]]))),
            st.Connection("n", "n", st.Dense(jnp.zeros((1, 1))), st.Delay(t1)),
        ]
        network = st.Network({"in": 1}, {"n": neuron}, links, ["n"])
        method.solve(network, {"in": st.Spikes.from_dense(jnp.array([times]))}, t1=t1)
        ((component, found),) = noted
        record = {name: np.asarray(getattr(found.record, name)).reshape(-1) for name in ("kind", "start", "duration")}
        last = np.argmax(record["kind"] == Kind.END)
        return component, found, {name: x[: last + 1] for name, x in record.items()}

    return solve


def test_fixed_steps_are_equal_up_to_the_next_event_and_as_few_as_can_be(searched):
    times = [2.5, 6.0, 6.0]
    _, _, record = searched(ODE(solver=BOSH3, step=1.0), LIF(1), 0.1, times, 10.0)
    taken = record["duration"][record["duration"] > 0]
    np.testing.assert_allclose(taken, [2.5 / 3] * 3 + [3.5 / 4] * 4 + [1.0] * 4, rtol=1e-12)


NEURONS = {
    "lif": (LIF(1), 6.0, 1.0),
    "qif": (QIF(1), 25.0, 0.5),
    "eif": (
        EIF(1, c_mem=20.0, g_leak=1.0, v_leak=0.0, v_rheobase=1.0, slope=0.2, v_threshold=3.0, v_reset=0.0),
        9.0,
        3.0,
    ),
    "izhikevich": (Izhikevich(1), 30.0, 2.0),
}


@pytest.mark.parametrize("name", NEURONS)
@pytest.mark.parametrize("adaptive", [False, True], ids=["fixed", "adaptive"])
def test_a_spike_lies_on_the_computed_flow_and_takes_few_tries(searched, name, adaptive):
    neuron, weight, step = NEURONS[name]
    method = ODE(solver=diffrax.Tsit5()) if adaptive else ODE(solver=BOSH3, step=step)
    component, found, record = searched(method, neuron, weight, [0.5, 3.0, 9.0], 30.0)
    spikes = np.flatnonzero((record["kind"] == Kind.SPIKE) | (record["kind"] == Kind.SENT))
    assert len(spikes) >= 1
    flow, neuron, drive = component.flows["n"], component.neurons["n"], component.drive["n"]
    for spike in spikes:
        state = type(found.starts.state["n"])(*(x[spike] for x in found.starts.state["n"]))
        at = jnp.asarray(record["start"][spike]), state, jnp.asarray(record["duration"][spike]), drive
        end = flow.propagate(neuron, *at)
        rise = neuron.vector_field(jnp.zeros(()), end, drive)[0]
        off = np.abs(neuron.guard(end) / rise)[0]
        # What is left of a step's own error, at second order.
        assert off <= (1e-12 if adaptive else 1e-8), f"{off:.1e} ms off"
    if not adaptive:
        assert np.sum(record["kind"] == Kind.IDLE) <= 3 * len(spikes)
