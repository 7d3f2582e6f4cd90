"""Hypothesis strategies: random spike times, trains and networks."""

import jax.numpy as jnp
import numpy as np
from hypothesis import strategies as hs

import saltation as st
from saltation import AbstractNeuron, Network, Spikes


def spike_times(units: int, k: int, *, t1: float, ties: bool = False) -> hs.SearchStrategy[np.ndarray]:
    """Times per unit `[units, k]` in `[0, t1)`, `inf` in about a third of the slots.

    With `ties`, times are multiples of `t1 / 8`, so that many of them are equal.
    """
    grid = 8 if ties else 2**20
    time = hs.integers(0, grid - 1).map(lambda n: t1 * n / grid)
    slot = hs.one_of(time, time, hs.just(np.inf))
    return hs.lists(slot, min_size=units * k, max_size=units * k).map(lambda flat: np.array(flat).reshape(units, k))


def spike_trains(units: int, k: int, *, t1: float, ties: bool = False) -> hs.SearchStrategy[Spikes]:
    """Spike trains of `units` units with up to `k` spikes each."""
    return spike_times(units, k, t1=t1, ties=ties).map(Spikes.from_dense)


def weights(pre: int, post: int, *, low: float = -1.0, high: float = 3.0) -> hs.SearchStrategy[np.ndarray]:
    """Weights `[pre, post]` between `low` and `high`."""
    weight = hs.floats(low, high, allow_nan=False, width=32)
    return hs.lists(weight, min_size=pre * post, max_size=pre * post).map(lambda w: np.array(w).reshape(pre, post))


def networks(
    neuron: AbstractNeuron,
    *,
    inputs: int = 3,
    sizes: tuple[int, ...] = (3, 2),
    cyclic: bool = False,
    delay: float = 0.0,
) -> hs.SearchStrategy[Network]:
    """Networks of one neuron: layers of the given sizes with random weights, fully connected or with gaps.

    **Arguments:**

    - `neuron`: a prototype.
    - `cyclic`: whether layers may also connect to themselves and back.
    - `delay`: a fixed delay of every connection, `0` for none.
    """
    names = [f"layer{n}" for n in range(len(sizes))]
    size = dict(zip(names, sizes)) | {"in": inputs}
    forward = list(zip(["in", *names[:-1]], names))
    others = [(a, b) for a in names for b in names if (a, b) not in forward]
    optional = others if cyclic else [(a, b) for a, b in others if names.index(a) < names.index(b)]
    held = st.Delay(delay, minimum=delay) if delay else None

    @hs.composite
    def draw_network(draw) -> Network:
        extra = draw(hs.lists(hs.sampled_from(optional), unique=True)) if optional else []
        connections = [
            st.Connection(a, b, st.Dense(jnp.asarray(draw(weights(size[a], size[b])))), held)
            for a, b in [*forward, *extra]
        ]
        return Network({"in": inputs}, {n: neuron.with_shape(size[n]) for n in names}, connections, names[-1:])

    return draw_network()
