"""The conformance suite of neurons."""

import functools
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import saltation as st
from saltation import AbstractNeuron

from ._altered import to_float32
from ._compare import check_close, check_finite
from ._crossing import check_crossing
from ._neuron_functions import every_unit, everything_of, gradients_of
from ._neuron_states import currents_of, states_of
from ._suite import AbstractSuite, parametrise


class AbstractNeuronConformance(AbstractSuite):
    """The laws of a neuron. Subclass it in a test file and name what is to be tested.

    - `neurons`: by name; Python numbers and arrays as parameters are worth one entry each.
    - `ports`: where spikes arrive; the first one must be able to make the neuron spike.
    - `duration`: within which a strong drive makes the neuron spike, in its own unit of time.

    ```python
    class TestLIF(AbstractNeuronConformance):
        neurons = {"fixed": LIF(4), "trained": LIF(4, tau_mem=jnp.full(4, 20.0))}
    ```
    """

    neurons: ClassVar[Mapping[str, AbstractNeuron] | Callable[[], Mapping[str, AbstractNeuron]]]
    ports: ClassVar[tuple[str, ...]] = ("current",)
    duration: ClassVar[float] = 50.0

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        if "neuron" in metafunc.fixturenames:
            given: Any = type(self).neurons  # pyright: ignore
            neurons: Mapping[str, AbstractNeuron] = given() if callable(given) else given  # pyright: ignore
            parametrise(metafunc, "neuron", {name: _with_size(neuron) for name, neuron in neurons.items()})
        parametrise(metafunc, "port", {port: port for port in self.ports})

    @pytest.fixture(scope="class")
    def states(self, neuron: AbstractNeuron) -> dict[str, Any]:
        return states_of(neuron, self.ports[0], self.duration)

    @pytest.fixture(scope="class")
    def everything(self, neuron: AbstractNeuron) -> Callable:
        function, every = eqx.filter_jit(everything_of(neuron, self.ports)), every_unit(neuron)
        return lambda n, s, choice=every: function(n, s, choice)

    def test_a_state_is_one_float_array_of_the_shape_for_each_variable(self, neuron):
        state = neuron.init()
        assert jax.tree.leaves(state), "init: the state has no variables."
        for path, leaf in jax.tree_util.tree_leaves_with_path(state):
            name = f"init(){jax.tree_util.keystr(path)}"
            assert isinstance(leaf, jax.Array), f"{name}: got {type(leaf).__name__}; expected an array."
            assert leaf.shape == neuron.shape, f"{name}: got the shape {leaf.shape}; expected {neuron.shape}."
            assert jnp.issubdtype(leaf.dtype, jnp.floating), f"{name}: got {leaf.dtype}; expected floats."
            assert not jnp.any(jnp.isnan(leaf)), f"{name}: NaN."
        check_close(
            jax.tree.structure(neuron.init(key=jax.random.key(0))).num_leaves,
            len(jax.tree.leaves(state)),
            "init(key=...): number of variables",
        )

    def test_with_shape_gives_a_population_of_that_shape(self, neuron):
        same = neuron.with_shape(neuron.shape)
        check_close(same.init(), neuron.init(), "with_shape(its own).init()")
        if any(np.shape(leaf) for leaf in jax.tree.leaves(neuron)):
            pytest.skip("it has parameters for each unit, so it has no other shape")
        for shape in (3, (2, 3)):
            other = neuron.with_shape(shape)
            expected = (shape,) if isinstance(shape, int) else shape
            assert type(other) is type(neuron) and other.shape == expected and other.size == np.prod(expected)
            for leaf in jax.tree.leaves(other.init()):
                assert leaf.shape == expected, f"with_shape({shape}).init(): got a leaf of shape {leaf.shape}."

    def test_functions_keep_structure_shape_and_precision(self, neuron, states, everything):
        for state_name, state in states.items():
            for name, value in everything(neuron, state).items():
                if name in _STATE_VALUED or name.startswith("receive"):
                    got, wanted = jax.tree.structure(value), jax.tree.structure(state)
                    assert got == wanted, f"{name} of a state {state_name}: got {got}; expected {wanted}."
                for leaf in jax.tree.leaves(value):
                    what = f"{name} of a state {state_name}"
                    assert leaf.shape == neuron.shape, f"{what}: shape {leaf.shape}; expected {neuron.shape}."
                    assert leaf.dtype == jnp.result_type(float), f"{what}: got {leaf.dtype}."
                    assert not jnp.any(jnp.isnan(leaf)), f"{what}: NaN."

    def test_units_do_not_see_each_other(self, neuron, states, everything):
        # Nor the population's shape: methods hand in states of some units.
        flat = int(np.prod(neuron.shape))
        choices = {
            "permuted": np.random.default_rng(2).permutation(flat),
            "one unit": np.array([flat - 1]),
            "a unit of shape ()": np.array(flat - 1),
        }
        for choice_name, choice in choices.items():
            take = functools.partial(_take, shape=neuron.shape, choice=choice)
            for state_name, state in states.items():
                expected = take(everything(neuron, state))
                actual = everything(take(neuron), take(state), jnp.asarray(choice))
                for name in expected:
                    check_close(actual[name], expected[name], f"{name} of a state {state_name}, {choice_name}")

    def test_guard_is_below_zero_at_the_start_and_after_a_spike(self, neuron, states):
        for name in ("at the start", "after a spike"):
            guard = np.asarray(neuron.guard(states[name]))
            assert (guard < 0).all(), f"guard {name}: {guard.max()}; expected it below 0."

    def test_kicks_add_up(self, neuron, states, port):
        for name, state in states.items():
            kick = jnp.abs(currents_of(neuron))
            one = neuron.receive(state, kick, port)
            what = f"receive at {port!r} of a state {name}"
            check_close(neuron.receive(state, 0.0 * kick, port), state, f"{what}: no kick")
            check_close(neuron.receive(one, 2.0 * kick, port), neuron.receive(state, 3.0 * kick, port), f"{what}: sum")
            check_close(neuron.receive(one, -kick, port), state, f"{what}: a kick and back", atol=1e-9)

    def test_an_unknown_port_is_refused(self, neuron):
        kick = jnp.zeros(neuron.shape)
        with pytest.raises(ValueError, match="no_such_port"):
            neuron.receive(neuron.init(), kick, "no_such_port")

    def test_timers_lie_ahead_and_end(self, neuron, states):
        for name, state in states.items():
            wait = neuron.next_timer(state)
            assert bool(jnp.all(wait > 0)), f"next_timer of a state {name}: {wait.min()}; expected it above 0, or inf."
            due = jnp.isfinite(wait)
            waited = _waited(neuron, state, jnp.where(due, wait, 0.0))
            left = jnp.where(due, neuron.next_timer(waited), 0.0)
            check_close(left, jnp.zeros_like(left), f"next_timer of a state {name}, when it is due", atol=1e-6)
            again = jnp.where(due, neuron.next_timer(neuron.on_timer(waited)), jnp.inf)
            assert bool(jnp.all(again > 1e-6)), f"next_timer after on_timer of a state {name}: due at once, again."

    def test_traits_are_records_or_none(self, neuron):
        for trait, record in (
            ("lif", st.LIFDynamics),
            ("closed_form", st.ClosedForm),
            ("rate", st.RateDynamics),
            ("noise", st.NoiseDynamics),
        ):
            value = getattr(neuron, trait)()
            assert value is None or isinstance(value, record), f"{trait}(): got {value!r}."

    def test_closed_form_is_the_flow_of_the_vector_field(self, neuron, states):
        closed = _closed_form(neuron)
        current = currents_of(neuron)

        @jax.jit
        def flow(state, duration):
            return jax.jvp(lambda u: closed.flow(state, u, current), (duration,), (jnp.ones_like(duration),))

        for name, state in states.items():
            what = f"closed_form().flow of a state {name}"
            longest = jnp.minimum(0.2 * self.duration, neuron.next_timer(state))
            check_close(flow(state, 0.0 * longest)[0], state, f"{what}, for no time", atol=1e-10)
            for fraction in (0.0, 0.3, 1.0):
                reached, slope = flow(state, fraction * longest)
                field = neuron.vector_field(jnp.zeros(()), reached, current)
                check_close(slope, field, f"{what}: its slope", rtol=1e-7, atol=1e-9)
                rest, _ = flow(reached, (1 - fraction) * longest)
                check_close(rest, flow(state, longest)[0], f"{what}, in two parts", rtol=1e-8, atol=1e-10)

    def test_crossing_is_where_the_guard_rises_through_zero(self, neuron, states):
        closed = _closed_form(neuron)
        crossing = jax.jit(closed.crossing)

        @jax.jit
        def guard(times, state, current):
            one = lambda u: neuron.guard(closed.flow(state, u, current))  # noqa: E731
            return jax.vmap(lambda u: jax.jvp(one, (u,), (jnp.ones_like(u),)))(times)

        for name, state in states.items():
            if name == "at the threshold":
                continue
            duration = jnp.minimum(self.duration, neuron.next_timer(state))
            for level in (0.0, 0.5, 2.0, 20.0):
                current = jnp.full(neuron.shape, level)
                what = f"closed_form().crossing of a state {name} under a current of {level}"
                found = crossing(state, duration, current)
                check_crossing(found, lambda u, s=state, c=current: guard(u, s, c), duration, what)

    def test_lif_record_is_the_neuron(self, neuron, states):
        lif = neuron.lif()
        if lif is None:
            pytest.skip("it is not a current-based integrate-and-fire neuron")
        current = currents_of(neuron)
        for name, state in states.items():
            what = f"lif() and a state {name}: "
            field = neuron.vector_field(jnp.zeros(()), state, current)
            check_close(
                field.v, (lif.g_leak * (lif.v_leak - state.v) + state.i + current) / lif.tau_mem, what + "dv/dt"
            )
            check_close(field.i, -state.i / lif.tau_syn, what + "di/dt")
            kicked = neuron.receive(state, current, "current")
            check_close((kicked.v, kicked.i), (state.v, state.i + current), what + "a kick")
            written = lif.write(state, state.v + 1.0, state.i - 1.0)
            check_close((written.v, written.i), (state.v + 1.0, state.i - 1.0), what + "write")
            check_close(lif.write(written, state.v, state.i), state, what + "write, and back", atol=1e-10)
            reset = neuron.reset(state)
            check_close((reset.v, reset.i), (jnp.zeros_like(state.v) + lif.v_reset, state.i), what + "reset")
        start = neuron.init()
        check_close(neuron.guard(start), start.v - lif.v_threshold, "lif() at the start: guard")
        again = lif.write(states["after a spike"], start.v + 2.0 * (lif.v_threshold - start.v), start.i)
        fires_again = np.asarray(neuron.guard(again) >= 0)
        assert (fires_again != lif.at_most_once).all(), "lif().at_most_once: says something else than the guard."

    def test_a_number_and_an_array_are_one_parameter(self, neuron, states, everything):
        arrays = _with_arrays(neuron)
        for state_name, state in states.items():
            expected = everything(neuron, state)
            for name, value in everything(arrays, state).items():
                what = f"{name} of a state {state_name}, parameters as arrays"
                check_close(value, expected[name], what, rtol=1e-7, atol=_rounding_of(name))

    def test_gradients_of_parameters_and_states_are_finite(self, neuron, states):
        arrays = _with_arrays(neuron)
        gradients = eqx.filter_jit(gradients_of(neuron, self.ports))
        for state_name, state in states.items():
            for name, gradient in gradients(arrays, state).items():
                check_finite(gradient, f"gradient of {name} of a state {state_name}, with respect to ")

    def test_jit_is_eager(self, neuron, states, everything):
        for state_name in ("excited", "after a spike"):
            state = states[state_name]
            compiled = everything(neuron, state)
            for name, value in everything_of(neuron, self.ports)(neuron, state, every_unit(neuron)).items():
                what = f"{name} of a state {state_name}, under jit"
                check_close(compiled[name], value, what, atol=_rounding_of(name))

    def test_vmap_is_a_loop(self, neuron, states, everything):
        stack = lambda *leaves: jnp.stack(leaves)  # noqa: E731
        batch = jax.vmap(lambda state: everything(neuron, state))(jax.tree.map(stack, *states.values()))
        loop = jax.tree.map(stack, *[everything(neuron, state) for state in states.values()])
        for name in loop:
            check_close(batch[name], loop[name], f"{name} under vmap", atol=_rounding_of(name))

    def test_float32_stays_float32_and_near_float64(self, neuron, states, everything):
        narrow = jax.tree.map(to_float32, (neuron, states))
        for state_name, state in states.items():
            expected = everything(neuron, state)
            for name, value in everything(narrow[0], narrow[1][state_name]).items():
                what = f"{name} of a state {state_name} in float32"
                for leaf in jax.tree.leaves(value):
                    assert leaf.dtype == jnp.float32, f"{what}: got {leaf.dtype}."
                if name != "crossing":
                    check_close(value, expected[name], what, rtol=2e-3, atol=2e-4)


_STATE_VALUED = ("vector_field", "reset", "on_timer", "flow")


def _rounding_of(name: str) -> float:
    return 1e-6 if name == "crossing" else 1e-12


def _closed_form(neuron: AbstractNeuron) -> st.ClosedForm:
    closed = neuron.closed_form()
    if closed is None:
        pytest.skip("it has no closed form")
    return closed


@eqx.filter_jit
def _waited(neuron: AbstractNeuron, state: Any, duration: Any) -> Any:
    """A time ahead, by Euler's steps: exact for clocks."""
    for _ in range(10):
        slope = neuron.vector_field(jnp.zeros(()), state, jnp.zeros(neuron.shape))
        state = jax.tree.map(lambda x, dx: x + 0.1 * duration * dx, state, slope)
    return state


def _with_size(neuron: AbstractNeuron) -> AbstractNeuron:
    return neuron if neuron.shape else neuron.with_shape(4)


def _take(tree: Any, *, shape: tuple[int, ...], choice: np.ndarray) -> Any:
    """The chosen units, flattened, of every array that has the population's shape."""

    def take(leaf):
        if not eqx.is_array(leaf) or leaf.shape != shape:
            return leaf
        return leaf.reshape(-1)[jnp.asarray(choice)]

    return jax.tree.map(take, tree)


def _with_arrays(neuron: AbstractNeuron) -> AbstractNeuron:
    def to_array(leaf):
        is_number = isinstance(leaf, int | float) and not isinstance(leaf, bool)
        return jnp.asarray(float(leaf)) if is_number else leaf

    return jax.tree.map(to_array, neuron)
