"""A method that adds nothing to what was observed: what is left of a backend in the loop is the backend."""

from collections.abc import Mapping
from typing import ClassVar

from jaxtyping import PRNGKeyArray, PyTree

import saltation as st


class Echo(st.AbstractReplayMethod):
    """Its replay is the observed spikes themselves, without a gradient; it solves nothing."""

    provides: ClassVar[frozenset[str]] = frozenset({"spikes"})

    def supports(self, network: st.Network) -> st.Support:
        return st.Support(True)

    def solve(
        self,
        network: st.Network,
        stimulus: st.Stimulus,
        *,
        t1: float,
        initial: dict[str, PyTree] | None = None,
        key: PRNGKeyArray | None = None,
        save: st.Save = st.Save(),
        throw: bool = True,
    ) -> st.Solution:
        raise st.UnsupportedError("Echo only replays what a backend has observed; put it into saltation.InTheLoop.")

    def replay(
        self,
        network: st.Network,
        stimulus: st.Stimulus,
        observed: Mapping[str, st.Spikes],
        *,
        t1: float,
        throw: bool = True,
    ) -> st.Solution:
        result = st.RESULTS.successful
        return st.Solution(dict(observed), None, None, None, {}, {}, result)
