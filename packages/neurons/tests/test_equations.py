"""Each model's equation, written down once more in NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from saltation_neurons import (
    ALIF,
    EGRU,
    EIF,
    IF,
    LIF,
    QIF,
    AdEx,
    ALIFState,
    DendriticLIF,
    DendriticLIFState,
    EGRUState,
    IFState,
    Izhikevich,
    LIFState,
    QIFState,
    Theta,
    ThetaState,
)

T = jnp.zeros(())
CURRENT = 0.7


def _field(neuron, state):
    arrays = type(state)(*(jnp.asarray(leaf) for leaf in state))
    return neuron.vector_field(T, arrays, jnp.asarray(CURRENT))


def _close(got, *expected, rtol=1e-14):
    for leaf, value in zip(got, expected, strict=True):
        np.testing.assert_allclose(leaf, value, rtol=rtol)


def _variables(neuron, state):
    """A state with the potential itself where it has it on a scale."""
    return (neuron.observe(state), *state[1:])


def test_lif():
    v, i = np.array([0.2, -0.4]), np.array([1.5, 0.1])
    neuron = LIF(2, tau_mem=10.0, tau_syn=3.0, v_leak=0.1)
    _close(_field(neuron, LIFState(v, i)), (0.1 - v + i + CURRENT) / 10.0, -i / 3.0)


def test_qif():
    v, i = np.array([0.2, 3.0]), np.array([1.5, 0.1])
    _close(_field(QIF(2), QIFState(v, i)), (v**2 - v + i + CURRENT) / 20.0, -i / 5.0)
    shifted = QIF(2, v_rest=-1.0, v_crit=2.0)
    _close(_field(shifted, QIFState(v, i)), ((v + 1.0) * (v - 2.0) + i + CURRENT) / 20.0, -i / 5.0)


@pytest.mark.parametrize(("current", "length"), [(0.7, 1.0), (-3.0, 20.0)])
def test_theta(current, length):
    # Of x and y only the ratio means something: its derivative is that of the QIF neuron, whatever the length.
    v, i = np.array([0.2, 3.0, -40.0]), np.array([1.5, 0.1, -0.3])
    for neuron, expected in [
        (Theta(3), (v**2 - v + i + current) / 20.0),
        (Theta(3, v_rest=-1.0, v_crit=2.0, tau_mem=5.0), ((v + 1.0) * (v - 2.0) + i + current) / 5.0),
    ]:
        state = ThetaState.of(v, i)
        state = state._replace(x=length * state.x, y=length * state.y)
        field = neuron.vector_field(T, state, jnp.asarray(current))
        dv = (field.y * state.x - state.y * field.x) / state.x**2
        np.testing.assert_allclose(dv, expected, rtol=1e-12)
        np.testing.assert_allclose(field.i, -i / 5.0, rtol=1e-14)
        np.testing.assert_allclose(state.v, v, rtol=1e-14)
        np.testing.assert_allclose(state.theta, 2 * np.arctan(v), rtol=1e-14)


def test_theta_spikes_at_infinity_and_starts_again_from_below():
    neuron = Theta(1, v_rest=-0.5)
    start = neuron.init()
    np.testing.assert_allclose((start.v, start.i), [[-0.5], [0.0]], rtol=1e-14)
    assert neuron.guard(start) < 0 and neuron.guard(ThetaState.of(jnp.array([1e9]), 0.0)) < 0
    beyond = ThetaState(jnp.array([-1e-9]), jnp.array([1.0]), jnp.array([0.4]))
    assert neuron.guard(beyond) > 0
    after = neuron.reset(beyond)
    assert neuron.guard(after) < 0 and after.v == -1000.0 and after.i == 0.4
    np.testing.assert_array_equal(neuron.observe(start), start.v)


def test_kicks_keep_the_length_of_theta_near_one():
    for length in (1e-30, 0.3, 1.0, 1.6, 1e30):
        state = ThetaState(*(length * jnp.array([0.6, -0.8])[:, None]), jnp.zeros(1))
        kicked = Theta(1).receive(state, jnp.ones(1), "current")
        np.testing.assert_array_equal(kicked.v, state.v)  # exactly
        assert 0.7 < jnp.maximum(abs(kicked.x), abs(kicked.y)) < 1.6


def _potential_and_field(neuron, state):
    """The potential of a state on a scale of its own, and the derivatives of it and of the other variables."""
    field = neuron.vector_field(T, state, jnp.asarray(CURRENT))
    v, dv = jax.jvp(neuron.observe, (state,), (field,))
    return v, (dv, *field[1:])


def test_eif():
    v, i = np.array([-66.0, -50.0, -31.0]), np.array([150.0, 10.0, -20.0])
    dv = (-10.0 * (v + 65.0) + 10.0 * 3.48 * np.exp((v + 59.9) / 3.48) + i + CURRENT) / 100.0
    potential, field = _potential_and_field(EIF(3), EIF(3).at(v, i))
    np.testing.assert_allclose(potential, v, rtol=1e-13)
    _close(field, dv, -i / 5.0, rtol=1e-12)


def test_adex():
    v, w, i = np.array([-66.0, -48.0, -31.0]), np.array([5.0, 80.0, 0.0]), np.array([150.0, 10.0, -20.0])
    dv = (-30.0 * (v + 70.6) + 30.0 * 2.0 * np.exp((v + 50.4) / 2.0) - w + i + CURRENT) / 281.0
    dw = (4.0 * (v + 70.6) - w) / 144.0
    potential, field = _potential_and_field(AdEx(3), AdEx(3).at(v, w, i))
    np.testing.assert_allclose(potential, v, rtol=1e-13)
    _close(field, dv, dw, -i / 5.0, rtol=1e-12)


def test_izhikevich():
    v, u, i = np.array([-66.0, 10.0, 29.0, -120.0]), np.array([-13.0, 3.0, 0.0, 5.0]), np.array([15.0, 1.0, -2.0, 0.0])
    dv = 0.04 * v**2 + 5 * v + 140 - u + i + CURRENT
    potential, field = _potential_and_field(Izhikevich(4), Izhikevich(4).at(v, u, i))
    np.testing.assert_allclose(potential, v, rtol=1e-13)
    _close(field, dv, 0.02 * (0.2 * v - u), -i / 5.0, rtol=1e-12)


@pytest.mark.parametrize("neuron", [EIF(1), AdEx(1), Izhikevich(1)], ids=lambda neuron: type(neuron).__name__)
def test_behind_infinity_the_scaled_potential_goes_on(neuron):
    # Stages of a step may lie there, and a replay whose observed spike comes later than the model's own.
    at_threshold = neuron.at(neuron.v_threshold)
    for behind in (0.0, 1.0, 1e3):
        state = at_threshold._replace(z=jnp.maximum(at_threshold.z, 1.0) + behind)
        field = neuron.vector_field(T, state, jnp.asarray(-1e3))
        assert neuron.guard(state) > 0 and neuron.observe(state) > neuron.v_threshold
        assert all(jnp.isfinite(leaf).all() for leaf in field)
        speed = neuron.vector_field(T, state._replace(z=state.z + 1.0), jnp.asarray(-1e3)).z
        assert 0 < field.z <= speed < 2 * field.z < 20


def test_alif():
    v, i, a = np.array([0.2, -0.4]), np.array([1.5, 0.1]), np.array([0.3, 0.0])
    neuron = ALIF(2, tau_mem=10.0, tau_syn=3.0, tau_adapt=50.0, v_leak=0.1)
    _close(_field(neuron, ALIFState(v, i, a)), (0.1 - v + i + CURRENT) / 10.0, -i / 3.0, -a / 50.0)


def test_egru():
    v, *arrived = (np.array([0.2, -0.4]) + 0.1 * n for n in range(5))
    current, recurrent, update, reset = arrived
    u, r = 1 / (1 + np.exp(1.0 - update)), 1 / (1 + np.exp(-reset - 0.5))
    z = np.tanh(current + r * recurrent - 0.2 + CURRENT)
    neuron = EGRU(2, b_update=-1.0, b_reset=0.5, b_candidate=-0.2)
    _close(_field(neuron, EGRUState(v, *arrived)), u * (z - v) / 20.0, *(-a / 5.0 for a in arrived))


def test_egru_keeps_its_memory_while_the_update_gate_is_closed():
    neuron = EGRU(1, b_update=-30.0, b_candidate=3.0)
    state = neuron.init()._replace(v=jnp.array([0.4]))
    assert abs(_field(neuron, state).v[0]) < 1e-12
    opened = neuron.receive(state, jnp.array([30.0]), "update")
    assert _field(neuron, opened).v[0] > 0.01


def test_dendritic_lif():
    v, v_d, ca, i, i_d = (np.array([0.2, 0.6]) + 0.1 * n for n in range(5))
    y = v_d - 0.5
    shape = lambda y: np.exp(-y / 0.15) / (1 + np.exp(-y / 0.05))  # noqa: E731
    peak = shape(np.linspace(-0.5, 1.0, 1_000_001)).max()
    dv = (-v + 0.1 * (v_d - v) + 3.0 * ca + i + CURRENT) / 20.0
    dv_d = (-v_d - 0.1 * (v_d - v) + i_d) / 10.0
    field = _field(DendriticLIF(2), DendriticLIFState(v, v_d, ca, i, i_d))
    np.testing.assert_allclose(field.ca, (shape(y) / peak - ca) / 5.0, rtol=1e-9)
    _close(field._replace(ca=jnp.zeros(2)), dv, dv_d, np.zeros(2), -i / 5.0, -i_d / 5.0)


def test_the_dendrite_answers_best_to_a_middling_input():
    activation = DendriticLIF(1).activation(jnp.array([-1e4, 0.0, 0.5, 0.535, 0.8, 1.5, 1e4]))
    assert activation[3] == pytest.approx(1.0, abs=1e-3) and (activation <= 1.0).all()
    assert (jnp.diff(activation[:4]) > 0).all() and (jnp.diff(activation[3:]) < 0).all()
    np.testing.assert_allclose(activation[jnp.array([0, -1])], 0.0, atol=1e-12)


def test_if():
    v, i = np.array([0.2, -0.4]), np.array([1.5, 0.1])
    _close(_field(IF(2, c_mem=4.0, tau_syn=3.0), IFState(v, i)), (i + CURRENT) / 4.0, -i / 3.0)
    delta = IF(2, c_mem=4.0, tau_syn=None)
    _close(_field(delta, IFState(v, np.zeros(2))), np.full(2, CURRENT / 4.0), np.zeros(2))


@pytest.mark.parametrize(
    ("neuron", "start"),
    [
        (LIF(2, v_leak=0.1), (0.1, 0.0)),
        (QIF(2, v_rest=-0.5), (-0.5, 0.0)),
        (EIF(2), (-65.0, 0.0)),
        (AdEx(2), (-70.6, 0.0, 0.0)),
        (Izhikevich(2), (-65.0, -13.0, 0.0)),
        (ALIF(2, v_leak=0.1), (0.1, 0.0, 0.0)),
        (EGRU(2), (0.0,) * 5),
        (DendriticLIF(2, v_leak=0.1), (0.1, 0.1, 0.0, 0.0, 0.0)),
        (IF(2, v_reset=-0.2), (-0.2, 0.0)),
    ],
)
def test_starts_at_rest(neuron, start):
    state = neuron.init()
    _close(_variables(neuron, state), *(np.full(2, value) for value in start), rtol=1e-13)
    assert (neuron.guard(state) < 0).all()


@pytest.mark.parametrize(
    ("neuron", "before", "after"),
    [
        (LIF(1), (1.0, 0.4), (0.0, 0.4)),
        (QIF(1), (10.0, 0.4), (-1.0, 0.4)),
        (EIF(1), (-30.0, 40.0), (-68.0, 40.0)),
        (AdEx(1), (-30.0, 20.0, 40.0), (-70.6, 100.5, 40.0)),
        (Izhikevich(1), (30.0, -5.0, 4.0), (-65.0, 3.0, 4.0)),
        (ALIF(1), (1.2, 0.4, 0.1), (0.0, 0.4, 0.4)),
        (EGRU(1), (0.5, 0.4, 0.3, 0.2, 0.1), (0.0, 0.4, 0.3, 0.2, 0.1)),
        (DendriticLIF(1), (1.0, 0.4, 0.3, 0.2, 0.1), (0.0, 0.4, 0.3, 0.2, 0.1)),
        (IF(1, v_reset=-0.5), (1.3, 0.4), (-0.5, 0.4)),
        (IF(1, v_reset=-0.5, reset_mode="subtract"), (1.3, 0.4), (-0.2, 0.4)),
    ],
)
def test_guard_and_reset(neuron, before, after):
    state_of = getattr(neuron, "at", type(neuron.init()))
    v, *others = (jnp.array([value]) for value in before)
    state = state_of(v, *others)
    assert neuron.guard(state) >= 0
    assert neuron.guard(state_of(v - 0.5, *others)) < 0
    np.testing.assert_allclose(neuron.observe(state), v, rtol=1e-13)
    _close(_variables(neuron, neuron.reset(state)), *(np.array([value]) for value in after), rtol=1e-13)


def test_delta_synapses_kick_the_potential():
    neuron = IF(2, c_mem=4.0, tau_syn=None)
    _close(neuron.receive(neuron.init(), jnp.array([2.0, -1.0]), "current"), [0.5, -0.25], [0.0, 0.0])


def test_rate_is_that_of_a_subtractive_counter():
    neuron = IF(tau_syn=None, reset_mode="subtract", c_mem=2.0, v_threshold=1.0, v_reset=-0.5)
    assert neuron.rate() == (3.0, 1.0)
    assert IF(tau_syn=None).rate() is None
    assert IF(reset_mode="subtract").rate() is None

    # u <- u - threshold s + input is the neuron itself, for one arrival a step.
    state, u = neuron.with_shape(1).init(), 0.0
    for kick in np.random.RandomState(0).uniform(-0.5, 2.5, 50):
        state = neuron.receive(state, jnp.array([kick]), "current")
        u += kick
        spike = u >= neuron.rate().v_threshold
        assert bool(neuron.guard(state) >= 0) == spike
        if spike:
            state, u = neuron.reset(state), u - neuron.rate().v_threshold
