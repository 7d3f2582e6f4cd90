"""What the tests of this package share: one compiled `solve`, and a number to differentiate."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import pytest

import saltation as st


@eqx.filter_jit
def _solve(method, network, stimulus, t1, initial, save):
    return method.solve(network, stimulus, t1=t1, initial=initial, save=save, throw=False)


@pytest.fixture(scope="session")
def solve() -> Callable[..., st.Solution]:
    """`method.solve(network, stimulus, t1=...)`, compiled once for each structure, never raising."""

    def run(method, network, stimulus, *, t1, initial=None, save=None):
        return _solve(method, network, stimulus, t1, initial, st.Save() if save is None else save)

    return run


def _projected(solution: st.Solution) -> tuple[jax.Array, Any]:
    total = jnp.zeros(())
    for name, train in sorted((solution.spikes or {}).items()):
        finite = jnp.isfinite(train.time)
        # Weights by unit and rank, so that no two spikes can stand in for each other.
        rank = jnp.arange(train.time.shape[0], dtype=train.time.dtype)
        weight = 1.0 + 0.37 * train.index.astype(train.time.dtype) + 0.11 * rank + 0.05 * len(name)
        total = total + jnp.sum(jnp.where(finite, weight * jnp.where(finite, train.time, 0.0), 0.0))
    for n, leaf in enumerate(jax.tree.leaves((solution.states, solution.final))):
        total = total + (0.3 + 0.1 * n) * jnp.sum(
            leaf * (1.0 + 0.2 * jnp.arange(leaf.size, dtype=leaf.dtype).reshape(leaf.shape))
        )
    spikes = {} if solution.spikes is None else {name: train.index for name, train in solution.spikes.items()}
    return total, (spikes, solution.result._value)


@pytest.fixture(scope="session")
def projection() -> Callable[[st.Solution], tuple[jax.Array, Any]]:
    """One number made of all spike times and states of a solution, and which spikes there are, in order."""
    return _projected


@pytest.fixture(scope="session")
def differentiated(projection) -> Callable[..., Any]:
    """`f(at) -> ((value, signature), gradient)`, compiled, of the projection of `run(at)`."""

    def make(run: Callable[[Any], st.Solution]):
        return eqx.filter_jit(eqx.filter_value_and_grad(lambda at: projection(run(at)), has_aux=True))

    return make


@pytest.fixture(scope="session")
def bits() -> Callable[[Any], list[bytes]]:
    """The exact content of a tree."""
    return lambda tree: [jnp.asarray(leaf).tobytes() for leaf in jax.tree.leaves(eqx.filter(tree, eqx.is_array))]
