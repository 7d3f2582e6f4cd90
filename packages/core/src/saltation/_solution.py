"""What a method returns."""

from typing import Any

import equinox as eqx
from jaxtyping import Array, PyTree

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
    """

    spikes: dict[str, Spikes] | None
    rates: dict[str, Array] | None
    states: dict[str, PyTree] | None
    final: dict[str, PyTree] | None
    updates: dict[str, Any]
    stats: dict[str, Any]
    result: RESULTS
