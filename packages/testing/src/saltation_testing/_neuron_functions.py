"""What a neuron computes from a state, all of it as one function: to compile one is cheaper than to compile each."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp

from saltation import AbstractNeuron

from ._neuron_states import currents_of


def everything_of(neuron: AbstractNeuron, ports: tuple[str, ...]) -> Callable:
    """`f(neuron, state, choice)`: the values of all functions by name, of states of the chosen units."""
    functions = _functions(neuron, ports)
    return lambda n, s, choice: {name: function(n, s, choice) for name, function in functions.items()}


def gradients_of(neuron: AbstractNeuron, ports: tuple[str, ...]) -> Callable:
    """`f(neuron, state)`: the gradients of each function's total by both, by name.

    There is none of a crossing, whose derivative is not used.
    """

    every = every_unit(neuron)

    def total(arguments, function):
        leaves = jax.tree.leaves(function(*arguments, every))
        return sum(jnp.sum(jnp.where(jnp.isfinite(leaf), leaf, 0.0)) for leaf in leaves)

    functions = {name: function for name, function in _functions(neuron, ports).items() if name != "crossing"}
    return lambda n, s: {name: eqx.filter_grad(total)((n, s), function) for name, function in functions.items()}


def every_unit(neuron: AbstractNeuron) -> jax.Array:
    """The choice of all units, in the population's shape."""
    return jnp.arange(neuron.size).reshape(neuron.shape)


def _functions(neuron: AbstractNeuron, ports: tuple[str, ...]) -> dict[str, Callable]:
    numbers = currents_of(neuron)

    def each(like, choice):
        return numbers.reshape(-1)[choice].astype(jax.tree.leaves(like)[0].dtype)

    def receive(port):
        return lambda n, s, choice: n.receive(s, each(s, choice), port)

    functions = {
        "vector_field": lambda n, s, choice: n.vector_field(
            jnp.zeros((), jax.tree.leaves(s)[0].dtype), s, each(s, choice)
        ),
        "guard": lambda n, s, _: n.guard(s),
        "reset": lambda n, s, _: n.reset(s),
        "next_timer": lambda n, s, _: n.next_timer(s),
        "on_timer": lambda n, s, _: n.on_timer(s),
        "observe": lambda n, s, _: n.observe(s),
        **{f"receive at {port!r}": receive(port) for port in ports},
    }
    if neuron.closed_form() is not None:
        functions["flow"] = lambda n, s, choice: n.closed_form().flow(s, abs(each(s, choice)), each(s, choice))
        functions["crossing"] = lambda n, s, choice: n.closed_form().crossing(
            s, 10.0 * abs(each(s, choice)), each(s, choice)
        )
    return functions
