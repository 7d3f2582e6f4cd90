"""Files that released exporters of other frameworks wrote, and the spikes that these frameworks gave.

They step through time: frame `k` is the time `k` steps. With delta synapses a spike falls on an arrival, so the times
are the same; where neurons feed back, which takes snnTorch a step and here no time, a step earlier. With current-based
synapses a spike is up to a step late, and so is each that follows it.
"""

import numpy as np
import pytest

import saltation as st
from saltation_nir import from_nir

# The file's dt and time_unit, a step in that unit, and the populations with the names of what was recorded.
EXACT = {
    "snntorch_leaky": (1e-4, 1e-3, 0.1, {"1": "1", "3": "3"}),
    "norse_lif_box": (1e-6, 1e-6, 1.0, {"1": "1", "3": "3"}),
    "norse_iaf": (1.0, 1e-6, 1.0, {"1": "1"}),
}
# Norse adds a weight to the current as it is, where NIR has a pulse of height 1: `dt` is the synaptic time constant.
FEEDBACK = {"snntorch_recurrent": (1e-4, 1e-3, 0.1, {"1.lif": "1"})}
EULER = {
    "snntorch_synaptic": (1e-4, 1e-3, 0.1, {"1": "1"}),
    "norse_lif": (40e-6, 1e-6, 1.0, {"1": "1"}),
}


def both(data, spike_times, name, dt, time_unit, step, populations, room):
    recorded = np.load(data / f"{name}.npz")
    read = from_nir(data / f"{name}.nir", time_unit=time_unit, dt=dt)
    frame, unit = np.nonzero(recorded["input"])
    spikes = st.Spikes(frame * step, unit, recorded["input"].shape[1])
    stimulus = {"input": spikes, **read.bias}
    ours = spike_times(read.network, stimulus, t1=len(recorded["input"]) * step, room=room, initial=read.initial)
    for population, layer in populations.items():
        for unit, found in enumerate(ours[population]):
            yield found / step, np.nonzero(recorded[layer][:, unit])[0]


@pytest.mark.parametrize("name", EXACT)
def test_delta_synapses_spike_in_the_same_steps(data, spike_times, name):
    for ours, theirs in both(data, spike_times, name, *EXACT[name], room=34):
        assert len(theirs) > 3
        np.testing.assert_allclose(ours, theirs, atol=1e-6)


@pytest.mark.parametrize("name", FEEDBACK)
def test_feedback_is_a_step_earlier(data, spike_times, name):
    for ours, theirs in both(data, spike_times, name, *FEEDBACK[name], room=12):
        assert len(theirs) > 3 and len(ours) == len(theirs)
        late = theirs - ours
        assert (late > -1e-6).all() and (late < 1 + 1e-6).all(), late


@pytest.mark.parametrize("name", EULER)
def test_current_based_neurons_spike_within_the_error_of_the_steps(data, spike_times, name):
    for ours, theirs in both(data, spike_times, name, *EULER[name], room=14):
        assert len(theirs) > 3 and len(ours) == len(theirs)
        late = theirs - ours
        assert (np.abs(late) <= 2.0 * (1 + np.arange(len(late)))).all(), late
