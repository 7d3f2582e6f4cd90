"""Encoders: from numbers to stimuli, one sample at a time."""

from collections.abc import Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from ._current import Current
from ._spikes import Spikes


def latency(
    x: Float[Array, "..."],
    *,
    t_min: float,
    t_max: float,
    bias: Sequence[float] = (),
    threshold: float | None = None,
    inverted: bool = False,
) -> Spikes:
    """Time to first spike: one spike each, at `t_min + (t_max - t_min) x` for `x` in [0, 1].

    **Arguments:**

    - `x`: features of any shape, flattened.
    - `bias`: times of extra units that always spike, appended after the features.
    - `threshold`: features at or below it stay silent (dark pixels of an image).
    - `inverted`: large values spike early instead of late.

    **Raises:** `ValueError` if `t_max <= t_min` or a bias time is negative.
    """
    if not t_max > t_min >= 0 or any(time < 0 for time in bias):
        raise ValueError(f"latency got t_min={t_min}, t_max={t_max}, bias={tuple(bias)}; expected 0 <= t_min < t_max.")
    features = x.reshape(-1)
    fraction = 1.0 - features if inverted else features
    times = t_min + (t_max - t_min) * fraction
    if threshold is not None:
        times = jnp.where(features > threshold, times, jnp.inf)
    return Spikes.from_dense(jnp.concatenate([times, jnp.asarray(tuple(bias), times.dtype)]))


def constant_current(x: Float[Array, "..."], *, gain: float = 1.0, offset: float = 0.0) -> Current:
    """A current `gain x + offset` for each feature, constant in time."""
    return Current(gain * x.reshape(-1) + offset)


def poisson(x: Float[Array, "..."], *, rate: float, t1: float, room: int, key: PRNGKeyArray) -> Spikes:
    """Poisson spike trains of rate `rate x` up to `t1`.

    **Arguments:** `room` is how many spikes a unit may send; a train that would send more is an error at run time, so
    choose it a few standard deviations above `rate t1`.
    """
    features = x.reshape(-1)
    gaps = jax.random.exponential(key, (features.shape[0], room + 1), features.dtype)
    intensity = rate * features
    active = intensity > 0
    times = jnp.cumsum(gaps, axis=1) / jnp.where(active, intensity, 1.0)[:, None]
    times = jnp.where(active[:, None] & (times < t1), times, jnp.inf)
    times = eqx.error_if(
        times,
        jnp.any(jnp.isfinite(times[:, room])),
        f"poisson drew more than room={room} spikes for a unit. Raise room, or lower rate={rate} or t1={t1}.",
    )
    return Spikes.from_dense(times[:, :room])
