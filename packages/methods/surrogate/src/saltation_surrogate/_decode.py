"""From spikes on a grid to spike times with a derivative."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from ._grid import Grid
from ._stage import Trace

DECODINGS = ("interpolated", "train")


def spike_times(trace: Trace, grid: Grid, room: int, decoding: str) -> Float[Array, "n room"]:
    """The first `room` spike times of each neuron, ascending, `inf` where there is none.

    - "interpolated": where the straight line between the guard at two grid points crosses 0, with the derivative of
      that: `-1 / slope` times that of the potential, as in Bohte et al., Neurocomputing 48 (2002).
    - "train": the grid point, as a function of the train itself. Of the k-th spike at `t_k`, a spike at an earlier
      `t_m`, after the one before it, would be the k-th one: `dt_k / ds_m = t_m - t_k`, and without the one at `t_k` the
      next grid point's would: `-step`. The surrogate takes it from there, also where the potential stays far from the
      threshold.
    """
    fires = jax.lax.stop_gradient(trace.spikes) > 0
    number = jnp.cumsum(fires, axis=0, dtype=jnp.int32)
    earlier = number - fires.astype(jnp.int32)
    times = grid.times(trace.guard.dtype)
    change = trace.spikes - jax.lax.stop_gradient(trace.spikes)

    def kth(k: Array) -> Array:
        mine = fires & (number == k + 1)
        at, exists = jnp.argmax(mine, axis=0), jnp.any(mine, axis=0)
        time = times[at]
        if decoding == "interpolated":
            guard, before = (jnp.take_along_axis(x, at[None], axis=0)[0] for x in (trace.guard, trace.before))
            rises = exists & (guard > before) & (before < 0)
            over = jnp.where(rises, guard, 0.0) / jnp.where(rises, guard - before, 1.0)
            # A kick at time 0 has no earlier grid point.
            time = jnp.where(at > 0, time - grid.step * over, time)
        else:
            gap = jnp.where((earlier == k) & exists[None], times[:, None] - time[None], 0.0)
            time = time + jnp.sum(jnp.where(mine, -grid.step, gap) * change, axis=0)
        return jnp.where(exists, time, jnp.inf)

    return jax.vmap(kth, out_axes=1)(jnp.arange(room, dtype=jnp.int32))
