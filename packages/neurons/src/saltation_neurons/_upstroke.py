"""The exponential upstroke, on a scale on which it is not steep and has an end."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array

from ._bounds import at_least
from ._parameters import Parameter

_CORNER = 3.0  # slopes above the rheobase


class Upstroke(NamedTuple):
    """`dv/dt = other + rate slope exp((v - v_rheobase) / slope)`, solved for `z` in the place of `v`.

    `z = -slope log(1 + exp(-(v - v_corner) / slope))` is `v - v_corner` well below the corner, and rises to 0 as `v`
    runs to infinity, at the constant speed `rate slope exp(3)`: the corner lies three slopes above the rheobase. A
    drive of twenty times `rate slope` has that speed below the corner as well, so there is nothing that a step
    must resolve. Behind infinity `z` goes on at that speed.
    """

    v_rheobase: Parameter
    slope: Parameter

    def scaled(self, v: Array | Parameter) -> Array:
        """`z` for a potential `v`."""
        return -self.slope * jax.nn.softplus(-(v - self._corner) / self.slope)

    def potential(self, z: Array) -> Array:
        """`v` for `z`; behind infinity a large one."""
        return self._corner + z - self.slope * jnp.log(at_least(self._below(z), jnp.finfo(z.dtype).eps))

    def derivative(self, z: Array, other: Array, rate: Parameter) -> Array:
        """`dz/dt`, from what else moves the potential."""
        below = self._below(z)
        return below * other + jnp.exp(_CORNER) * rate * self.slope * (1.0 - below)

    @property
    def _corner(self) -> Parameter:
        return self.v_rheobase + _CORNER * self.slope

    def _below(self, z: Array) -> Array:
        """`dz/dv`: 1 well below the corner, 0 at infinity."""
        return at_least(1.0 - jnp.exp(z / self.slope), 0.0)
