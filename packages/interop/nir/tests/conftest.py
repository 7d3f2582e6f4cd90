"""What the tests share: files that other frameworks wrote, and short ways to solve a network."""

from pathlib import Path

import numpy as np
import pytest

import saltation as st

DATA = Path(__file__).parent / "data"


@pytest.fixture
def data() -> Path:
    return DATA


@pytest.fixture
def spike_times():
    """`spike_times(network, stimulus, t1=..., room=..., initial=...)`: times by population and neuron."""

    def solve(network: st.Network, stimulus, *, t1: float, room: int, initial=None) -> dict[str, list[np.ndarray]]:
        solution = st.get_method("ode")(max_spikes=room).solve(network, stimulus, t1=t1, initial=initial)
        found = {}
        for name, train in solution.spikes.items():
            time, index = np.asarray(train.time), np.asarray(train.index)
            found[name] = [time[index == unit] for unit in range(train.size)]
        return found

    return solve
