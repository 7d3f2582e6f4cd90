"""The suite of backends: a right one passes every law, a wrong one fails the law that it breaks."""

import inspect
from dataclasses import dataclass

import equinox as eqx
import jax
import numpy as np
import pytest

import saltation as st
from saltation_neurons import LIF, AtMostOnce
from saltation_testing import AbstractBackendConformance
from saltation_testing._case import completed


@dataclass(frozen=True)
class Program(st.AbstractProgram):
    """Every neuron spikes when its summed, weighted inputs are large, at a time that only they determine."""

    names: tuple[tuple[str, int], ...]
    t1: float
    max_spikes: int
    fault: str

    @property
    def health_fields(self):
        return ("dropped",)

    @property
    def measured_delays(self):
        return ()

    def run(self, parameters, stimuli, key):
        assert not any(isinstance(leaf, jax.Array) for leaf in jax.tree.leaves((parameters, stimuli)))
        spikes = {}
        first = {"in": np.where(stimuli["in"].index == 0, stimuli["in"].time, np.inf).min(axis=1)}
        for name, size in self.names:
            _, connection = parameters.incoming(name)[0]
            weight = np.abs(np.asarray(connection.synapse.weight)).sum(axis=0)
            start = first[connection.source][:, None]
            time = start + 0.1 + 1 / (1 + weight)[None, :]
            if "mixes" in self.fault:
                time = time + np.mean(first["in"])
            if "late" in self.fault:
                time = time + self.t1
            order = np.argsort(time, axis=1)
            room = np.full((len(start), size * (self.max_spikes - 1)), np.inf)
            index = np.concatenate([order, np.full(room.shape, -1)], axis=1).astype(np.int32)
            if "unsorted" not in self.fault:
                time = np.take_along_axis(time, order, axis=1)
            time = np.concatenate([time, room], axis=1)
            # A batch of trains has an axis more than a train, which is checked one by one.
            spikes[name] = eqx.tree_at(lambda s: (s.time, s.index), st.Spikes.empty(size), (time, index))
            first[name] = time.min(axis=1)
        health = {} if "silent about its health" in self.fault else {"dropped": np.zeros(len(start))}
        return st.Observation(spikes, health, {})


class Bench(st.AbstractBackend):
    """`fault` names what is wrong with it."""

    fault: str = eqx.field(static=True, default="")

    @property
    def capabilities(self):
        return st.Capabilities(neurons=("lif",), max_neurons=8)

    def prepare(self, structure, stimulus, *, t1, max_spikes):
        number = sum(neuron.size for neuron in structure.neurons.values())
        if number > 8 and self.fault != "accepts everything":
            raise st.UnsupportedError(f"got {number} neurons; the bench has 8. Use fewer.")
        names = tuple((name, structure.neurons[name].size) for name in structure.neurons)
        return Program(names, t1, max_spikes, self.fault)


LAWS = [name for name in dir(AbstractBackendConformance) if name.startswith("test_")]


def run(law: str, fault: str = "") -> None:
    once, key = AtMostOnce(LIF()), jax.random.key(0)

    class Suite(AbstractBackendConformance):
        def backend(self):
            return Bench(fault)

        def networks(self):
            return {"two layers": st.feedforward([3, 4, 2], once, key=key)}

        def refused(self):
            return {"too large": st.feedforward([3, 30], once, key=key)}

    suite = Suite()
    given = {
        "case": completed(suite.networks()["two layers"], suite.t1),
        "unsupported": completed(suite.refused()["too large"], suite.t1),
    }
    wanted = inspect.signature(getattr(suite, law)).parameters
    getattr(suite, law)(**{name: given[name] for name in wanted})


@pytest.mark.parametrize("law", LAWS)
def test_a_right_backend_passes(law):
    run(law)


@pytest.mark.parametrize(
    ("fault", "law", "error", "message"),
    [
        ("unsorted", "test_spikes_are_trains_of_every_population", ValueError, "not sorted"),
        ("late", "test_spikes_are_trains_of_every_population", AssertionError, "after t1"),
        ("mixes samples", "test_a_sample_does_not_know_its_neighbours", AssertionError, "beside another one"),
        ("silent about its health", "test_it_reports_what_it_says_that_it_reports", AssertionError, "health_fields"),
        ("accepts everything", "test_what_does_not_fit_is_refused_in_words", pytest.fail.Exception, "DID NOT RAISE"),
    ],
)
def test_a_wrong_backend_fails(fault, law, error, message):
    with pytest.raises(error, match=message):
        run(law, fault)
