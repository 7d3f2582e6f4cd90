"""What is refused, reported or warned about, in words."""

import warnings

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import saltation as st
from saltation_equilibrium import (
    GMRES,
    Anderson,
    Equilibrium,
    JacobianFree,
    NotConvergedWarning,
    Picard,
)
from saltation_neurons import IF, LIF

SAVE = st.Save(spikes=False, rates=True)
BY_CHARGE = {"tau_syn": None, "reset_mode": "subtract"}
STIMULUS = {"in": st.Current(jnp.array([0.8, 0.6]))}


def _network(neuron=IF(**BY_CHARGE), feedback=0.2, delay=None, port="current"):
    return st.Network(
        {"in": 2},
        {"a": neuron.with_shape(3)},
        [
            st.Connection("in", "a", st.Dense(np.full((2, 3), 0.4)), delay, port),
            st.Connection("a", "a", st.Dense(np.full((3, 3), feedback))),
        ],
        ["a"],
    )


class _Leaky(st.AbstractODENeuron):
    """A third party's neuron whose leak is out of range."""

    shape: tuple[int, ...] = eqx.field(converter=st.population_shape, static=True, default=())

    def init(self, *, key=None):
        return IF(self.shape).init()

    def vector_field(self, t, state, current):
        return state

    def guard(self, state):
        return state.v

    def reset(self, state, *, key=None):
        return state

    def receive(self, state, kick, port):
        return state

    def observe(self, state):
        return state.v


@pytest.mark.parametrize(
    ("network", "words"),
    [
        (_network(IF()), "no rate equation.*tau_syn=None"),
        (_network(LIF()), "no rate equation.*v_leak = v_reset"),
        (_network(LIF(**BY_CHARGE, v_reset=-1.0)), "no rate equation"),
        (_network(_Leaky()), "no rate equation"),
        (_network(LIF(**BY_CHARGE, tau_mem=jnp.array(20.0))), "leak that is an array.*Python number"),
        (_network(delay=st.Delay(1.0)), "has a delay.*method 'ode'"),
        (_network(port="other"), "ends at the port 'other'"),
        (st.Network({"in": 2}, {}, [], []), "no neurons"),
    ],
)
def test_what_has_no_equilibrium_is_refused_with_what_would_help(network, words):
    with pytest.raises(st.UnsupportedError, match=f"(?s)Equilibrium cannot solve this network: .*{words}"):
        Equilibrium().solve(network, STIMULUS, t1=5.0)


@pytest.mark.parametrize("leak", [0.0, -0.5, 1.5, float("nan")])
def test_a_leak_is_in_the_unit_interval(leak, monkeypatch):
    # Saltation's own neurons cannot have such a leak; one of a third party can.
    monkeypatch.setattr(IF, "rate", lambda self: st.RateDynamics(v_threshold=1.0, leak=leak))
    with pytest.raises(st.UnsupportedError, match=r"leak of .*expected one in \(0, 1\]"):
        Equilibrium().solve(_network(), STIMULUS, t1=5.0)


@pytest.mark.parametrize("t1", [0.0, 0.5, -3.0, 2.5, float("nan"), float("inf")])
def test_the_trial_is_a_whole_number_of_steps(t1):
    with pytest.raises(ValueError, match=r"got t1=.*expected t1 = T step for a whole number T >= 1"):
        Equilibrium().solve(_network(), STIMULUS, t1=t1)


def test_states_and_changing_currents_are_refused():
    with pytest.raises(ValueError, match=r"got Save\(states_at"):
        Equilibrium().solve(_network(), STIMULUS, t1=5.0, save=st.Save(states_at=jnp.array([1.0])))
    with pytest.raises(ValueError, match="got initial states"):
        Equilibrium().solve(_network(), STIMULUS, t1=5.0, initial={"a": IF(3).init()})
    pulse = st.Current(jnp.ones((1, 2)), start=jnp.array([2.0]))
    with pytest.raises(st.UnsupportedError, match="changes in time.*constant one"):
        Equilibrium().solve(_network(), {"in": pulse}, t1=5.0)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"step": 0.0}, "step=0.0; expected a positive number"),
        ({"gradient_at": "rate"}, "gradient_at='rate'; expected one of"),
        ({"rates": "fixed_point"}, "expected the gradient where the rates"),
        ({"unconverged": "raise"}, "unconverged='raise'"),
        ({"backward": "neuman"}, "Did you mean 'neumann'"),
        ({"forward": "gmres"}, "solves linear equations only"),
    ],
)
def test_settings_out_of_range_are_refused(settings, words):
    with pytest.raises(ValueError, match=words):
        Equilibrium(**settings)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Picard(damping=0.0),
        lambda: Picard(max_steps=0),
        lambda: Anderson(memory=0),
        lambda: Anderson(rtol=-1.0),
        lambda: GMRES(restart=0),
        lambda: JacobianFree(-1),
    ],
)
def test_solvers_refuse_settings_out_of_range(make):
    with pytest.raises(ValueError, match="expected"):
        make()


def test_differentiating_spikes_or_their_times_raises():
    with pytest.raises(TypeError, match="single spikes of its simulation have no derivative"):
        eqx.filter_grad(lambda n: jnp.sum(Equilibrium().solve(n, STIMULUS, t1=5.0).spikes["a"].time[:1]))(_network())
    train = st.Spikes.from_dense(jnp.array([[0.5, 1.5], [0.7, jnp.inf]]))

    def by_times(time):
        stimulus = {"in": eqx.tree_at(lambda s: s.time, train, time)}
        return jnp.sum(Equilibrium().solve(_network(), stimulus, t1=5.0, save=SAVE).rates["a"])

    with pytest.raises(TypeError, match="a count has no derivative"):
        jax.grad(by_times)(train.time)


def test_weights_and_inputs_that_are_not_finite_are_reported(solve):
    assert solve(Equilibrium(), _network(), STIMULUS, t1=5.0).result == st.RESULTS.successful
    weight = eqx.tree_at(lambda n: n.connections[1].synapse.weight, _network(), jnp.full((3, 3), jnp.nan))
    current = {"in": eqx.tree_at(lambda c: c.value, STIMULUS["in"], jnp.array([jnp.nan, 1.0]))}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NotConvergedWarning)
        for network, stimulus in ((weight, STIMULUS), (_network(), current)):
            assert solve(Equilibrium(), network, stimulus, t1=5.0).result == st.RESULTS.non_finite_input
        with pytest.raises(st.SolveError, match="NaN, infinite"):
            Equilibrium().solve(weight, STIMULUS, t1=5.0)


RUNAWAY = np.array([[0.0, 4.0, 0.0], [-4.0, 0.0, 0.0], [0.0, 0.0, 0.1]])


def _rotating():
    """Two neurons that chase each other: Picard's iteration never settles."""
    return eqx.tree_at(lambda n: n.connections[1].synapse.weight, _network(), jnp.asarray(RUNAWAY))


def _gradient(method, network):
    @eqx.filter_jit
    @eqx.filter_grad
    def loss(network, scale):
        solve = lambda by: method.solve(  # noqa: E731
            network, {"in": st.Current(by * STIMULUS["in"].value)}, t1=5.0, save=SAVE, throw=False
        )
        return jnp.sum(jax.vmap(solve)(scale).rates["a"])

    gradient = loss(network, jnp.array([1.0, 0.9, 1.1]))
    jax.block_until_ready(eqx.filter(gradient, eqx.is_array))
    jax.effects_barrier()
    return gradient


def test_a_backward_pass_that_does_not_converge_warns_with_its_numbers():
    method = Equilibrium(
        gradient_at="fixed_point", rates="fixed_point", backward=Picard(max_steps=7), forward=Anderson(max_steps=300)
    )
    with pytest.warns(
        NotConvergedWarning, match=r"the backward pass did not converge for 3 of 3 samples \(residual .* "
    ):
        _gradient(method, _rotating())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        _gradient(Equilibrium(backward="gmres"), _rotating())
        _gradient(Equilibrium(backward=Picard(max_steps=200)), _network(feedback=0.1))


def test_non_convergence_can_be_an_error():
    settings = {"gradient_at": "fixed_point", "rates": "fixed_point", "unconverged": "error"}
    with pytest.raises(Exception, match="the backward pass did not converge"):
        _gradient(Equilibrium(**settings, backward=Picard(max_steps=7)), _rotating())
    with pytest.raises(Exception, match="the fixed point did not converge"):
        _gradient(Equilibrium(**settings, forward=Picard(max_steps=7)), _rotating())


def test_a_fixed_point_that_is_not_found_is_in_the_result():
    method = Equilibrium(gradient_at="fixed_point", forward=Picard(max_steps=3), unconverged="ignore")
    solution = method.solve(_rotating(), STIMULUS, t1=5.0, save=SAVE, throw=False)
    assert solution.result == st.RESULTS.not_converged
    assert float(solution.stats["solver_residual"]["a"]) > 1e-6 and int(solution.stats["steps"]["a"]) >= 3
    with pytest.raises(st.SolveError, match="did not reach its tolerance"):
        method.solve(_rotating(), STIMULUS, t1=5.0, save=SAVE)


def test_measured_rates_have_their_values_and_this_gradient(solve):
    network = _network()
    solution = solve(Equilibrium(), network, STIMULUS, t1=20.0)

    def at(network):
        return Equilibrium().at_rates(network, STIMULUS, solution.rates, t1=20.0).rates["a"]

    def simulated(network):
        return Equilibrium().solve(network, STIMULUS, t1=20.0, save=SAVE).rates["a"]

    np.testing.assert_array_equal(at(network), solution.rates["a"])
    found, expected = (eqx.filter_grad(lambda n, f=f: jnp.sum(f(n) ** 2))(network) for f in (at, simulated))
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12)


def test_measured_rates_outside_of_the_unit_interval_are_refused():
    method, network = Equilibrium(), _network()
    for bad in (1.2, -0.1, float("nan")):
        with pytest.raises(ValueError, match=r"rates of 'a' outside \[0, 1\]"):
            method.at_rates(network, STIMULUS, {"a": jnp.array([0.5, bad, 0.2])}, t1=5.0)
    with pytest.raises(ValueError, match=r"expected \(3,\) for 'a'"):
        method.at_rates(network, STIMULUS, {"a": jnp.zeros(2)}, t1=5.0)
    traced = jax.jit(lambda rates: method.at_rates(network, STIMULUS, {"a": rates}, t1=5.0, throw=False).result)
    assert traced(jnp.array([0.5, 1.2, 0.2])) == st.RESULTS.non_finite_input
    assert traced(jnp.array([0.5, 1.0, 0.2])) == st.RESULTS.successful


def test_images_of_another_layout_are_refused():
    conv = st.Conv2d(np.ones((3, 3, 1, 2)), (4, 6, 1))
    build = lambda shape: st.Network(  # noqa: E731
        {"in": shape}, {"a": IF((4, 6, 2), **BY_CHARGE)}, [st.Connection("in", "a", conv)], ["a"]
    )
    build((4, 6, 1)), build((4, 6)), build(24)
    for shape in ((1, 4, 6), (6, 4, 1)):
        with pytest.raises(ValueError, match=r"the same \(height, width, channels\), channels last"):
            build(shape)


def test_dropout_needs_a_key_in_training_and_none_in_evaluation():
    network = _network()
    dropping = eqx.tree_at(lambda n: n.connections[1].synapse, network, st.Dropout(network.connections[1].synapse, 0.5))
    with pytest.raises(ValueError, match="Dropout got no key.*inference_mode"):
        Equilibrium().solve(dropping, STIMULUS, t1=5.0)
    off = Equilibrium().solve(eqx.nn.inference_mode(dropping), STIMULUS, t1=20.0, save=SAVE)
    np.testing.assert_array_equal(off.rates["a"], Equilibrium().solve(network, STIMULUS, t1=20.0, save=SAVE).rates["a"])
    rates = {
        tuple(Equilibrium().solve(dropping, STIMULUS, t1=20.0, save=SAVE, key=jax.random.key(s)).rates["a"].tolist())
        for s in range(6)
    }
    assert len(rates) > 1
