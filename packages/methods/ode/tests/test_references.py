"""Spike times, states and gradients of small networks, computed by independent means to many digits."""

import json
from pathlib import Path

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import saltation as st
from saltation_neurons import LIF, QIF, Izhikevich
from saltation_ode import ODE

DATA = Path(__file__).parent / "data"
CASES = {
    case["name"]: case
    for file in ("ode_lif.json", "ode_qif.json", "ode_izhikevich.json")
    for case in json.loads((DATA / file).read_text())["cases"]
}
# Times in ms, gradients relative to the largest one.
TOLERANCES = {name: (1e-9, 1e-9) if name.startswith("lif") else (1e-6, 1e-5) for name in CASES}
GRADIENTS = {"w_in": "dt_dw_in", "w_rec": "dt_dw_rec", "bias": "dt_dbias", "times": "dt_dt_in"}


def _neuron(case):
    given = case["params"]
    if case["model"] == "IZH":
        names = {"v_th": "v_threshold", "v0": "v_init"}
        return Izhikevich(2, **{names.get(name, name): value for name, value in given.items() if name != "u0"})
    names = {"v_th": "v_threshold"}
    model = QIF if case["model"] == "QIFfin" else LIF
    return model(2, **{names.get(name, name): value for name, value in given.items()})


def _arguments(case, *, recurrent=True):
    at = {"w_in": case["w_in"], "bias": case["bias"], "times": case["input_spikes"]}
    if recurrent:
        at["w_rec"] = case["w_rec"]
    return {name: jnp.asarray(value, float) for name, value in at.items()}


@eqx.filter_jit
def _solution(method, neuron, at, delay, t1, save):
    """The reference's network: input spikes, a bias as a current, and perhaps connections to each other."""
    connections = [
        st.Connection("in", "neurons", st.Dense(at["w_in"])),
        st.Connection("bias", "neurons", st.Dense(jnp.eye(2))),
    ]
    if "w_rec" in at:
        connections.append(st.Connection("neurons", "neurons", st.Dense(at["w_rec"]), delay))
    network = st.Network({"in": 3, "bias": 2}, {"neurons": neuron}, connections, ["neurons"])
    stimulus = {"in": st.Spikes.from_dense(at["times"]), "bias": st.Current(at["bias"])}
    return method.solve(network, stimulus, t1=t1, save=save, throw=False)


@eqx.filter_jit
def _outcome(method, neuron, at, delay, t1, save, count, direction):
    """The solution, the Jacobian of its first `count` spike times, and their derivative along a direction."""

    def times(at):
        solution = _solution(method, neuron, at, delay, t1, save)
        return solution.spikes["neurons"].time[:count], solution

    # Both modes at one solution: two, compiled apart, may choose adaptive steps apart.
    _, push_forward, solution = jax.linearize(times, at, has_aux=True)
    pull_back = jax.linear_transpose(push_forward, at)
    (jacobian,) = jax.vmap(pull_back)(jnp.eye(count))
    return solution, jacobian, push_forward(direction)


def _solved(case, method=ODE(), *, recurrent=True, delay=None):
    at = _arguments(case, recurrent=recurrent)
    rng = np.random.default_rng(0)
    direction = jax.tree.map(lambda x: jnp.asarray(rng.normal(size=x.shape)), at)
    if case["model"] == "LIF" and recurrent and delay is None:
        # Zeros where there is no delay: one compiled function serves both networks.
        delay = st.Delay(jnp.asarray(case["rec_delay"] or np.zeros((2, 2)), float))
    save = st.Save(states_at=jnp.asarray([sample["t"] for sample in case["state_samples"]]))
    count = len(case["spikes"])
    return (*_outcome(method, _neuron(case), at, delay, case["T"], save, count, direction), direction)


@pytest.fixture(scope="module", params=CASES)
def solved(request):
    """A reference, and what the method finds with its default settings."""
    case = CASES[request.param]
    recurrent = case["name"] != "lif_feedforward"
    return case, *_solved(case, recurrent=recurrent)


def _check_spikes(case, solution, atol):
    assert solution.result == st.RESULTS.successful
    train, expected = solution.spikes["neurons"], case["spikes"]
    count = len(expected)
    assert np.asarray(train.index)[: count + 1].tolist() == [*(s["neuron"] for s in expected), -1]
    np.testing.assert_allclose(train.time[:count], [s["t"] for s in expected], rtol=0, atol=atol)


def _check_gradients(case, jacobian, rtol):
    for name, actual in jacobian.items():
        expected = np.asarray(case["gradients"][GRADIENTS[name]])
        np.testing.assert_allclose(actual, expected, rtol=0, atol=rtol * np.abs(expected).max(), err_msg=name)


def _check_states(case, solution, atol):
    # The first variable is the potential, whatever scale it is solved on.
    _, *others = solution.states["neurons"]
    potential = _neuron(case).observe(solution.states["neurons"])
    states = np.stack([np.asarray(x) for x in (potential, *others)], axis=-1)
    expected = np.asarray([sample["state"] for sample in case["state_samples"]])
    assert ["v", *solution.states["neurons"]._fields[1:]] == [name.lower() for name in case["state_names"]]
    np.testing.assert_allclose(states, expected, rtol=0, atol=atol * np.abs(expected).max())


def test_spike_times(solved):
    case, solution, *_ = solved
    _check_spikes(case, solution, TOLERANCES[case["name"]][0])


def test_slices_meet_the_reference():
    # Connections from a neuron to itself, of weight 0, have another delay here: their gradients do not count.
    case = CASES["lif_tau20_10_delay"]
    delays = np.asarray(case["rec_delay"]) + 5.0 * np.eye(2)
    solution, jacobian, along, direction = _solved(case, ODE(slices=True), delay=st.Delay(delays, minimum=1.5))
    _check_spikes(case, solution, 1e-9)
    _check_states(case, solution, 1e-9)
    total = sum(
        np.sum(np.asarray(jacobian[name]) * np.asarray(direction[name]), axis=tuple(range(1, jacobian[name].ndim)))
        for name in jacobian
    )
    np.testing.assert_allclose(along, total, rtol=1e-10)
    own = np.eye(2)[None] == 1
    jacobian["w_rec"] = np.where(own, np.asarray(case["gradients"]["dt_dw_rec"]), jacobian["w_rec"])
    _check_gradients(case, jacobian, 1e-9)


def test_gradients(solved):
    case, _, jacobian, *_ = solved
    _check_gradients(case, jacobian, TOLERANCES[case["name"]][1])


def test_states(solved):
    case, solution, *_ = solved
    _check_states(case, solution, TOLERANCES[case["name"]][0])


def test_forward_mode_is_reverse_mode(solved):
    _, _, jacobian, along, direction = solved
    expected = sum(
        np.tensordot(np.asarray(jacobian[name]), np.asarray(direction[name]), direction[name].ndim) for name in jacobian
    )
    np.testing.assert_allclose(along, expected, rtol=1e-9, atol=1e-9 * np.abs(expected).max())


def test_an_adaptive_solver_reaches_the_closed_form():
    case = CASES["lif_feedforward"]
    solution, jacobian, *_ = _solved(case, ODE(solver=diffrax.Tsit5()), recurrent=False)
    _check_spikes(case, solution, 1e-6)
    _check_gradients(case, jacobian, 1e-5)
    _check_states(case, solution, 1e-6)


@pytest.mark.parametrize(
    ("method", "atol"),
    [
        (ODE(solver=diffrax.Tsit5(), rtol=1e-5, atol=1e-5), 1e-3),
        (ODE(solver=diffrax.Dopri5(), step=0.2), 1e-6),
        pytest.param(ODE(solver=diffrax.Bosh3(), step=0.05), 1e-5, marks=pytest.mark.slow),
        (ODE(solver=diffrax.Euler(), step=0.003), 5e-2),
    ],
    ids=["loose", "Dopri5", "Bosh3", "Euler"],
)
def test_other_solvers_come_as_near_as_they_are_accurate(method, atol):
    # An error of the state is one of the time divided by the slope at the crossing, here down to 0.0064 a ms.
    case = CASES["lif_feedforward"]
    at = _arguments(case, recurrent=False)
    solution = _solution(method, _neuron(case), at, None, case["T"], st.Save())
    _check_spikes(case, solution, atol)


@pytest.mark.slow  # the joint loop meets the references of recurrent networks above
def test_a_feedforward_network_with_a_silent_connection_is_solved_jointly_to_the_same_spikes():
    # A connection of weight zero makes a cycle: the joint loop, and gradients by the weights that are not there.
    case = CASES["lif_feedforward"]
    solution, jacobian, *_ = _solved(case)
    _check_spikes(case, solution, 1e-9)
    _check_gradients(case, jacobian, 1e-9)
