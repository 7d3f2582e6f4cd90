"""Delays: how long a spike travels, positive by a chosen parametrisation."""

import abc
import math

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float

from ._floats import as_floats


class AbstractPositive(eqx.Module):
    """A map from an unconstrained number to one that is not negative."""

    @abc.abstractmethod
    def forward(self, raw):
        """The non-negative value."""

    @abc.abstractmethod
    def inverse(self, value):
        """An unconstrained number that `forward` takes to `value`."""


class Clip(AbstractPositive):
    """`value = max(raw, 0)`: the plain choice. The gradient is the identity from 0 on and vanishes below it."""

    def forward(self, raw):
        # Not `maximum`, which halves the gradient of a delay that starts at exactly its minimum.
        return jnp.where(raw >= 0, raw, 0.0)

    def inverse(self, value):
        return value


class Softplus(AbstractPositive):
    """`value = scale log(1 + exp(raw / scale))`; cannot represent 0 itself."""

    scale: float = eqx.field(static=True, default=1.0)

    def forward(self, raw):
        return self.scale * jax.nn.softplus(raw / self.scale)

    def inverse(self, value):
        return value + self.scale * jnp.log(-jnp.expm1(-value / self.scale))


class Sigmoid(AbstractPositive):
    """`value = scale sigmoid(raw - shift)`: bounded by `scale` (the choice of DelGrad's published code)."""

    scale: float = eqx.field(static=True, default=1.0)
    shift: float = eqx.field(static=True, default=0.0)

    def forward(self, raw):
        return self.scale * jax.nn.sigmoid(raw - self.shift)

    def inverse(self, value):
        return self.shift + jnp.log(value / (self.scale - value))


class AbstractDelay(eqx.Module):
    """The delay of every synapse of a connection, as a sum of up to three parts, `d_ij = a_i + b_j + c_ij`.

    Methods ask for the parts, because the cheaper ones need no sort for each target.
    """

    minimum: eqx.AbstractVar[float]

    @abc.abstractmethod
    def per_source(self, pre: int, post: int) -> Float[Array, " pre"] | None:
        """The part `[pre]` that depends on the source alone; scalars count here."""

    @abc.abstractmethod
    def per_target(self, pre: int, post: int) -> Float[Array, " post"] | None:
        """The part `[post]` that depends on the target alone."""

    @abc.abstractmethod
    def per_synapse(self, pre: int, post: int) -> Float[Array, "pre post"] | None:
        """The part `[pre, post]` of each synapse's own."""

    @abc.abstractmethod
    def check(self, pre: int, post: int) -> None:
        """Raise `ValueError` if the delay does not fit a connection of `pre` to `post` units."""

    def __add__(self, other: "AbstractDelay") -> "DelaySum":
        return DelaySum((self, other))  # pyright: ignore


class Delay(AbstractDelay):
    """A delay: one for all synapses, per source (axonal), per target (dendritic), or per synapse.

    **Arguments:**

    - `value`: a Python number (fixed), or an array (trainable) of shape `()`, `[pre]`, `[post]` or `[pre, post]`.
    - `minimum`: static; the parametrisation keeps every delay at or above it, and a method may rely on it.
    - `kind`: "axonal" or "dendritic", needed only where a vector could mean both because `pre == post`.
    - `positive`: how the part above the minimum is kept positive: `Clip()`, `Softplus()`, `Sigmoid()`.

    **Raises:** `ValueError` for a value that is not finite or below the minimum, or a shape that does not fit.

    Delays add up: `Delay(axonal) + Delay(dendritic)`.
    """

    raw: float | Float[Array, "..."]
    minimum: float = eqx.field(static=True)
    kind: str | None = eqx.field(static=True)
    positive: AbstractPositive

    def __init__(self, value, minimum: float = 0.0, *, kind: str | None = None, positive: AbstractPositive = Clip()):
        if isinstance(value, (int, float, np.generic)):
            value = float(value)
        else:
            value = as_floats(value)
        if kind not in (None, "axonal", "dendritic"):
            raise ValueError(
                f"Delay got kind={kind!r}; expected 'axonal' (per source), 'dendritic' (per target) or None."
            )
        if not isinstance(minimum, (int, float)) or not math.isfinite(minimum) or minimum < 0:
            raise ValueError(f"Delay got minimum={minimum}; expected a finite number >= 0.")
        if not isinstance(value, Tracer):
            values = np.asarray(value)
            if not np.isfinite(values).all() or (values < minimum).any():
                raise ValueError(
                    f"Delay got a value of {values.min()} with minimum={minimum}; expected finite delays at or above "
                    "the minimum. Raise the value or lower the minimum."
                )
        self.minimum = float(minimum)
        self.kind = kind
        self.positive = positive
        if isinstance(value, float):
            self.raw = value - minimum
        else:
            self.raw = jnp.asarray(positive.inverse(value - minimum), value.dtype)  # pyright: ignore
            if not isinstance(value, Tracer) and not np.isfinite(np.asarray(self.raw)).all():
                raise ValueError(
                    f"Delay got a value that {type(positive).__name__}() cannot represent; expected values strictly "
                    "inside its range. Use Clip() for delays of exactly the minimum."
                )

    @property
    def value(self) -> float | Float[Array, "..."]:
        """The delay itself, of the shape it was given in."""
        if isinstance(self.raw, float):
            return self.raw + self.minimum
        return self.positive.forward(self.raw) + self.minimum  # pyright: ignore

    def per_source(self, pre: int, post: int) -> Float[Array, " pre"] | None:
        if self._kind(pre, post) in ("scalar", "axonal"):
            return jnp.broadcast_to(jnp.asarray(self.value), (pre,))
        return None

    def per_target(self, pre: int, post: int) -> Float[Array, " post"] | None:
        return jnp.asarray(self.value) if self._kind(pre, post) == "dendritic" else None

    def per_synapse(self, pre: int, post: int) -> Float[Array, "pre post"] | None:
        return jnp.asarray(self.value) if self._kind(pre, post) == "synaptic" else None

    def check(self, pre: int, post: int) -> None:
        self._kind(pre, post)

    def _kind(self, pre: int, post: int) -> str:
        shape = jnp.shape(self.raw)
        if shape == ():
            return "scalar"
        if shape == (pre, post):
            return "synaptic"
        if shape == (pre,) == (post,):
            if self.kind is None:
                raise ValueError(
                    f"Delay got a vector of {pre} for a connection of {pre} to {post} units, which could be per source "
                    "or per target; say which: Delay(value, kind='axonal') or Delay(value, kind='dendritic')."
                )
            return self.kind
        if shape == (pre,) and self.kind in (None, "axonal"):
            return "axonal"
        if shape == (post,) and self.kind in (None, "dendritic"):
            return "dendritic"
        raise ValueError(
            f"Delay got a value of shape {shape}{f' with kind={self.kind!r}' if self.kind else ''} for a connection of "
            f"{pre} to {post} units; expected () for all, ({pre},) per source, ({post},) per target, or "
            f"({pre}, {post})."
        )


class DelaySum(AbstractDelay):
    """A sum of delays, such as an axonal and a dendritic one. Written `a + b`."""

    parts: tuple[AbstractDelay, ...]

    @property
    def minimum(self) -> float:  # pyright: ignore
        return sum(part.minimum for part in self.parts)

    def per_source(self, pre: int, post: int) -> Float[Array, " pre"] | None:
        return _total([part.per_source(pre, post) for part in self.parts])

    def per_target(self, pre: int, post: int) -> Float[Array, " post"] | None:
        return _total([part.per_target(pre, post) for part in self.parts])

    def per_synapse(self, pre: int, post: int) -> Float[Array, "pre post"] | None:
        return _total([part.per_synapse(pre, post) for part in self.parts])

    def check(self, pre: int, post: int) -> None:
        for part in self.parts:
            part.check(pre, post)


class DelayParts(AbstractDelay):
    """A delay given by the values of its parts: `source[pre]`, `target[post]`, `synapse[pre, post]`, `None` for none.

    What a backend gets, and what takes the place of a delay that a backend has measured.
    """

    source: Float[Array, " pre"] | None = None
    target: Float[Array, " post"] | None = None
    synapse: Float[Array, "pre post"] | None = None
    minimum: float = eqx.field(static=True, default=0.0)

    @classmethod
    def of(cls, delay: AbstractDelay, pre: int, post: int) -> "DelayParts":
        """The parts of any delay of a connection of `pre` to `post` units."""
        return cls(
            source=delay.per_source(pre, post),
            target=delay.per_target(pre, post),
            synapse=delay.per_synapse(pre, post),
            minimum=delay.minimum,
        )

    def per_source(self, pre: int, post: int) -> Float[Array, " pre"] | None:
        return self.source

    def per_target(self, pre: int, post: int) -> Float[Array, " post"] | None:
        return self.target

    def per_synapse(self, pre: int, post: int) -> Float[Array, "pre post"] | None:
        return self.synapse

    def check(self, pre: int, post: int) -> None:
        for name, shape in (("source", (pre,)), ("target", (post,)), ("synapse", (pre, post))):
            part = getattr(self, name)
            if part is not None and part.shape != shape:
                raise ValueError(f"DelayParts got {name} of shape {part.shape}; expected {shape}.")


def _total(parts: list[Array | None]) -> Array | None:
    present = [part for part in parts if part is not None]
    return sum(present[1:], present[0]) if present else None
