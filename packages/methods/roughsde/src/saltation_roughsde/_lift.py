"""Spike trains as paths: the Marcus lift, whose jumps are straight segments."""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.core import Tracer
from jaxtyping import Array, Float

import saltation as st


class Rows(NamedTuple):
    """A lifted train, row by row: a time that passes, then a jump. The last row ends at `t1` and does not jump."""

    duration: Float[Array, "*rows_and_batch"]
    jump: Float[Array, "n *rows_and_batch"]


def rows_of(
    train: st.Spikes,
    *,
    t1: float,
    time_scale: float = 1.0,
    jump_scale: float = 1.0,
    fade: tuple[float, float] = (0.0, 0.0),
) -> Rows:
    """The rows of the Marcus lift of one spike train.

    Spikes of the same time are one jump, along the diagonal; padding and spikes after `t1` are none. Durations carry
    the gradient of the spike times, and so do jumps that fade.
    """
    check_train(train, t1)
    n, dtype = train.size, train.time.dtype
    inside = train.valid() & (train.time <= t1)
    end = jnp.full((1,), t1, dtype)
    time = jnp.concatenate([jnp.where(inside, train.time, t1), end])
    duration = time_scale * jnp.diff(time, prepend=jnp.zeros((1,), dtype))
    # A spike that shares its time with the one before joins that one's jump.
    starts = jnp.concatenate([jnp.ones(1, bool), time[1:-1] > time[:-2]])[: train.time.shape[0]]
    position = jnp.arange(train.time.shape[0], dtype=jnp.int32)
    row = lax.cummax(jnp.where(starts, position, 0))
    unit = jnp.where(inside, train.index, n)
    jump = (
        jnp.zeros((n, time.shape[0]), dtype).at[unit, row].add(jump_scale * _height(time[:-1], t1, fade), mode="drop")
    )
    return Rows(duration, jump)


def marcus_lift(
    train: st.Spikes,
    *,
    t1: float,
    time_scale: float = 1.0,
    jump_scale: float = 1.0,
    fade: tuple[float, float] = (0.0, 0.0),
) -> Float[Array, "points channels"]:
    """The path `(time_scale t, jump_scale N_1(t), ..., jump_scale N_n(t))` of one spike train, from 0 to `t1`.

    `N_i` counts the spikes of unit `i`. Jumps are straight segments; spikes of one and the same time are one segment,
    along the diagonal. Where the train is padded, points repeat, which changes no signature.

    **Arguments:** `fade`: for how long after 0 and before `t1` a jump is smaller, in proportion to its distance from
    that end. A spike that moves across an end of the window otherwise appears at once, and the gradient of a loss with
    respect to spike times, which is blind to that, does not know that there are more spikes at a higher rate.

    **Returns:** `2 (K + 1) + 1` points.

    **Raises:** `ValueError` for a `t1` that is not positive, or a `fade` that is negative or longer than `t1`.
    """
    rows = rows_of(train, t1=t1, time_scale=time_scale, jump_scale=jump_scale, fade=fade)
    still = jnp.zeros_like(rows.jump)
    passing = jnp.concatenate([rows.duration[None], still])
    jumping = jnp.concatenate([jnp.zeros_like(rows.duration)[None], rows.jump])
    steps = jnp.stack([passing, jumping], axis=2).reshape(train.size + 1, 2 * rows.duration.shape[0])
    return jnp.concatenate([jnp.zeros((1, train.size + 1), steps.dtype), jnp.cumsum(steps, axis=1).T])


def time_augmented(values: Float[Array, "L d"], times: Float[Array, " M"]) -> Float[Array, "L channels"]:
    """The path with time as its first channel, which makes the signature kernel characteristic.

    **Raises:** `ValueError` for known times that are not in order.
    """
    if values.ndim != 2 or times.shape != values.shape[:1]:
        raise ValueError(f"time_augmented got values {values.shape} and times {times.shape}; expected [L, d] and [L].")
    if not isinstance(times, Tracer) and (np.diff(np.asarray(times)) < 0).any():
        raise ValueError("time_augmented got times that are not in order; expected ascending ones. Fix: sort the path.")
    return jnp.concatenate([times[:, None], values], axis=1)


def _height(time: Float[Array, " K"], t1: float, fade: tuple[float, float]) -> Array | float:
    """How large a jump is, as a share of one in the middle of the window."""
    start, end = fade
    if not (0 <= start <= t1 and 0 <= end <= t1):
        raise ValueError(f"a lift got fade={fade}; expected two durations from 0 to t1 = {t1}.")
    height = 1.0
    if start > 0:
        height = height * jnp.minimum(time / start, 1.0)
    if end > 0:
        height = height * jnp.minimum((t1 - time) / end, 1.0)
    return height


def check_train(train: st.Spikes, t1: float) -> None:
    """Raise `ValueError` for a batch instead of one train, or an end that is not positive."""
    if train.time.ndim != 1:
        raise ValueError(f"a lift got times of shape {train.time.shape}; expected [K], one train. Fix: jax.vmap.")
    if not t1 > 0:
        raise ValueError(f"a lift got t1={t1}; expected a positive end of the trial.")
