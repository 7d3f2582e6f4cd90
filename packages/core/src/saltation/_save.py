"""What a solution keeps."""

import equinox as eqx
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, Float

from ._floats import as_floats


class Save(eqx.Module):
    """What to keep of a solution: what isn't asked for is neither computed nor stored.

    **Arguments:**

    - `spikes`: the spike trains of all populations.
    - `rates`: spikes per unit of time of every neuron (a method may define rates of its own).
    - `states_at`: times `[S]`, ascending, within `[0, t1]`, at which to keep the states (after what happens then).

    **Raises:** `ValueError` for known times that are negative, not finite or out of order.
    """

    spikes: bool = eqx.field(static=True, default=True)
    rates: bool = eqx.field(static=True, default=False)
    states_at: Float[Array, "*batch S"] | None = None

    def __init__(self, spikes: bool = True, rates: bool = False, states_at=None):
        self.spikes = spikes
        self.rates = rates
        if states_at is not None:
            states_at = jnp.atleast_1d(as_floats(states_at))
            if not isinstance(states_at, Tracer):
                times = np.asarray(states_at)
                if times.ndim != 1 or not np.isfinite(times).all() or (times < 0).any() or (np.diff(times) < 0).any():
                    raise ValueError(
                        f"Save got states_at = {times}; expected finite, ascending times >= 0. Sort them first."
                    )
        self.states_at = states_at
