"""The conformance suite of backends."""

import abc
import dataclasses
import functools
from collections.abc import Mapping
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import saltation as st
from saltation import AbstractBackend, Network, Observation, Spikes

from ._altered import rescaled
from ._case import Case, CompleteCase, completed
from ._echo import Echo
from ._suite import AbstractSuite, parametrise


class AbstractBackendConformance(AbstractSuite, abc.ABC):
    """The laws of a backend. Subclass it in a test file; say which backend, and what it is tested on.

    - `backend()`: the backend.
    - `networks()`: networks that it can run, by name, each a `Network` or a `Case` with a stimulus of its own. Weights
      must be such that some neurons spike.
    - `refused()`: networks that do not fit.
    - `t1`: the end of the trial, in the networks' unit of time; `max_spikes`: room for each neuron's spikes.
    - `late`: by how much a time stamp may lie after `t1`.

    ```python
    class TestChip(AbstractBackendConformance):
        def backend(self):
            return Chip()

        def networks(self):
            return {"one layer": st.feedforward([4, 3], AtMostOnce(LIF()), key=jax.random.key(0))}
    ```
    """

    t1: ClassVar[float] = 40.0
    max_spikes: ClassVar[int] = 1
    late: ClassVar[float] = 0.0

    @abc.abstractmethod
    def backend(self) -> AbstractBackend:
        """The backend."""

    @abc.abstractmethod
    def networks(self) -> Mapping[str, Network | Case]:
        """Networks that it can run."""

    def refused(self) -> Mapping[str, Network]:
        """Networks that do not fit; none unless overridden."""
        return {}

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        if "case" in metafunc.fixturenames:
            parametrise(metafunc, "case", _cases(type(self)))
        if "unsupported" in metafunc.fixturenames:
            parametrise(metafunc, "unsupported", _refused(type(self)))

    def test_it_says_what_it_can_do(self):
        found = self.backend().capabilities
        assert found.neurons and all(isinstance(name, str) and name for name in found.neurons), (
            f"capabilities.neurons: got {found.neurons}; expected the names of the neurons that it has."
        )
        assert found.max_neurons is None or found.max_neurons > 0, f"capabilities.max_neurons: {found.max_neurons}."

    def test_programs_of_one_structure_are_equal(self, case):
        backend = self.backend()
        one, other = self.program(case, backend), self.program(case, backend)
        assert isinstance(one, st.AbstractProgram), f"prepare: got a {type(one).__name__}; expected an AbstractProgram."
        assert one == other and hash(one) == hash(other), (
            "prepare: two programs of one structure differ, so every step of a training would be compiled anew."
        )

    def test_preparing_needs_no_values(self, case):
        self.program(case, self.backend())

    def test_spikes_are_trains_of_every_population(self, case):
        found = self.run([case, self.quieter(case)])
        assert set(found.spikes) == set(case.network.neurons), f"spikes of {list(found.spikes)}."
        number = 0
        for name, neuron in case.network.neurons.items():
            train = found.spikes[name]
            shape = (2, neuron.size * self.max_spikes)
            assert np.shape(train.time) == np.shape(train.index) == shape, (
                f"{name}: times of shape {np.shape(train.time)}; expected {shape}, [batch, n * max_spikes]."
            )
            for time, index in zip(np.asarray(train.time), np.asarray(train.index), strict=True):
                Spikes(time, index, neuron.size)  # sorted, padded, of known units
                counts = np.bincount(index[index >= 0], minlength=neuron.size)
                assert counts.max(initial=0) <= self.max_spikes, f"{name}: more spikes of a neuron than max_spikes."
                last = time[np.isfinite(time)].max(initial=0.0)
                assert last <= self.t1 + self.late, f"{name}: a spike at {last}, after t1 = {self.t1}."
                number += counts.sum()
        assert number > 0, "no neuron spikes. Choose stronger weights for this case."

    def test_it_reports_what_it_says_that_it_reports(self, case):
        program, found = self.program(case, self.backend()), self.run([case, case])
        assert set(found.health) == set(program.health_fields), (
            f"health: got {sorted(found.health)}; expected the program's health_fields {sorted(program.health_fields)}."
        )
        for name, counter in found.health.items():
            assert np.shape(counter) == (2,), f"health[{name!r}]: shape {np.shape(counter)}; expected [batch]."
        assert set(found.delays) == set(program.measured_delays), (
            f"delays: got {sorted(found.delays)}; expected the program's measured_delays {program.measured_delays}."
        )
        for position, delay in found.delays.items():
            pre = case.network.size(case.network.connections[position].source)
            assert np.shape(delay) == (2, pre), f"delays[{position}]: shape {np.shape(delay)}; expected [batch, pre]."

    def test_the_same_key_gives_the_same_spikes(self, case):
        one, other = self.run([case, case], seed=3), self.run([case, case], seed=3)
        for name in case.network.neurons:
            assert np.array_equal(one.spikes[name].time, other.spikes[name].time), f"{name}: other spikes, same key."

    def test_a_sample_does_not_know_its_neighbours(self, case):
        if self.backend().capabilities.noisy:
            pytest.skip("its noise is drawn for the batch as a whole")
        alone, beside = self.run([case]), self.run([case, self.quieter(case)])
        for name in case.network.neurons:
            same = np.array_equal(alone.spikes[name].time[0], beside.spikes[name].time[0])
            assert same, f"{name}: other spikes of a sample beside another one."

    def test_what_does_not_fit_is_refused_in_words(self, unsupported):
        with pytest.raises(st.UnsupportedError) as error:
            self.program(unsupported, self.backend())
        assert len(str(error.value).split()) >= 6, f"prepare: the message {str(error.value)!r} helps nobody."

    def test_in_the_loop_the_solution_has_exactly_its_spikes(self, case):
        method = st.InTheLoop(Echo(), self.backend(), max_spikes=self.max_spikes)
        keys = jax.random.split(jax.random.key(3), 2)

        def solve(stimulus: Any, key: Any) -> st.Solution:
            return method.solve(case.network, stimulus, t1=self.t1, key=key, throw=False)

        both = jax.tree.map(lambda *leaves: jnp.stack(leaves), case.stimulus, self.quieter(case).stimulus)
        found = jax.jit(jax.vmap(solve))(both, keys)
        wanted = self.run([case, self.quieter(case)], key=np.asarray(jax.random.key_data(keys[0])))
        assert found.spikes is not None
        for name in case.network.neurons:
            np.testing.assert_allclose(found.spikes[name].time, wanted.spikes[name].time, rtol=1e-6, err_msg=name)
        assert set(found.stats["health"]) == set(wanted.health)

    # What the laws are written in.

    def program(self, case: CompleteCase, backend: AbstractBackend) -> st.AbstractProgram:
        structure, stimulus = st.structure_of(case.network), st.structure_of(dict(case.stimulus))
        return backend.prepare(structure, stimulus, t1=self.t1, max_spikes=self.max_spikes)

    def run(self, cases: list[CompleteCase], *, seed: int = 0, key: np.ndarray | None = None) -> Observation:
        """A batch of samples on one network, as `saltation.InTheLoop` runs it."""
        program = self.program(cases[0], self.backend())
        parameters = jax.tree.map(_on_host, _with_delay_parts(cases[0].network))
        stimuli = jax.tree.map(lambda *leaves: np.stack([np.asarray(x) for x in leaves]), *[c.stimulus for c in cases])
        key = np.asarray(jax.random.key_data(jax.random.key(seed))) if key is None else key
        return program.run(parameters, dict(stimuli), key)

    def quieter(self, case: CompleteCase) -> CompleteCase:
        """The same network with another stimulus."""
        return dataclasses.replace(case, stimulus=rescaled(case.stimulus, 0.9))


def _on_host(leaf: Any) -> Any:
    return np.asarray(leaf) if isinstance(leaf, jax.Array) else leaf


def _with_delay_parts(network: Network) -> Network:
    connections = [
        dataclasses.replace(c, delay=st.DelayParts.of(c.delay, *c.synapse.sizes())) if c.delay is not None else c
        for c in network.connections
    ]
    return Network(network.inputs, network.neurons, connections, network.outputs)


@functools.cache
def _cases(suite: type[AbstractBackendConformance]) -> dict[str, CompleteCase]:
    """The cases of a suite, made once and not for each of its laws."""
    return {name: completed(case, suite.t1) for name, case in suite().networks().items()}


@functools.cache
def _refused(suite: type[AbstractBackendConformance]) -> dict[str, CompleteCase]:
    return {name: completed(network, suite.t1) for name, network in suite().refused().items()}
