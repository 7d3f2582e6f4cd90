"""What every neuron keeps to."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import saltation as st
import saltation_neurons
from saltation_neurons import EIF, IF, LIF, QIF, AdEx, Izhikevich, Refractory

T = jnp.zeros(())


@pytest.mark.parametrize("shape", [(), (3,), (2, 4), (1, 3, 2)])
def test_any_shape(neuron, near, getkey, shape):
    # The population has three neurons, yet methods may ask about any number of them.
    state = near(neuron, getkey(), shape)
    current = jnp.zeros(shape)

    def ask(state):
        same = (
            neuron.vector_field(T, state, current),
            neuron.reset(state),
            neuron.receive(state, current, "current"),
            neuron.on_timer(state),
        )
        numbers = (neuron.guard(state), neuron.next_timer(state), neuron.observe(state))
        form = neuron.closed_form()
        if form is not None:
            same += (form.flow(state, jnp.full(shape, 0.5), current), form.flow(state, T, T))
            numbers += (form.crossing(state, jnp.full(shape, 0.5), current),)
        return same, numbers

    same, numbers = eqx.filter_eval_shape(ask, state)
    for other in same:
        assert jax.tree.structure(other) == jax.tree.structure(state)
        assert {leaf.shape for leaf in jax.tree.leaves(other)} == {shape}
    assert {leaf.shape for leaf in numbers} == {shape}


def test_state_has_the_populations_shape(neuron):
    assert neuron.shape == (3,) and neuron.size == 3
    assert all(leaf.shape == (3,) for leaf in jax.tree.leaves(neuron.init()))
    wide = neuron.with_shape((2, 5))
    assert type(wide) is type(neuron) and wide.shape == (2, 5) and wide.size == 10
    assert all(leaf.shape == (2, 5) for leaf in jax.tree.leaves(wide.init()))
    assert neuron.with_shape(4).shape == (4,)


def test_float32_stays_float32(neuron, near, getkey):
    state = jax.tree.map(lambda leaf: leaf.astype(jnp.float32), near(neuron, getkey()))
    current = jnp.ones(3, jnp.float32)

    def ask(state):
        results = [
            neuron.vector_field(T.astype(jnp.float32), state, current),
            neuron.guard(state),
            neuron.reset(state),
            neuron.receive(state, current, "current"),
            neuron.next_timer(state),
            neuron.on_timer(state),
        ]
        form = neuron.closed_form()
        if form is not None:
            results += [form.flow(state, current, current), form.crossing(state, current, current)]
        return results

    results = eqx.filter_eval_shape(ask, state)
    assert {leaf.dtype for leaf in jax.tree.leaves(results)} == {jnp.dtype("float32")}


def test_kicks_add_up(neuron, near, getkey):
    state = near(neuron, getkey())
    one, two = jax.random.normal(getkey(), (2, 3))
    both = neuron.receive(state, one + two, "current")
    in_turn = neuron.receive(neuron.receive(state, one, "current"), two, "current")
    for a, b in zip(jax.tree.leaves(both), jax.tree.leaves(in_turn), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-12)
    assert any(not np.allclose(a, b) for a, b in zip(jax.tree.leaves(both), jax.tree.leaves(state), strict=True))


def test_unknown_port_names_the_right_one(neuron):
    with pytest.raises(ValueError, match=r"'curent'.*'current'.*Did you mean 'current'"):
        neuron.receive(neuron.init(), jnp.zeros(3), "curent")


def test_no_timer_at_the_start(neuron):
    state = neuron.init()
    assert (neuron.next_timer(state) == jnp.inf).all()
    for before, after in zip(jax.tree.leaves(state), jax.tree.leaves(neuron.on_timer(state)), strict=True):
        np.testing.assert_array_equal(before, after)


def test_input_drives_it_over_the_threshold(neuron, rk4):
    # Whatever the units are: a strong current makes every model spike, and its reset takes it back.
    strength = {"EIF": 2e3, "AdEx": 3e3, "Izhikevich": 60.0, "QIF": 200.0}
    innermost = neuron
    while hasattr(innermost, "inner"):
        innermost = innermost.inner
    current = jnp.full(3, strength.get(type(innermost).__name__, 3.0))
    state = jax.lax.while_loop(
        lambda state: (neuron.guard(state) < 0).any(),
        lambda state: rk4(neuron, state, 5e-4, current, steps=1),
        neuron.init(),
    )
    assert np.isfinite(neuron.observe(state)).all()
    assert (neuron.guard(neuron.reset(state)) < 0).all()


PARAMETERS = {
    LIF: ("tau_mem", "tau_syn", "v_threshold", "v_reset", "v_leak"),
    QIF: ("tau_mem", "tau_syn", "v_rest", "v_crit", "v_threshold", "v_reset"),
    EIF: ("c_mem", "g_leak", "tau_syn", "v_leak", "v_rheobase", "slope", "v_threshold", "v_reset"),
    AdEx: (
        *("c_mem", "g_leak", "tau_w", "tau_syn", "v_leak", "v_rheobase", "slope"),
        *("a", "b", "v_threshold", "v_reset"),
    ),
    Izhikevich: ("a", "b", "c", "d", "tau_syn", "v_threshold", "v_init"),
    IF: ("c_mem", "tau_syn", "v_threshold", "v_reset"),
}


@pytest.mark.parametrize("shape", [(), (3,)], ids=["scalar", "each"])
@pytest.mark.parametrize("model", PARAMETERS, ids=lambda model: model.__name__)
def test_every_parameter_can_be_trained(model, shape):
    names = PARAMETERS[model]
    values = {name: jnp.full(shape, getattr(model(), name)) for name in names}
    neuron = Refractory(model(3, **values), jnp.full(shape, 2.0))

    def step(neuron, state):
        field = neuron.vector_field(T, state, jnp.full(3, 0.1))
        return jax.tree.map(lambda x, dx: x + 0.1 * dx, state, field)

    @eqx.filter_jit
    def outcome(neuron):
        held = neuron.reset(step(neuron, neuron.receive(neuron.init(), jnp.full(3, 0.5), "current")))
        free = step(neuron, step(neuron, held._replace(held=jnp.zeros(3))))
        return jnp.sum(neuron.observe(free)) + jnp.sum(neuron.guard(free)) + jnp.sum(neuron.next_timer(held))

    gradient = eqx.filter_jit(eqx.filter_grad(outcome))(neuron)
    for name in names:
        g = getattr(gradient.inner, name)
        assert g.shape == shape and np.isfinite(g).all()
    np.testing.assert_allclose(jnp.sum(gradient.t_refractory), 3.0)

    # And it is the gradient: along a random direction, by central differences.
    arrays, static = eqx.partition(neuron, eqx.is_inexact_array)
    rng = np.random.RandomState(1)
    direction = jax.tree.map(lambda x: jnp.asarray(rng.normal(size=x.shape)), arrays)

    def along(eps):
        return outcome(eqx.combine(jax.tree.map(lambda x, d: x + eps * d, arrays, direction), static))

    expected = (along(1e-5) - along(-1e-5)) / 2e-5
    pairs = zip(jax.tree.leaves(gradient), jax.tree.leaves(direction), strict=True)
    np.testing.assert_allclose(sum(jnp.sum(g * d) for g, d in pairs), expected, rtol=1e-5)


def test_labels_select_parameters():
    hidden = {"hidden": LIF(3, tau_mem=jnp.full(3, 20.0))}
    assert sum(jax.tree.leaves(st.trainable(hidden, "tau_mem"))) == 1
    with pytest.raises(ValueError, match="give it as an array"):
        st.trainable({"hidden": QIF(3), "out": LIF(3, tau_mem=jnp.array(20.0))}, "v_crit")


@pytest.mark.parametrize("model", [QIF, EIF, AdEx, Izhikevich, IF], ids=lambda model: model.__name__)
def test_numpy_scalars_are_fixed_numbers_and_arrays_become_parameters(model):
    fixed = model(3, tau_syn=np.float64(4.0))
    assert type(fixed.tau_syn) is float
    assert not eqx.filter(fixed, eqx.is_inexact_array).tau_syn
    assert isinstance(model(3, tau_syn=np.full(3, 4.0)).tau_syn, jax.Array)
    whole = model(3, tau_syn=jnp.array(4)).tau_syn
    assert jnp.issubdtype(whole.dtype, jnp.floating)


@pytest.mark.parametrize("name", [name for name in dir(saltation_neurons) if name[0].isupper()])
def test_docstring_example_runs(name):
    doc = getattr(saltation_neurons, name).__doc__
    names = {public: getattr(saltation_neurons, public) for public in dir(saltation_neurons)}
    if name.endswith("State"):
        assert "```" not in doc
        return
    example = doc.split("```python\n")[1].split("```")[0].strip()
    exec(example, names)
    assert names["hidden"].shape == (30,)
