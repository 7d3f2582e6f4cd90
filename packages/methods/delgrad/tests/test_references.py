"""A network with axonal and synaptic delays, whose spike times and gradients were computed to fifty digits."""

import json
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import saltation as st
from saltation_delgrad import DelGrad
from saltation_neurons import LIF, AtMostOnce

CASE = json.loads((Path(__file__).parent / "data" / "delgrad_tau_eq.json").read_text())
GIVEN, EXPECTED = CASE["inputs"], CASE["expected"]
NAMES = [
    "weights_1",
    "weights_2",
    "axonal_delays_1",
    "axonal_delays_2",
    "synaptic_delays_1",
    "synaptic_delays_2",
    "input_times",
]


def _spike_times(values):
    return np.array([[np.inf if t is None else t for t in row] for row in values])


def _network(at, postponed):
    """The reference's network; its unit of time is `tau_syn`, its weights are for `g_leak = 1`, as here."""
    once = AtMostOnce(LIF(tau_mem=1.0, tau_syn=1.0))
    connections = []
    for n, (source, target) in enumerate((("in", "hidden"), ("hidden", "out")), start=1):
        delay = st.Delay(at[f"axonal_delays_{n}"]) + st.Delay(at[f"synaptic_delays_{n}"])
        if postponed is not None:
            delay = delay + st.Delay(postponed[f"dendritic_delays_{n}_at_0"])
        connections.append(st.Connection(source, target, st.Dense(at[f"weights_{n}"]), delay))
    return st.Network({"in": 5}, {"hidden": once.with_shape(8), "out": once.with_shape(3)}, connections, ["out"])


@eqx.filter_jit
def _outcome(at, postponed, kernel):
    method = DelGrad(kernel=kernel)

    def loss(at, postponed):
        network = _network(at, postponed)

        def one(times):
            solution = method.solve(network, {"in": st.Spikes.from_dense(times)}, t1=10.0, throw=False)
            return solution.spikes["hidden"].first(), solution.spikes["out"].first(), solution.result

        hidden, out, result = jax.vmap(one)(at["input_times"])
        fires = jnp.isfinite(out)
        return jnp.sum(jnp.where(fires, jnp.where(fires, out, 0.0), 0.0)), (hidden, out, result)

    return jax.value_and_grad(loss, argnums=(0, 1), has_aux=True)(at, postponed)


@pytest.fixture(scope="module", params=["float64", "float32"])
def solved(request, kernel):
    at = {name: jnp.asarray(GIVEN[name], request.param) for name in NAMES}
    postponed = {f"dendritic_delays_{n}_at_0": jnp.zeros(size, request.param) for n, size in ((1, 8), (2, 3))}
    (value, aux), (gradient, by_postponed) = _outcome(at, postponed, kernel)
    tolerances = {"float64": (1e-10, 1e-10), "float32": (1e-4, 1e-3)}[request.param]
    return value, aux, {**gradient, **by_postponed}, *tolerances


def test_spike_times(solved):
    value, (hidden, out, result), _, atol, _ = solved
    assert bool(jnp.all(result == st.RESULTS.successful))
    for name, found in (("hidden", hidden), ("output", out)):
        np.testing.assert_allclose(found, _spike_times(EXPECTED[f"{name}_times"]), rtol=0, atol=atol, err_msg=name)
    np.testing.assert_allclose(value, EXPECTED["loss"], rtol=atol)


def test_gradients(solved):
    _, _, gradient, _, tolerance = solved
    for name, found in gradient.items():
        expected = np.asarray(EXPECTED["gradients"][name])
        np.testing.assert_allclose(found, expected, rtol=tolerance, atol=tolerance, err_msg=name)
