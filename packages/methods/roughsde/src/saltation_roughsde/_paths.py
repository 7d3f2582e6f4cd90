"""Driving paths: fixed functions of time, drawn from a key that does not depend on any parameter."""

import abc
import math
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float, Int, PRNGKeyArray

import saltation as st

from ._draws import drawn_together


class Jumps(NamedTuple):
    """Jumps of a path: `size[j]` of the component of neuron `index[j]`, at `time[j]`, ascending, `inf` for none."""

    time: Float[Array, " J"]
    index: Int[Array, " J"]
    size: Float[Array, " J"]


class AbstractPath(eqx.Module):
    """A cadlag path with one component for each neuron of a population.

    The same key gives the same path, whatever it drives: random numbers are common to all parameters.
    """

    @abc.abstractmethod
    def increments(
        self, cells: int, t1: float, size: int, *, key: PRNGKeyArray | None, dtype: Any
    ) -> Float[Array, "cells n"] | None:
        """The increments of the continuous part on `cells` equal cells of `[0, t1]`; `None` if it has none."""

    @abc.abstractmethod
    def jumps(self, t1: float, size: int, *, key: PRNGKeyArray | None, dtype: Any) -> Jumps | None:
        """The jumps in `[0, t1]`; `None` if it has none."""

    @property
    @abc.abstractmethod
    def random(self) -> bool:
        """Whether it needs a key."""


class Brownian(AbstractPath):
    """Brownian motion, with independent components or a correlation between those of a population.

    It is refined by Brownian bridges: where the number of cells doubles, the path keeps its values at the old points.
    An event that splits a cell splits the increment of the cell with it, so that what comes before and after it add up
    to the same path.

    **Arguments:** `correlation`: `[n, n]`, or `None` for independent components.

    **Raises:** `ValueError` for a known matrix that is no correlation.
    """

    correlation: Float[Array, "n m"] | None = None

    def __check_init__(self):
        matrix = self.correlation
        if isinstance(matrix, np.ndarray | jax.Array) and not isinstance(matrix, Tracer):
            values = np.asarray(matrix)
            square = values.ndim == 2 and values.shape[0] == values.shape[1]
            if not square or not np.allclose(values, values.T) or np.linalg.eigvalsh(values).min() <= 0:
                raise ValueError(
                    f"Brownian got a correlation of shape {values.shape} that is not a positive definite, symmetric "
                    "matrix [n, n]; expected one, such as 0.8 * jnp.eye(n) + 0.2."
                )

    def increments(
        self, cells: int, t1: float, size: int, *, key: PRNGKeyArray | None, dtype: Any
    ) -> Float[Array, "cells n"] | None:
        assert key is not None
        if self.correlation is not None and self.correlation.shape != (size, size):
            raise ValueError(
                f"Brownian got a correlation of shape {self.correlation.shape} for {size} neurons; expected [n, n]."
            )
        # A flat draw is compiled several times faster.
        steps = _refined(jax.random.normal(key, (cells * size,), dtype).reshape(cells, size), t1)
        if self.correlation is None:
            return steps
        return steps @ jnp.linalg.cholesky(self.correlation.astype(dtype)).T

    def jumps(self, t1: float, size: int, *, key: PRNGKeyArray | None, dtype: Any) -> None:
        return None

    @property
    def random(self) -> bool:
        return True


def independent_increments(
    cells: int, t1: float, sizes: list[int], *, keys: list[PRNGKeyArray], data: int, dtype: Any
) -> Float[Array, "cells n"]:
    """What `Brownian().increments` gives each population with its key, after `fold_in(key, data)`, side by side."""
    draws = drawn_together(jax.random.normal, keys, data, [cells * size for size in sizes], dtype)
    return _refined(jnp.concatenate([row.reshape(cells, -1) for row in draws], axis=1), t1)


def _refined(draws: Float[Array, "cells n"], t1: float) -> Float[Array, "cells n"]:
    """Increments of independent Brownian motions from standard normal numbers, coarse cells first.

    One draw serves all levels: its n-th number does not depend on how many there are.
    """
    cells, size = draws.shape
    halvings = (cells & -cells).bit_length() - 1
    base = cells >> halvings
    steps = (t1 / base) ** 0.5 * draws[:base]
    for level in range(halvings):
        count = base * 2**level
        # Given the sum, the halves of a cell are half of it, and a normal number apart.
        apart = (t1 / count / 4) ** 0.5 * draws[count : 2 * count]
        steps = jnp.stack([0.5 * steps + apart, 0.5 * steps - apart], axis=1).reshape(2 * count, size)
    return steps


class Increments(AbstractPath):
    """A given path, by its increments on equal cells of `[0, t1]`.

    **Arguments:** `values`: `[N, n]`; a method that uses fewer cells, a divisor of `N`, sums up consecutive ones.

    **Raises:** `ValueError` for values of another shape, or, when solving, a number of cells that does not divide `N`.
    """

    values: Float[Array, "..."]

    def __check_init__(self):
        if jnp.ndim(self.values) != 2:
            raise ValueError(f"Increments got values of shape {jnp.shape(self.values)}; expected [cells, n].")

    def increments(
        self, cells: int, t1: float, size: int, *, key: PRNGKeyArray | None, dtype: Any
    ) -> Float[Array, "cells n"] | None:
        count, n = self.values.shape
        if n != size:
            raise ValueError(
                f"Increments got a path of dimension {n} for a population of {size}; expected one component for each "
                "neuron."
            )
        if count % cells:
            raise ValueError(
                f"Increments got {count} increments for {cells} cells; expected a multiple. Fix: choose dt = t1 / "
                f"N with N a divisor of {count}."
            )
        return jnp.sum(self.values.reshape(cells, count // cells, n), axis=1).astype(dtype)

    def jumps(self, t1: float, size: int, *, key: PRNGKeyArray | None, dtype: Any) -> None:
        return None

    @property
    def random(self) -> bool:
        return False


class CompoundPoisson(AbstractPath):
    """Jumps of normal size at random times, in each component.

    **Arguments:** `rate`: jumps per unit of time; `mean`, `deviation`: of their size; `max_jumps`: room for the jumps
    of each neuron. Jumps beyond it would be missing, so that a run-time error says so.

    **Raises:** `ValueError` for a rate that is not positive or no room.
    """

    rate: float
    mean: float = 0.0
    deviation: float = 1.0
    max_jumps: int = eqx.field(static=True, default=32)

    def __check_init__(self):
        st.check_positive("CompoundPoisson", rate=self.rate, max_jumps=self.max_jumps)
        st.check_finite("CompoundPoisson", mean=self.mean, deviation=self.deviation)

    def increments(self, cells: int, t1: float, size: int, *, key: PRNGKeyArray | None, dtype: Any) -> None:
        return None

    def jumps(self, t1: float, size: int, *, key: PRNGKeyArray | None, dtype: Any) -> Jumps | None:
        assert key is not None
        waits, sizes = jax.random.split(key)
        shape = (size, self.max_jumps)
        flat_shape = (size * self.max_jumps,)
        drawn = jax.random.exponential(waits, flat_shape, dtype).reshape(shape)
        time = jnp.cumsum(drawn / self.rate, axis=1)
        time = eqx.error_if(
            time,
            jnp.any(time[:, -1] < t1),
            f"CompoundPoisson: a neuron has more than {self.max_jumps} jumps. Raise `max_jumps`.",
        )
        size_of = self.mean + self.deviation * jax.random.normal(sizes, flat_shape, dtype)
        index = jnp.broadcast_to(jnp.arange(size, dtype=jnp.int32)[:, None], shape)
        flat = time.reshape(flat_shape)
        order = st.argsort_times(flat)
        return Jumps(flat[order], index.reshape(-1)[order], size_of[order])

    @property
    def random(self) -> bool:
        return True


class RecordedSpikes(AbstractPath):
    """A path that jumps by `size` with each spike of a recorded train, whose unit `k` drives neuron `k`."""

    spikes: st.Spikes
    size: float = 1.0

    def increments(self, cells: int, t1: float, size: int, *, key: PRNGKeyArray | None, dtype: Any) -> None:
        return None

    def jumps(self, t1: float, size: int, *, key: PRNGKeyArray | None, dtype: Any) -> Jumps | None:
        if self.spikes.size != size or self.spikes.time.ndim != 1:
            raise ValueError(
                f"RecordedSpikes got {self.spikes.size} units for a population of {size}; expected one train of as "
                "many."
            )
        time = self.spikes.time.astype(dtype)
        return Jumps(time, jnp.maximum(self.spikes.index, 0), jnp.full_like(time, self.size))

    @property
    def random(self) -> bool:
        return False


def check_dt(dt: float, t1: float) -> int:
    """How many cells of at most `dt` there are in `[0, t1]`. Raises `ValueError` for a `t1` that is not positive."""
    if not (isinstance(t1, int | float) and 0 < t1 < math.inf):
        raise ValueError(f"RoughSDE got t1={t1}; expected a positive number.")
    return max(1, math.ceil(t1 / dt * (1 - 1e-9)))
