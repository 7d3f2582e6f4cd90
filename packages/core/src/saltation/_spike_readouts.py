"""Read-outs of spikes beyond the first one, and of those that would still come."""

from collections.abc import Callable
from typing import Any

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from ._readout import AbstractReadout
from ._solution import Solution
from ._spikes import Spikes


class SpikeTimes(AbstractReadout):
    """The first `room` spike times of each output neuron, `[n, room]`, `inf` where there are fewer.

    For losses on trains; there is no class. More spikes than `room` are left out: the method's `max_spikes` has all.
    """

    population: str = eqx.field(static=True, default="out")
    room: int = eqx.field(static=True, default=8)

    @property
    def needs(self) -> frozenset[str]:
        return frozenset({"spikes"})

    def __call__(self, solution: Solution) -> Float[Array, "n room"]:
        return _train(solution, self.population, "SpikeTimes").to_dense(self.room, throw=False)

    def predict(self, output: Float[Array, "n room"]) -> Int[Array, ""]:
        return jnp.asarray(-1)


class SpikesBefore(AbstractReadout):
    """Two classes by whether one output neuron spikes before a deadline: `[deadline, its first spike time]`.

    The class is that of the earlier one, 0 or 1, as in losses on first spikes.

    **Arguments:** `deadline`; `silent`: the time that a silent neuron counts as, later than the deadline.

    **Raises:** `ValueError` for a `silent` that is not later, or a population of more than one neuron.
    """

    deadline: float = eqx.field(static=True)
    silent: float = eqx.field(static=True)
    population: str = eqx.field(static=True, default="out")

    def __check_init__(self):
        if not self.silent > self.deadline:
            raise ValueError(
                f"SpikesBefore got deadline={self.deadline} and silent={self.silent}; expected silent > deadline."
            )

    @property
    def needs(self) -> frozenset[str]:
        return frozenset({"spikes"})

    def __call__(self, solution: Solution) -> Float[Array, " classes"]:
        first = _train(solution, self.population, "SpikesBefore").first()
        if first.shape != (1,):
            raise ValueError(
                f"SpikesBefore got the population {self.population!r} of {first.shape[0]} neurons; expected one."
            )
        spiked = jnp.isfinite(first)
        time = jnp.where(spiked, jnp.where(spiked, first, 0.0), self.silent)
        return jnp.concatenate([jnp.full_like(time, self.deadline), time])

    def predict(self, output: Float[Array, " classes"]) -> Int[Array, ""]:
        return jnp.argmin(output)


class SmoothCounts(AbstractReadout):
    """How often each output neuron has spiked up to a time, as a smooth trace; the largest one names the class.

    `sum_k (1 - exp(-(until - t_k) / tau))` over the spikes before `until`: the count, low-pass filtered. A spike counts
    from nothing on, so one that passes `until` changes nothing abruptly, and earlier spikes count more.

    **Arguments:** `until`: the time up to which spikes count, usually `t1`; `tau`: how old a spike must be to count in
    full, in the same unit.

    **Raises:** `ValueError` for times that are not positive.
    """

    until: float = eqx.field(static=True)
    tau: float = eqx.field(static=True)
    population: str = eqx.field(static=True, default="out")

    def __check_init__(self):
        if not (self.until > 0 and self.tau > 0):
            raise ValueError(f"SmoothCounts got until={self.until}, tau={self.tau}; expected positive numbers.")

    @property
    def needs(self) -> frozenset[str]:
        return frozenset({"spikes"})

    def __call__(self, solution: Solution) -> Float[Array, " classes"]:
        train = _train(solution, self.population, "SmoothCounts")
        counts = train.valid() & (train.time <= self.until)
        age = self.until - jnp.where(counts, train.time, self.until)
        index = jnp.where(counts, train.index, train.size)
        return jnp.zeros(train.size, age.dtype).at[index].add(-jnp.expm1(-age / self.tau), mode="drop")

    def predict(self, output: Float[Array, " classes"]) -> Int[Array, ""]:
        return jnp.argmax(output)


class Pseudospikes(AbstractReadout):
    """Each output neuron's first spike time, and where it is silent the time at which it would spike if driven on.

    A spike that leaves the trial at its end becomes a pseudospike, and one that enters it was one: there is always a
    time, and a gradient. `remaining(state)` says how long a neuron of that state at `t1` still takes, `[n]`; it is 0
    for a neuron that is about to spike. Where the potential itself runs away, as in a quadratic integrate-and-fire
    neuron, whose `Theta.time_to_spike` is such a function, the time is smooth across the end of the trial.

    **Arguments:** `t1`: the end of the trial; `remaining`: a function of the final state.

    Klos and Memmesheimer, "Smooth exact gradient descent learning in spiking neural networks", 2025.

    ```python
    readout = st.Pseudospikes(60.0, lambda state: neuron.time_to_spike(state, drive=1.0))
    ```
    """

    t1: float = eqx.field(static=True)
    remaining: Callable[[Any], Array] = eqx.field(static=True)
    population: str = eqx.field(static=True, default="out")

    @property
    def needs(self) -> frozenset[str]:
        return frozenset({"spikes", "final"})

    def __call__(self, solution: Solution) -> Float[Array, " classes"]:
        first = _train(solution, self.population, "Pseudospikes").first()
        assert solution.final is not None, "Pseudospikes needs a method that returns final states."
        later = self.t1 + self.remaining(solution.final[self.population]).reshape(-1)
        spiked = jnp.isfinite(first)
        return jnp.where(spiked, jnp.where(spiked, first, 0.0), later)

    def predict(self, output: Float[Array, " classes"]) -> Int[Array, ""]:
        return jnp.argmin(output)


def _train(solution: Solution, population: str, owner: str) -> Spikes:
    assert solution.spikes is not None, f"{owner} needs Save(spikes=True)."
    return solution.spikes[population]
