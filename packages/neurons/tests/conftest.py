"""All neuron models, for laws that hold for each of them, and an integrator to compare with."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import pytest

from saltation_neurons import (
    ALIF,
    EGRU,
    EIF,
    IF,
    LIF,
    QIF,
    AdEx,
    AtMostOnce,
    DendriticLIF,
    Izhikevich,
    Refractory,
    Theta,
)

NEURONS = {
    "lif": lambda: LIF(3),
    "lif_equal": lambda: LIF(3, tau_mem=5.0, tau_syn=5.0, v_leak=0.1),
    "qif": lambda: QIF(3),
    "theta": lambda: Theta(3),
    "eif": lambda: EIF(3),
    "adex": lambda: AdEx(3),
    "izhikevich": lambda: Izhikevich(3),
    "alif": lambda: ALIF(3),
    "egru": lambda: EGRU(3),
    "dendritic_lif": lambda: DendriticLIF(3),
    "if": lambda: IF(3),
    "if_delta": lambda: IF(3, tau_syn=None, reset_mode="subtract"),
    "at_most_once": lambda: AtMostOnce(LIF(3)),
    "refractory": lambda: Refractory(LIF(3), 2.0),
    "refractory_adex": lambda: Refractory(AdEx(3), 2.0),
    "refractory_theta": lambda: Refractory(Theta(3), 2.0),
    "at_most_once_refractory": lambda: AtMostOnce(Refractory(LIF(3), 2.0)),
    "refractory_at_most_once": lambda: Refractory(AtMostOnce(LIF(3)), 2.0),
}


@pytest.fixture(params=NEURONS)
def neuron(request: pytest.FixtureRequest):
    """A population of three neurons, of each model in turn."""
    return NEURONS[request.param]()


@pytest.fixture
def near() -> Callable[..., Any]:
    """A state a little off the initial one, of any shape."""

    def near(neuron, key, shape: tuple[int, ...] = (3,), size: float = 0.3):
        state = neuron.with_shape(shape).init()
        leaves, structure = jax.tree.flatten(state)
        keys = jax.random.split(key, len(leaves))
        moved = [leaf + size * jax.random.normal(k, leaf.shape) for leaf, k in zip(leaves, keys)]
        return jax.tree.unflatten(structure, moved)

    return near


@pytest.fixture
def rk4() -> Callable[..., Any]:
    """The state after `duration`, by the classical Runge-Kutta method in many small steps."""

    def rk4(neuron, state, duration: float, current, steps: int = 2000):
        h = duration / steps

        def moved(state, slope, size: float):
            return jax.tree.map(lambda x, dx: x + size * dx, state, slope)

        def step(_, state):
            zero = jnp.zeros(())
            k1 = neuron.vector_field(zero, state, current)
            k2 = neuron.vector_field(zero, moved(state, k1, h / 2), current)
            k3 = neuron.vector_field(zero, moved(state, k2, h / 2), current)
            k4 = neuron.vector_field(zero, moved(state, k3, h), current)
            slope = jax.tree.map(lambda a, b, c, d: (a + 2 * b + 2 * c + d) / 6, k1, k2, k3, k4)
            return moved(state, slope, h)

        return jax.lax.fori_loop(0, steps, step, state)

    return rk4
