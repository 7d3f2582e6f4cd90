"""The signature kernel of spike trains: the same numbers as from their lifts' points, at a quarter of the work."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.core import Tracer
from jaxtyping import Array, Float

import saltation as st

from ._cell import end_of, pass_cell, solve_cell, unit_edge
from ._lift import Rows, rows_of
from ._order import Series, order_for, series_for
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
    rows_x, rows_y = (_few_at_once(rows, jump_scale) for rows in (rows_x, rows_y))
    cell = LiftCell(*_series(rows_x, rows_y, t1 * time_scale, jump_scale, any(fade)), any(fade))
    return checked(gram(cell, _increment, rows_x, rows_y, edges=2 * (cell.time.order + cell.jump.order)))


class LiftCell(eqx.Module):
    """Two rows of spike trains, time and then a jump in each: four cells, of which two have increment 0.

    An edge is a pair, that along the time and that along the jump. `time`, `jump`: the terms that count; `fades`:
    whether jumps have a gradient.
    """

    time: Series = eqx.field(static=True)
    jump: Series = eqx.field(static=True)
    fades: bool = eqx.field(static=True)

    def unit(self, lanes, dtype):
        return unit_edge(self.time.order, lanes, dtype), unit_edge(self.jump.order, lanes, dtype)

    def __call__(self, bottom, left, p):
        p_time, p_jump = p
        time, right_of_time = solve_cell(bottom[0], left[0], p_time, self.time)
        jump, right_time = pass_cell(bottom[1], right_of_time)
        top_time, right_of_jump = pass_cell(time, left[1])
        p_jump = p_jump if self.fades else lax.stop_gradient(p_jump)
        top_jump, right_jump = solve_cell(jump, right_of_jump, p_jump, self.jump)
        return (top_time, top_jump), (right_time, right_jump)

    def end(self, top):
        return end_of(top[1])


def _increment(x: Rows, y: Rows) -> tuple[Array, Array]:
    return x.duration * y.duration, sum(
        (x.jump[i] * y.jump[i] for i in range(1, x.jump.shape[0])), x.jump[0] * y.jump[0]
    )


def _few_at_once(rows: Rows, jump_scale: float) -> Rows:
    """The same rows; a run-time error for jumps beyond the bounds of `_series`, which two spikes at one time just meet.

    Where the numbers are known, so are the bounds.
    """
    if not isinstance(rows.duration, Tracer):
        return rows
    message = (
        "spike_gram got a unit with more than two spikes at one time; under jax.jit it expects at most two. Fix: "
        "signature_gram(marcus_lift(...)), or call it outside jax.jit."
    )
    return eqx.error_if(rows, jnp.max(rows.jump) > 2.5 * jump_scale, message)


def _series(x: Rows, y: Rows, duration: float, jump_scale: float, fades: bool) -> tuple[Series, Series]:
    """Of the time and of the jump, from bounds on increments and on their sums along an edge and along all edges."""
    if isinstance(x.duration, Tracer) or isinstance(y.duration, Tracer):
        units, spikes = x.jump.shape[0], max(x.duration.shape[0], y.duration.shape[0]) - 1
        total_time = largest_time = duration**2
        # Spikes of all units at one time are one jump, and those of one unit are at different times.
        total_jump, largest_jump = spikes * jump_scale**2, units * jump_scale**2
        jump_edges = spikes
    else:
        dx, dy, jx, jy = (np.asarray(leaf, np.float64) for leaf in (x.duration, y.duration, x.jump, y.jump))
        total_time = float(max(dx.max(), dy.max()) * duration)
        largest_time = float(dx.max() * dy.max())
        total_jump = max(
            float(np.tensordot(one.max(axis=(1, 2)), other.sum(axis=1), 1).max()) for one, other in ((jx, jy), (jy, jx))
        )
        largest_jump = float((jx.max(axis=(1, 2)) * jy.max(axis=(1, 2))).sum())
        jump_edges = max(jx.shape[1], jy.shape[1])
    dtype = np.dtype(x.duration.dtype)
    # Durations of all rows add up to that of the window.
    time_edges = duration**2 / total_time if total_time > 0 else 1.0
    return (
        series_for(order_for(total_time, time_edges, dtype), total_time, largest_time, time_edges, dtype),
        series_for(order_for(total_jump, jump_edges, dtype), total_jump, largest_jump, jump_edges, dtype, slopes=fades),
    )
