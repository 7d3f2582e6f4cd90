"""Read-outs of states at the saved times: at one of them, the integral over them, the largest of them."""

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from ._floats import as_floats
from ._readout import AbstractReadout, saved
from ._solution import Solution


class StateAt(AbstractReadout):
    """A state variable of the output neurons at one of the saved times; the highest one names the class.

    **Arguments:** `variable`: its name, such as "v"; `position`: which of `Save(states_at=...)`, the last one unless
    said otherwise.
    """

    population: str = eqx.field(static=True, default="out")
    variable: str = eqx.field(static=True, default="v")
    position: int = eqx.field(static=True, default=-1)

    @property
    def needs(self) -> frozenset[str]:
        return frozenset({"states"})

    def __call__(self, solution: Solution) -> Float[Array, " classes"]:
        return saved(solution, self.population, self.variable, "StateAt")[self.position]

    def predict(self, output: Float[Array, " classes"]) -> Int[Array, ""]:
        return jnp.argmax(output)


class IntegratedMembrane(AbstractReadout):
    """The integral of the output neurons' membrane potentials over the saved times; the highest one names the class.

    By the trapezoidal rule, for neurons that do not spike (a threshold out of reach) or whose jumps are not to count.

    **Arguments:** `times`: the same as in `Save(states_at=...)`.

    **Raises:** `ValueError` for fewer than two times, or another number than were saved.
    """

    times: Float[Array, " S"] = eqx.field(converter=as_floats)
    population: str = eqx.field(static=True, default="out")

    def __check_init__(self):
        if self.times.ndim != 1 or self.times.shape[0] < 2:
            raise ValueError(f"IntegratedMembrane got times of shape {self.times.shape}; expected [S], at least two.")

    @property
    def needs(self) -> frozenset[str]:
        return frozenset({"states"})

    def __call__(self, solution: Solution) -> Float[Array, " classes"]:
        v = saved(solution, self.population, "v", "IntegratedMembrane")
        if v.shape[0] != self.times.shape[0]:
            raise ValueError(
                f"IntegratedMembrane has {self.times.shape[0]} times, but states were saved at {v.shape[0]}; expected "
                "the same times as in Save(states_at=...)."
            )
        steps = jnp.diff(self.times.astype(v.dtype)).reshape(-1, *[1] * (v.ndim - 1))
        return jnp.sum(0.5 * steps * (v[1:] + v[:-1]), axis=0)

    def predict(self, output: Float[Array, " classes"]) -> Int[Array, ""]:
        return jnp.argmax(output)


class MaxMembrane(AbstractReadout):
    """The largest of the output neurons' membrane potentials at the saved times; the highest one names the class.

    For neurons that do not spike. The derivative is that of the potential at the saved time where it is largest: save
    as many as the potential needs to be followed.
    """

    population: str = eqx.field(static=True, default="out")

    @property
    def needs(self) -> frozenset[str]:
        return frozenset({"states"})

    def __call__(self, solution: Solution) -> Float[Array, " classes"]:
        return largest(saved(solution, self.population, "v", "MaxMembrane"))

    def predict(self, output: Float[Array, " classes"]) -> Int[Array, ""]:
        return jnp.argmax(output)


def largest(values: Float[Array, "S *n"]) -> Float[Array, "*n"]:
    """The largest of the first axis. The gradient goes to one of them: a maximum would split ties."""
    return jnp.take_along_axis(values, jnp.argmax(values, axis=0)[None], axis=0)[0]
