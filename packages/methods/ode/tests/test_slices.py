"""Recurrent LIF neurons in slices of their least delay: the same solution as by the joint search for events."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import saltation as st
from saltation_neurons import LIF, QIF, AtMostOnce
from saltation_ode import ODE, _slice_layer

T1, LEAST = 24.0, 1.5
KINDS = ["axonal", "all"]


def _arguments():
    rng = np.random.default_rng(4)
    times = np.sort(rng.uniform(0.0, 18.0, (3, 6)))
    times[2, 4:] = np.inf
    return {
        "in_a": jnp.asarray(rng.normal(1.2, 1.0, (3, 2))),
        "in_b": jnp.asarray(rng.normal(0.8, 1.0, (3, 2))),
        "a_a": jnp.asarray(rng.normal(0.2, 0.4, (2, 2))),
        "a_b": jnp.asarray(rng.normal(0.4, 0.5, (2, 2))),
        "b_a": jnp.asarray(rng.normal(0.2, 0.5, (2, 2))),
        "times": jnp.asarray(times),
        "inward": jnp.asarray(rng.uniform(0.0, 3.0, (3, 2))),
        "axonal": jnp.asarray(rng.uniform(LEAST, 4.0, 2)),
        "dendritic": jnp.asarray(rng.uniform(LEAST, 4.0, 2)),
        "synaptic": jnp.asarray(rng.uniform(LEAST, 4.0, (2, 2))),
        "tau_mem": jnp.array([12.0, 15.0]),
        "v_threshold": jnp.array(1.0),
        "v_reset": jnp.array([-0.1, 0.0]),
        "drive": jnp.array([0.3, 0.5]),
        "start": jnp.array([0.1, -0.2]),
        "samples": jnp.array([0.0, 7.3, 9.0]),
    }


def _run(at, kind, slices, wrap=lambda neuron: neuron, save=True, room=24, given=None):
    """Two populations that excite each other, and a current."""
    own = kind != "axonal"
    a = wrap(LIF(2, tau_mem=at["tau_mem"], tau_syn=6.0, v_threshold=at["v_threshold"], v_reset=at["v_reset"]))
    b = LIF(2, tau_mem=10.0, tau_syn=5.0)
    axonal = st.Delay(at["axonal"], LEAST, kind="axonal")
    connections = [
        st.Connection("in", "a", st.Dense(at["in_a"]), st.Delay(at["inward"]) if own else None),
        st.Connection("in", "b", st.Dense(at["in_b"])),
        st.Connection("drive", "a", st.Dense(jnp.eye(2))),
        st.Connection("a", "a", st.Dense(at["a_a"]), axonal),
        st.Connection("a", "b", st.Dense(at["a_b"]), st.Delay(at["dendritic"], LEAST, kind="dendritic") if own else axonal),
        st.Connection("b", "a", st.Dense(at["b_a"]), st.Delay(at["synaptic"], LEAST) if own else axonal),
    ]
    network = st.Network({"in": 3, "drive": 2}, {"a": a, "b": b}, connections, ["a", "b"])
    stimulus = {"in": st.Spikes.from_dense(at["times"]), "drive": st.Current(at["drive"])}
    method = ODE(max_spikes=room, slices=slices)
    if given is not None:
        return method.replay(network, stimulus, given, t1=T1, throw=False)
    initial = {"a": eqx.tree_at(lambda state: state.v, LIF(2).init(), at["start"])} if wrap(0) == 0 else None
    states = st.Save(states_at=at["samples"]) if save else st.Save()
    return method.solve(network, stimulus, t1=T1, initial=initial, save=states, throw=False)


@pytest.fixture(scope="module")
def both(projection):
    """`f(kind)(at)`: value, signature and gradient in slices and by the joint search, in one program."""
    made = {}

    def make(kind):
        if kind not in made:
            ways = [
                eqx.filter_value_and_grad(lambda at, slices=slices: projection(_run(at, kind, slices)), has_aux=True)
                for slices in (True, False)
            ]
            made[kind] = jax.jit(lambda at: [way(at) for way in ways])
        return made[kind]

    return make


def _agree(pair, *, spikes):
    ((value, (which, result)), gradient), ((expected, (also, ended)), by_events) = pair
    assert result == ended == st.RESULTS.successful._value
    assert sum((np.asarray(index) >= 0).sum() for index in which.values()) >= spikes
    for name in which:
        np.testing.assert_array_equal(which[name], also[name])
    np.testing.assert_allclose(value, expected, rtol=1e-12)
    for name, leaf in by_events.items():
        largest = np.abs(np.asarray(leaf)).max()
        np.testing.assert_allclose(gradient[name], leaf, rtol=0, atol=1e-10 * max(largest, 1e-3), err_msg=name)


@pytest.mark.parametrize("kind", ["axonal", pytest.param("all", marks=pytest.mark.slow)])
def test_slices_and_the_joint_search_agree(both, kind):
    at = _arguments()
    _agree(both(kind)(at), spikes=10)


@pytest.mark.parametrize("kind", ["axonal", pytest.param("all", marks=pytest.mark.slow)])
@pytest.mark.parametrize("seed", range(3))
def test_they_agree_at_the_borders_of_slices(both, kind, seed):
    # Inputs, samples and delays on the grid, and delays of exactly the minimum: arrivals meet borders.
    at = _arguments()
    rng = np.random.default_rng(seed)
    at["times"] = jnp.asarray(np.sort(LEAST * rng.integers(0, 12, (3, 6)), axis=1))
    at["inward"] = jnp.asarray(LEAST * rng.integers(0, 3, (3, 2)))
    at["samples"] = jnp.array([LEAST, 6 * LEAST, 6 * LEAST])
    for name in ("axonal", "dendritic", "synaptic"):
        at[name] = jnp.full_like(at[name], LEAST) if seed == 0 else at[name] + 0.3 * seed
    _agree(both(kind)(at), spikes=8)
