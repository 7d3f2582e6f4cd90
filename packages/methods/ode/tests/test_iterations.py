"""What an iteration of the search does: a spike found, located and sent, with no more of them than that."""

import diffrax
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import saltation as st
from saltation_neurons import EGRU, LIF
from saltation_ode import ODE, _ode
from saltation_ode._flow import _cubic_crossing
from saltation_ode._record import Kind
from saltation_testing import check_gradient

T1 = 20.0


def _network(numerical, weight, delay):
    """Two populations that send to each other and to themselves; the numbering of one starts behind the other's."""
    if numerical:
        neurons = {"a": EGRU(2, v_threshold=0.3), "b": EGRU(3, v_threshold=0.25)}
        ports, scale = ("recurrent", "update", "current", "reset"), (4.0, 1.0)
    else:
        neurons = {"a": LIF(2), "b": LIF(3)}
        ports, scale = ("current",) * 4, (5.0, 1.0)
    pairs = (("a", "b"), ("b", "a"), ("b", "b"), ("b", "a"))
    inside = [
        st.Connection(
            pre, post, st.Dense(scale[1] * weight[: neurons[pre].size, : neurons[post].size]), delay, port=port
        )
        for (pre, post), port in zip(pairs, ports, strict=True)
    ]
    outside = [
        st.Connection(
            "in",
            name,
            st.Dense(scale[0] * jnp.linspace(1.0, 1.1 + 0.1 * neuron.size, neuron.size)[None]),
            port="current",
        )
        for name, neuron in neurons.items()
    ]
    return st.Network({"in": 1}, neurons, outside + inside, ["b"])


WEIGHT = jnp.array([[0.1, 0.7, 0.5], [0.4, -0.3, 0.6], [-0.2, 0.8, 0.2]])
TIMES = jnp.array([[1.0, 6.5]])


@pytest.mark.parametrize("numerical", [False, True])
def test_what_has_no_delay_arrives_as_after_a_delay_of_zero(differentiated, numerical):
    # With short steps the computed solution is smooth up to its own error, and its derivative can be asked for.
    method = ODE(max_spikes=8, solver=diffrax.Dopri5(), step=0.2) if numerical else ODE(max_spikes=8, slices=False)

    def make(delay):
        def run(at):
            network = _network(numerical, at["weight"], delay)
            return method.solve(network, {"in": st.Spikes.from_dense(at["times"])}, t1=T1, throw=False)

        return differentiated(run)

    at = {"weight": WEIGHT, "times": TIMES}
    without, zero = make(None), make(st.Delay(0.0))
    (value, (spikes, result)), gradient = without(at)
    (expected, (expected_spikes, _)), expected_gradient = zero(at)
    assert result == st.RESULTS.successful._value
    assert (np.asarray(spikes["a"]) >= 0).sum() >= 2 and (np.asarray(spikes["b"]) >= 0).sum() >= 3
    jax.tree.map(np.testing.assert_array_equal, spikes, expected_spikes)
    np.testing.assert_allclose(value, expected, rtol=1e-12)
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-9, atol=1e-12), gradient, expected_gradient)
    check_gradient(lambda at: without(at)[0], gradient, at)


@pytest.mark.parametrize("numerical", [False, True])
def test_a_replay_of_what_has_no_delay_gives_the_gradient_of_solving(differentiated, numerical):
    method = ODE(max_spikes=8, solver=diffrax.Dopri5(), step=0.2) if numerical else ODE(max_spikes=8, slices=False)
    stimulus = {"in": st.Spikes.from_dense(TIMES)}
    network = _network(numerical, WEIGHT, None)
    observed = jax.jit(lambda: method.solve(network, stimulus, t1=T1, throw=False))().spikes

    def solved(weight):
        return method.solve(_network(numerical, weight, None), stimulus, t1=T1, throw=False)

    def replayed(weight):
        return method.replay(_network(numerical, weight, None), stimulus, observed, t1=T1, throw=False)

    (value, (spikes, _)), gradient = differentiated(replayed)(WEIGHT)
    (expected, (expected_spikes, _)), expected_gradient = differentiated(solved)(WEIGHT)
    jax.tree.map(np.testing.assert_array_equal, spikes, expected_spikes)
    np.testing.assert_allclose(value, expected, rtol=1e-9)
    np.testing.assert_allclose(gradient, expected_gradient, rtol=1e-6, atol=1e-9)


def test_a_spike_is_found_located_and_sent_in_one_iteration(monkeypatch):
    records = []
    search = _ode.search

    def noting(*args, **kwargs):
        found = search(*args, **kwargs)
        records.append(found)
        return found

    monkeypatch.setattr(_ode, "search", noting)
    ODE(max_spikes=8, solver=diffrax.Bosh3(), step=1.0).solve(
        _network(True, WEIGHT, None), {"in": st.Spikes.from_dense(TIMES)}, t1=T1
    )
    (found,) = records
    kinds = np.asarray(found.record.kind).reshape(-1)
    kinds = kinds[: np.argmax(kinds == Kind.END)]
    spikes = sum(int(count.sum()) for count in found.count.values())
    assert spikes >= 5 and np.sum(kinds == Kind.SENT) == spikes
    # Otherwise steps, and the arrival of the two inputs at each population.
    assert np.sum(kinds == Kind.STEP) <= T1 + spikes
    assert len(kinds) == np.sum(kinds == Kind.STEP) + spikes + 4


@pytest.mark.parametrize("bend", [0.0, 0.05, -0.05])
@pytest.mark.parametrize("root", [1e-3, 0.3, 0.93])
def test_a_crossing_of_the_cubic_is_found_to_rounding(root, bend):
    h = jnp.asarray(0.7)
    rising = lambda s: (s - root) * (1.0 + bend * s + 0.5 * bend * s**2)  # noqa: E731
    slope = jax.grad(rising)
    ends = [jnp.asarray(s) for s in (0.0, 1.0)]
    (g0, d0), (g1, d1) = ((rising(s)[None], slope(s)[None] / h) for s in ends)
    np.testing.assert_allclose(_cubic_crossing(g0, d0, g1, d1, h), [h * root], rtol=1e-12)
