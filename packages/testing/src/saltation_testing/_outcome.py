"""What a method finds in a case, with the gradient of one number made from it: what the laws compare."""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

from saltation import AbstractMethod, Network, Save, Solution

FIELDS = ("spikes", "rates", "states", "final")


class Outcome(NamedTuple):
    """`value`: the sum that is differentiated; `finite`: over which numbers; `observed`: all provided fields."""

    value: Any
    finite: Any
    observed: dict[str, Any]
    gradient: tuple[Network, Any]
    result: Any


def main_field(method: AbstractMethod) -> str:
    return next(field for field in FIELDS if field in method.provides)


def saved(field: str, t1: float) -> Save:
    times = np.array([0.23, 0.71]) * t1 if field == "states" else None
    return Save(spikes=field != "rates", rates=field == "rates", states_at=times)


def dense(solution: Solution) -> dict[str, Any]:
    return {name: train.to_dense(max(train.time.shape[-1], 1)) for name, train in (solution.spikes or {}).items()}


def observed_fields(solution: Solution, fields: Any) -> dict[str, Any]:
    found = {"spikes": dense(solution), "rates": solution.rates, "states": solution.states, "final": solution.final}
    return {field: found[field] for field in sorted(fields) if found[field] is not None}


def _weighted_sum(tree: Any) -> tuple[Any, Any]:
    """A fixed random sum over the finite numbers of a tree, and which ones those are."""
    leaves = [leaf for leaf in jax.tree.leaves(tree) if eqx.is_inexact_array(leaf)]
    total = jnp.zeros((), leaves[0].dtype)
    for position, leaf in enumerate(leaves):
        # Drawn on the host: the same numbers in every precision.
        numbers = np.random.default_rng(position).normal(size=leaf.shape)
        total = total + jnp.sum(jnp.where(jnp.isfinite(leaf), jnp.asarray(numbers, leaf.dtype) * _filled(leaf), 0.0))
    return total, [jnp.isfinite(leaf) for leaf in leaves]


def _filled(leaf: Any) -> Any:
    return jnp.where(jnp.isfinite(leaf), leaf, 0.0)


def _objective(at, method, orders, t1, save, key, field):
    solution = method.solve(*at, t1=t1, key=key, save=save, throw=False)
    observed = observed_fields(solution, {field, *method.provides})
    if "spikes" in observed:
        observed["spikes"] = {name: times[orders[name]] for name, times in observed["spikes"].items()}
    value, finite = _weighted_sum(observed[field])
    return value, (finite, {name: observed[name] for name in observed if name in method.provides}, solution.result)


@eqx.filter_jit
def find_outcome(method, at, orders, t1, save, key, field) -> Outcome:
    differentiate = eqx.filter_value_and_grad(_objective, has_aux=True)
    (value, (finite, observed, result)), gradient = differentiate(at, method, orders, t1, save, key, field)
    return Outcome(value, finite, observed, gradient, result)


@eqx.filter_jit
def find_batch_outcome(method, at, t1, save, key, field) -> Outcome:
    orders = {name: jnp.arange(neuron.size) for name, neuron in at[0].neurons.items()}

    def total(at):
        network, stimuli = at
        values, rest = jax.vmap(lambda s: _objective((network, s), method, orders, t1, save, key, field))(stimuli)
        return jnp.sum(values), rest

    (value, (finite, observed, result)), gradient = eqx.filter_value_and_grad(total, has_aux=True)(at)
    return Outcome(value, finite, observed, gradient, result)


@eqx.filter_jit
def solved(method, at, t1, save, key, throw) -> Solution:
    return method.solve(*at, t1=t1, key=key, save=save, throw=throw)


@eqx.filter_jit
def replayed(method, at, observed, t1):
    def objective(at):
        times = dense(method.replay(*at, observed, t1=t1))
        return _weighted_sum(times)[0], times

    return eqx.filter_grad(objective, has_aux=True)(at)
