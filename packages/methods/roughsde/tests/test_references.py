"""Every spike of the references, and its derivatives with respect to currents and weights."""

import json
from pathlib import Path
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import saltation as st
from saltation_neurons import StochasticLIF
from saltation_roughsde import Brownian, Increments, RoughSDE

DATA = Path(__file__).parent / "data"
CASES = {
    name: json.loads((DATA / f"sde_{name}.json").read_text())
    for name in ("1n_escape_only", "1n_diffusion", "2n_feedforward")
}
ORDER = json.loads((DATA / "sde_event_order.json").read_text())


class Set(NamedTuple):
    network: st.Network
    initial: dict
    thresholds: dict
    path: object
    t1: float


def built(case) -> Set:
    p, n = case["params"], len(case["I"])
    neuron = StochasticLIF(
        n,
        tau_mem=1 / p["mu1"],
        tau_syn=1 / p["mu2"] if p["mu2"] else np.inf,
        v_threshold=p["v_th"],
        v_drop=p["v_reset"],
        beta=p["beta"],
        tau_escape=p["tau_s"],
        alpha=p["alpha"],
        sigma=p["sigma_v"],
    )
    network = st.Network(
        {"in": n},
        {"out": neuron},
        [
            st.Connection("in", "out", st.OneToOne(n)),
            st.Connection("out", "out", st.Dense(jnp.asarray(case["w"]))),
        ],
        ["out"],
    )
    thresholds = {"out": jnp.asarray(case["log_u"])}
    state = neuron.init()
    s = thresholds["out"][:, 0] - p["alpha"]
    initial = {"out": state._replace(v=jnp.asarray(p["v0"]), i=jnp.asarray(p["i0"]), s=s)}
    path = Increments(jnp.asarray(case["dWv"]).T) if case.get("dWv") else Brownian()
    return Set(network, initial, thresholds, path, case["T"])


@eqx.filter_jit
def spikes_and_derivatives(
    case: Set, currents, *, cells: int, scheme: str, rule: str, room: int, derivatives: bool = True
):
    method = RoughSDE(
        dt=case.t1 / cells, scheme=scheme, rule=rule, max_spikes=room, path=case.path, thresholds=case.thresholds
    )

    def times(currents, weight):
        net = eqx.tree_at(lambda n: n.connections[1].synapse.weight, case.network, weight)
        solution = method.solve(net, {"in": st.Current(currents)}, t1=case.t1, initial=case.initial)
        time, index = solution.spikes["out"].time, solution.spikes["out"].index
        return jnp.where(jnp.isfinite(time), time, 0.0), (time, index)

    weight = case.network.connections[1].synapse.weight
    if not derivatives:
        return *times(currents, weight)[1], None
    jacobian = jax.jacfwd if rule == "pathwise" else jax.jacrev  # forward and reverse mode, one for each
    slopes, (time, index) = jacobian(times, (0, 1), has_aux=True)(currents, weight)
    return time, index, slopes


def check(case, reference, *, cells, scheme, rule, room, times, derivatives):
    time, index, slopes = spikes_and_derivatives(
        built(case),
        jnp.asarray(case["I"]),
        cells=cells,
        scheme=scheme,
        rule=rule,
        room=room,
        derivatives=derivatives is not None,
    )
    found = np.isfinite(time)
    assert np.asarray(index)[found].tolist() == [unit for _, unit in reference["spikes"]]
    np.testing.assert_allclose(np.asarray(time)[found], [t for t, _ in reference["spikes"]], atol=times, rtol=0)
    if derivatives is None:
        return
    by_current, by_weight = slopes
    k = found.sum()
    for unit, wanted in enumerate(reference["dt_dI"]):
        compare(by_current[:k, unit], wanted, derivatives)
    for name, wanted in reference["dt_dw"].items():
        source, target = map(int, name.split("->"))
        compare(by_weight[:k, source, target], wanted, derivatives)


def compare(got, wanted, atol):
    pairs = [(float(g), w) for g, w in zip(got, wanted, strict=True) if w is not None]
    assert pairs
    np.testing.assert_allclose(*zip(*pairs), atol=atol, rtol=0)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (name == "1n_escape_only")) for name in CASES]
)
def test_piecewise_linear_is_exact(name):
    case = CASES[name]
    reference = case["piecewise_linear_noise_exact"]
    check(case, reference, cells=256, scheme="piecewise_linear", rule="pathwise", room=10, times=1e-8, derivatives=1e-7)


@pytest.mark.parametrize("level", [-1, pytest.param(1, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", CASES)
def test_euler_is_the_files(name, level):
    case = CASES[name]
    reference = case["euler_maruyama"][level]
    setting = {"cells": reference["N"], "scheme": "euler", "rule": "discrete", "room": 10}
    check(case, reference, **setting, times=1e-10, derivatives=1e-6)


@eqx.filter_jit
def spike_times(case: Set, currents, cells: int):
    method = RoughSDE(dt=case.t1 / cells, max_spikes=10, path=case.path, thresholds=case.thresholds)
    return method.solve(case.network, {"in": st.Current(currents)}, t1=case.t1, initial=case.initial).spikes["out"].time


@pytest.mark.slow
def test_euler_at_the_finest_level():
    # At this level the file's central differences reach across the border of a cell, where the scheme has a kink: the
    # same differences are the same numbers, and smaller ones are the gradient.
    case = CASES["1n_diffusion"]
    reference = case["euler_maruyama"][0]
    current, k = jnp.asarray(case["I"]), len(reference["spikes"])

    def differences(step):
        at = [spike_times(built(case), current + j * step, reference["N"])[:k] for j in (-2, -1, 1, 2)]
        return (at[0] - 8 * at[1] + 8 * at[2] - at[3]) / (12 * step)

    compare(differences(1e-6), reference["dt_dI"][0], 1e-9)
    time, _, (by_current, _) = spikes_and_derivatives(
        built(case), current, cells=reference["N"], scheme="euler", rule="discrete", room=10
    )
    np.testing.assert_allclose(time[:k], [t for t, _ in reference["spikes"]], atol=1e-10, rtol=0)
    compare(by_current[:k, 0], np.asarray(differences(1e-8)).tolist(), 1e-6)


@pytest.mark.parametrize("level", [0, *(pytest.param(n, marks=pytest.mark.slow) for n in range(1, 4)), 4])
def test_events_of_one_cell_of_a_scheme_come_in_order_of_time(level):
    reference = ORDER["euler"][level]
    setting = {"cells": round(1 / reference["h"]), "scheme": "euler", "rule": "discrete", "room": 4}
    check(ORDER, reference, **setting, times=1e-10, derivatives=None)


def test_events_of_one_cell_come_in_order_of_time():
    # The file's derivatives are differences good to 1e-5 in this case.
    setting = {"cells": 16, "scheme": "piecewise_linear", "rule": "pathwise", "room": 4}
    check(ORDER, ORDER["exact"], **setting, times=1e-8, derivatives=1e-5)
