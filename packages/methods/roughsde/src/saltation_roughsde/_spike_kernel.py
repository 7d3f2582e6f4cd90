"""The signature kernel of spike trains: the same numbers as from their lifts' points, at a quarter of the work."""

import equinox as eqx
import jax
import numpy as np
from jax import lax
from jax.core import Tracer
from jaxtyping import Array, Float

import saltation as st

from ._cell import end_of, pass_cell, solve_cell, unit_edge
from ._lift import Rows, rows_of
from ._order import order_for
from ._sigkernel import checked
from ._tiles import gram


def spike_gram(
    x: st.Spikes,
    y: st.Spikes,
    *,
    t1: float,
    time_scale: float = 1.0,
    jump_scale: float = 1.0,
    fade: tuple[float, float] = (0.0, 0.0),
) -> Float[Array, "nx ny"]:
    """The signature kernel of every spike train `x` with every spike train `y`.

    Of their Marcus lifts `(time_scale t, jump_scale N_1(t), ..., jump_scale N_n(t))`, which end at `t1`: the numbers of
    `signature_gram(marcus_lift(x), marcus_lift(y))`, differentiable with respect to spike times. It is several times
    faster, because a segment of time against a jump has increment 0 and derivatives along a jump need no gradient of
    the jump's size.

    **Arguments:** `x`, `y`: batches, `time [n, K]`, of the same units; `fade`: as in `marcus_lift`, without which the
    gradient does not see spikes that come into the window or leave it.

    **Returns:** `[nx, ny]`, differentiable in reverse mode.

    **Raises:** `ValueError` for trains of different units or without a batch axis, and at run time for a kernel that
    overflows.

    ```python
    import jax, jax.numpy as jnp
    import saltation as st
    from saltation_roughsde import spike_gram

    trains = jax.vmap(st.Spikes.from_dense)(jnp.array([[[0.2, 0.5]], [[0.3, jnp.inf]]]))   # [2, 1, 2]
    print(spike_gram(trains, trains, t1=1.0))
    ```
    """
    if x.size != y.size:
        raise ValueError(
            f"spike_gram got trains of {x.size} and {y.size} units; expected the same. Fix: merge or select units."
        )
    if x.time.ndim != 2 or y.time.ndim != 2:
        raise ValueError(
            f"spike_gram got times of shapes {x.time.shape} and {y.time.shape}; expected [n, K], batches of trains. "
            "Fix: for a single one, jax.tree.map(lambda leaf: leaf[None], train)."
        )
    scales = {"time_scale": time_scale, "jump_scale": jump_scale, "fade": fade}
    lift = jax.vmap(lambda train: rows_of(train, t1=t1, **scales), out_axes=-1)
    rows_x, rows_y = lift(x), lift(y)
    segments = max(rows_x.duration.shape[0], rows_y.duration.shape[0])
    dtype = rows_x.duration.dtype
    of_time, of_jumps, one_time = (
        order_for(total, 2 * segments, dtype) for total in _totals(rows_x, rows_y, t1 * time_scale, jump_scale)
    )
    cell = LiftCell(of_time, min(one_time, of_time), of_jumps, any(fade))
    return checked(gram(cell, _increment, rows_x, rows_y, edges=2 * (of_time + of_jumps)))


class LiftCell(eqx.Module):
    """Two rows of spike trains, time and then a jump in each: four cells, of which two have increment 0.

    An edge is a pair, that along the time and that along the jump. `order_time`, `terms_time`, `order_jump`: how many
    derivatives and powers they need; `fades`: whether jumps have a gradient.
    """

    order_time: int = eqx.field(static=True)
    terms_time: int = eqx.field(static=True)
    order_jump: int = eqx.field(static=True)
    fades: bool = eqx.field(static=True)

    def unit(self, lanes, dtype):
        return unit_edge(self.order_time, lanes, dtype), unit_edge(self.order_jump, lanes, dtype)

    def __call__(self, bottom, left, p):
        p_time, p_jump = p
        time, right_of_time = solve_cell(bottom[0], left[0], p_time, self.terms_time)
        jump, right_time = pass_cell(bottom[1], right_of_time)
        top_time, right_of_jump = pass_cell(time, left[1])
        p_jump = p_jump if self.fades else lax.stop_gradient(p_jump)
        top_jump, right_jump = solve_cell(jump, right_of_jump, p_jump, self.order_jump)
        return (top_time, top_jump), (right_time, right_jump)

    def end(self, top):
        return end_of(top[1])


def _increment(x: Rows, y: Rows) -> tuple[Array, Array]:
    return x.duration * y.duration, sum(
        (x.jump[i] * y.jump[i] for i in range(1, x.jump.shape[0])), x.jump[0] * y.jump[0]
    )


def _totals(x: Rows, y: Rows, duration: float, jump_scale: float) -> tuple[float, float, float]:
    """Bounds on sums of increments: along a time, along a jump, and of one pair of times."""
    if isinstance(x.duration, Tracer) or isinstance(y.duration, Tracer):
        spikes = max(x.duration.shape[0], y.duration.shape[0]) - 1
        return duration**2, spikes * jump_scale**2, duration**2
    dx, dy, jx, jy = (np.asarray(leaf, np.float64) for leaf in (x.duration, y.duration, x.jump, y.jump))
    longest = max(dx.max(), dy.max())
    along = max(
        float(np.tensordot(one.max(axis=(1, 2)), other.sum(axis=1), 1).max()) for one, other in ((jx, jy), (jy, jx))
    )
    return float(longest * duration), along, float(dx.max() * dy.max())
