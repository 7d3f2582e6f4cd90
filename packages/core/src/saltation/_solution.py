"""What a method returns."""

from typing import Any

import equinox as eqx
from jaxtyping import Array, Float, PyTree

from ._results import RESULTS
from ._spikes import Spikes


class Solution(eqx.Module):
    """The solution of one sample, dictionaries by population.

    - `spikes`: a `Spikes` for each population, `None` if not asked for.
    - `rates`: `[n]` for each population, `None` if not asked for.
    - `states`: the state of each population with a leading axis over `Save(states_at=...)`, else `None`.
    - `final`: the state of each population at `t1`.
    - `updates`: new values of what a pass itself changes, such as normalisation statistics.
    - `stats`: counts and extremes, such as how often each neuron spiked and how flat the flattest crossing was.
    - `result`: one of `RESULTS`.
    - `first`: first spike times `[n]` by population, `inf` where silent, from a method that finds them before it has
      spike trains; the same as those of `spikes`, which `first_spikes` falls back to.
    """

    spikes: dict[str, Spikes] | None
    rates: dict[str, Array] | None
    states: dict[str, PyTree] | None
    final: dict[str, PyTree] | None
    updates: dict[str, Any]
    stats: dict[str, Any]
    result: RESULTS
    first: dict[str, Float[Array, " n"]] | None = None

    def first_spikes(self, population: str) -> Float[Array, " n"]:
        """Each neuron's first spike time `[n]`, `inf` where it is silent: of `spikes`, or what the method reports.

        **Raises:** `ValueError` where spikes were not asked for.
        """
        if self.first is not None:
            return self.first[population]
        return self._train(population, "first_spikes").first()

    def spike_count(self, population: str) -> Array:
        """How often each neuron spiked, `[n]`: as the method reports it in `stats`, else counted in `spikes`.

        **Raises:** `ValueError` where spikes were not asked for, and the method reports no counts.
        """
        counts = self.stats.get("spike_count", {})
        if population in counts:
            return counts[population].reshape(-1)
        return self._train(population, "spike_count").count()

    def _train(self, population: str, who: str) -> Spikes:
        if self.spikes is None:
            raise ValueError(f"Solution.{who} got a solution without spikes; solve with save=Save(spikes=True).")
        return self.spikes[population]
