"""Read-outs: from a solution to the numbers a loss compares."""

import abc

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from ._solution import Solution


class AbstractReadout(eqx.Module):
    """Turns a solution into an output, and an output into a class."""

    @property
    @abc.abstractmethod
    def needs(self) -> frozenset[str]:
        """The fields of the solution that it differentiates."""

    @abc.abstractmethod
    def __call__(self, solution: Solution) -> Float[Array, " classes"]:
        """The output, one number for each class."""

    @abc.abstractmethod
    def predict(self, output: Float[Array, " classes"]) -> Int[Array, ""]:
        """The class, `-1` if there is no decision."""


class FirstSpikes(AbstractReadout):
    """Each output neuron's first spike time, `inf` where it is silent; the earliest one names the class."""

    population: str = eqx.field(static=True, default="out")

    @property
    def needs(self) -> frozenset[str]:
        return frozenset({"spikes"})

    def __call__(self, solution: Solution) -> Float[Array, " classes"]:
        assert solution.spikes is not None, "FirstSpikes needs Save(spikes=True)."
        return solution.first_spikes(self.population)

    def predict(self, output: Float[Array, " classes"]) -> Int[Array, ""]:
        return jnp.where(jnp.any(jnp.isfinite(output)), jnp.argmin(output), -1)


class Membrane(AbstractReadout):
    """The output neurons' membrane potentials, averaged over the saved times; the highest one names the class."""

    population: str = eqx.field(static=True, default="out")

    @property
    def needs(self) -> frozenset[str]:
        return frozenset({"states"})

    def __call__(self, solution: Solution) -> Float[Array, " classes"]:
        return jnp.mean(saved(solution, self.population, "v", "Membrane"), axis=0)

    def predict(self, output: Float[Array, " classes"]) -> Int[Array, ""]:
        return jnp.argmax(output)


class Rates(AbstractReadout):
    """The output neurons' rates; the highest one names the class."""

    population: str = eqx.field(static=True, default="out")

    @property
    def needs(self) -> frozenset[str]:
        return frozenset({"rates"})

    def __call__(self, solution: Solution) -> Float[Array, " classes"]:
        assert solution.rates is not None, "Rates needs Save(rates=True)."
        return solution.rates[self.population]

    def predict(self, output: Float[Array, " classes"]) -> Int[Array, ""]:
        return jnp.argmax(output)


class Linear(AbstractReadout):
    """A trained linear map of another read-out's output; silent units (`inf`) count as `fill`."""

    inner: AbstractReadout
    weight: Float[Array, "features classes"]
    bias: Float[Array, " classes"]
    fill: float = eqx.field(static=True, default=0.0)

    def __init__(self, inner: AbstractReadout, features: int, classes: int, *, fill: float = 0.0, key: PRNGKeyArray):
        self.inner = inner
        self.weight = jax.random.normal(key, (features, classes)) / features**0.5
        self.bias = jnp.zeros(classes)
        self.fill = fill

    @property
    def needs(self) -> frozenset[str]:
        return self.inner.needs

    def __call__(self, solution: Solution) -> Float[Array, " classes"]:
        features = self.inner(solution)
        finite = jnp.isfinite(features)
        return jnp.where(finite, jnp.where(finite, features, 0.0), self.fill) @ self.weight + self.bias

    def predict(self, output: Float[Array, " classes"]) -> Int[Array, ""]:
        return jnp.argmax(output)


def saved(solution: Solution, population: str, variable: str, owner: str) -> Array:
    """A variable of a population at the saved times, or an error that names what its states have."""
    assert solution.states is not None, f"{owner} needs Save(states_at=times)."
    state = solution.states[population]
    if not hasattr(state, variable):
        raise ValueError(
            f"{owner} got the variable {variable!r}, which the neurons {population!r} do not have; expected one of "
            f"{list(getattr(state, '_fields', ()))}."
        )
    return getattr(state, variable)
