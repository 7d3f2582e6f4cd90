"""A layer of leaky integrate-and-fire neurons as data, and what is known of it once it is solved."""

from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array

from ._chunks import padded_length
from ._component import Component, Lookup
from ._found import Flags

CHUNK = 64  # arrivals; a chunk that lies behind the end for all samples is skipped
_LANES = 8  # in float32


class LIFLayer(eqx.Module):
    """A layer in the units of the formulas: potentials from the leak, the constant current `drive` among the inputs.

    `time` is `[N]`, or `[N, n]` where each neuron has its own order; constants are `[]` or `[n]`; `kicks` are arrays
    `[N, n]`, or looked up. The last `spare` neurons copy the one before them, without its kicks.
    """

    tau_mem: Any
    tau_syn: Any
    theta: Any
    v_reset: Any
    v: Array
    i: Array
    drive: Array
    time: Array
    kicks: Array | Lookup
    samples: Array
    spare: int = eqx.field(static=True)
    slope_floor: float = eqx.field(static=True)

    def delivered(self, t1: float, *, before: int = 0, after: int = 0) -> Array:
        """What each arrival up to `t1` delivers, with entries of nothing around: for `rows`, all of it or a part."""
        arrives = self.time <= t1
        if isinstance(self.kicks, Lookup):
            index = jnp.where(arrives, self.kicks.index, -1)
            return jnp.pad(index, (before, after), constant_values=-1)
        kicks = jnp.where(arrives if arrives.ndim == 2 else arrives[:, None], self.kicks, 0.0)
        return jnp.pad(kicks, ((before, after), (0, 0)))

    def rows(self, delivered: Array) -> Array:
        """The kicks `[..., n]` of a part of `delivered`."""
        if isinstance(self.kicks, Lookup):
            rows = jax.vmap(self.kicks.synapse.kick)(delivered).astype(self.v.dtype)
            return jnp.pad(rows, ((0, 0), (0, self.spare)))
        return delivered


class LIFFound(NamedTuple):
    """The spikes, arrays of `[n, max_spikes]` and `[n]`."""

    times: Array
    segment: Array  # how many arrivals came before each spike
    count: Array


class LIFReached(NamedTuple):
    """What else is known of a layer once it has been solved, without a derivative."""

    v: Array  # [S + 1, n], at the samples and at the end
    i: Array
    min_slope: Array  # [n]
    flat: Array  # [n]
    flags: Flags


def lif_layer(component: Component) -> LIFLayer | None:
    """The component as a LIF layer, `None` if it is not one."""
    (name,) = component.neurons
    constants, arrivals = component.neurons[name].lif(), component.arrivals[name]
    if constants is None or arrivals.steps is not None or set(arrivals.kicks) - {"current"}:
        return None
    if not isinstance(constants.g_leak, int | float) or constants.g_leak != 1.0:
        return None  # the formulas here are those of a leaky neuron
    state, dtype = component.state[name], component.dtype
    n = component.size(name)
    time = arrivals.time
    kicks = arrivals.kicks.get("current", jnp.zeros((time.shape[0], n), dtype))
    # Neurons are a batch's innermost axis here: they fill whole vector registers.
    spare = -n % _LANES if n > _LANES else 0

    def widen(x, **how):
        """An array that ends with the axis over neurons; anything else as it is."""
        if not (eqx.is_array(x) and x.ndim):
            return x
        return jnp.pad(x, [(0, 0)] * (x.ndim - 1) + [(0, spare)], **how)

    # Room for whole chunks, the interval after the last arrival included.
    missing = padded_length(time.shape[0] + 1, CHUNK) - 1 - time.shape[0]
    if isinstance(kicks, Lookup):
        kicks = Lookup(kicks.synapse, jnp.pad(kicks.index, (0, missing), constant_values=-1))
    else:
        kicks = jnp.pad(widen(kicks), ((0, missing), (0, 0)))
    time = widen(time, mode="edge") if time.ndim == 2 else time
    return LIFLayer(
        widen(constants.tau_mem, mode="edge"),
        widen(constants.tau_syn, mode="edge"),
        widen(constants.v_threshold - constants.v_leak, mode="edge"),
        widen(constants.v_reset - constants.v_leak, mode="edge"),
        widen(state.v - constants.v_leak, mode="edge"),
        widen(state.i, mode="edge"),
        widen(component.drive[name], mode="edge"),
        jnp.concatenate([time, jnp.full((missing, *time.shape[1:]), jnp.inf, dtype)]),
        kicks,
        component.samples,
        spare,
        component.slope_floor,
    )
