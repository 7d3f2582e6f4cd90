"""The conformance suite of methods."""

import abc
import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import saltation as st
from saltation import AbstractHostMethod, AbstractReplayMethod, Save, Spikes

from ._altered import pad_spikes, rescaled, to_float32
from ._case import at_rest
from ._compare import check_close
from ._differences import check_gradient
from ._method_robustness import AbstractMethodRobustness
from ._outcome import (
    FIELDS,
    dense,
    observed_fields,
    replayed,
    solved,
)
from ._permute import can_permute, permuted


class AbstractMethodConformance(AbstractMethodRobustness, abc.ABC):
    """The laws of a method. Subclass it in a test file; say which method, and what it is tested on.

    - `method()`: the method, with settings at which it is as accurate as it claims.
    - `networks()`: networks that it supports, by name, each a `Network` or a `Case` with a stimulus of its own. Weights
      must be such that neurons spike; a network in which some neuron spikes more than once shows what happens
      without room.
    - `refused()`: networks that it does not support.
    - `t1`: the end of the trial, in the networks' unit of time. `key`: a seed for methods that draw random numbers.
    - `rtol`, `step`: relative tolerance and step of the central differences.
    - `same_rtol`: how near two ways to compute one thing must be.

    All laws hold in float64 except the one about float32.

    ```python
    class TestODE(AbstractMethodConformance):
        def method(self):
            return ODE(max_spikes=8)

        def networks(self):
            return {"two layers": st.feedforward([4, 5, 3], LIF(), key=jax.random.key(0))}
    ```
    """

    def test_provides_only_fields_of_a_solution(self):
        provides = self.method().provides
        assert provides and provides <= set(FIELDS), f"provides: got {set(provides)}; expected some of {FIELDS}."

    def test_supports_what_it_is_tested_on(self, case):
        support = self.method().supports(case.network)
        assert support, f"supports: refuses, because {support.reason}"
        result = self.outcome(case).result
        assert bool(result == st.RESULTS.successful), f"result: {result!r}"

    def test_spikes_are_trains(self, case):
        self.need_spikes()
        solution = self.without_gradient(case, self.method())
        for name, train in (solution.spikes or {}).items():
            Spikes(train.time, train.index, train.size)  # sorted, padded, of known units
            assert train.size == case.network.size(name), f"{name}: {train.size} units."
            assert not jnp.any(jnp.isfinite(train.time) & (train.time > case.t1)), f"{name}: spikes after t1."

    def test_gradient_matches_central_differences(self, case, field):
        gradient = self.outcome(case, field).gradient
        largest = max((float(np.abs(leaf).max(initial=0.0)) for leaf in jax.tree.leaves(gradient)), default=0.0)
        assert largest > 0, f"gradient of {field}: zero everywhere. Do the neurons of this case spike?"

        def value(at):
            network, stimulus = at
            outcome = self.outcome(dataclasses.replace(case, network=network, stimulus=stimulus), field)
            return outcome.value, outcome.finite

        what, rtol = f"gradient of {field}", self.rtol
        check_gradient(value, gradient, self.at(case), what=what, step=self.step, rtol=rtol, atol=0.1 * rtol)

    def test_delaying_every_input_delays_every_spike(self, case):
        self.need_spikes()
        if not at_rest(case.network) or not all(isinstance(s, Spikes) for s in case.stimulus.values()):
            pytest.skip("something happens in this network without an input spike")
        delay = 0.2 * case.t1
        expected = jax.tree.map(lambda t: np.where(t + delay <= case.t1, t + delay, np.inf), self.times(case))
        later = {name: train.shift(delay) for name, train in case.stimulus.items()}
        actual = self.times(dataclasses.replace(case, stimulus=later))
        check_close(actual, expected, "spikes, later: ", rtol=max(self.same_rtol, 1e-7))

    def test_permuting_units_permutes_spikes_and_gradients(self, case):
        self.need_spikes()
        if not can_permute(case.network):
            pytest.skip("it has synapses or delays that this suite cannot permute")
        times, gradient = self.times(case), self.outcome(case).gradient[0]
        tolerance = max(self.same_rtol, 1e-7)
        for name in case.network.neurons:
            order = np.random.default_rng(3).permutation(case.network.size(name))
            # The objective weights each spike by its place: the outcome is put back into the old order.
            other = dataclasses.replace(case, network=permuted(case.network, name, order))
            outcome = self.outcome(other, back={name: np.argsort(order)})
            check_close(outcome.observed["spikes"], times, f"spikes, {name} permuted: ", rtol=tolerance)
            wanted = permuted(gradient, name, order)
            what = f"gradient, {name} permuted: "
            check_close(outcome.gradient[0], wanted, what, rtol=100 * tolerance, atol=tolerance)

    def test_padding_changes_nothing(self, case):
        if not any(isinstance(s, Spikes) for s in case.stimulus.values()):
            pytest.skip("its stimulus has no spikes")
        padded = dataclasses.replace(case, stimulus={name: pad_spikes(s) for name, s in case.stimulus.items()})
        without, with_padding = self.outcome(case), self.outcome(padded)
        check_close(with_padding.observed, without.observed, "padded: ", rtol=self.same_rtol)
        tolerances = {"rtol": 100 * self.same_rtol, "atol": self.same_rtol}
        check_close(with_padding.gradient[0], without.gradient[0], "gradient, padded: ", **tolerances)
        for name, train in without.gradient[1].items():
            if isinstance(train, Spikes):
                length = train.time.shape[0]
                after = with_padding.gradient[1][name].time
                check_close(after[:length], train.time, f"gradient of the times of {name}, padded", **tolerances)
                check_close(after[length:], jnp.zeros(2), f"gradient of the padding of {name}")

    def test_jit_is_eager(self, case):
        method = self.method()
        solution = method.solve(
            case.network, case.stimulus, t1=case.t1, key=self.random_key(), save=self.save(), throw=True
        )
        eager = observed_fields(solution, method.provides)
        check_close(self.outcome(case).observed, eager, "under jit: ", rtol=self.same_rtol)

    def test_vmap_is_a_loop(self, case):
        cases = [dataclasses.replace(case, stimulus=rescaled(case.stimulus, factor)) for factor in (1.0, 0.9, 1.07)]
        together, apart = self.batch(cases), [self.outcome(one) for one in cases]
        stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *[one.observed for one in apart])
        check_close(together.observed, stacked, "under vmap: ", rtol=self.same_rtol)
        total = jax.tree.map(lambda *leaves: sum(leaves), *[one.gradient[0] for one in apart])
        tolerances = {"rtol": 100 * self.same_rtol, "atol": self.same_rtol}
        check_close(together.gradient[0], total, "gradient under vmap: ", **tolerances)

    def test_float32_is_near_float64(self, case):
        wide = self.outcome(case)
        with jax.enable_x64(False):
            network, stimulus = jax.tree.map(to_float32, self.at(case))
            narrow = self.outcome(dataclasses.replace(case, network=network, stimulus=stimulus))
        for path, leaf in jax.tree_util.tree_leaves_with_path((narrow.observed, narrow.gradient)):
            assert leaf.dtype == jnp.float32, f"in float32, {jax.tree_util.keystr(path)}: got {leaf.dtype}."
        check_close(narrow.observed, wide.observed, "in float32: ", rtol=1e-3, atol=1e-3)
        got, wanted = (
            np.concatenate([np.ravel(leaf).astype(float) for leaf in jax.tree.leaves(outcome.gradient)])
            for outcome in (narrow, wide)
        )
        error = np.linalg.norm(got - wanted) / np.linalg.norm(wanted)
        assert error < 0.02, f"in float32: the gradient is off by {100 * error:.1f} % of its norm."

    def test_replay_of_its_own_spikes(self, case):
        method = self.method()
        if not isinstance(method, AbstractReplayMethod):
            pytest.skip("the method has no replay")
        solution = solved(method, self.at(case), case.t1, Save(), self.random_key(), False)
        observed = jax.lax.stop_gradient(solution.spikes)
        try:
            gradient, times = replayed(method, self.at(case), observed, case.t1)
        except st.UnsupportedError as error:
            pytest.skip(f"it does not replay this network: {error}")
        for name, train in dense(solution).items():
            np.testing.assert_array_equal(times[name], train, err_msg=f"replay: {name} has other spike times.")
        tolerances = {"rtol": 1e3 * self.same_rtol, "atol": 100 * self.same_rtol}
        check_close(gradient, self.outcome(case, "spikes").gradient, "gradient of a replay: ", **tolerances)

    def test_passes_on_the_host_are_those_of_solve(self, case):
        method, (source, *more) = self.method(), case.stimulus
        population = case.network.outputs[-1]
        spiking = not more and isinstance(case.stimulus[source], Spikes)
        passes = None
        if spiking and isinstance(method, AbstractHostMethod):
            passes = method.host_passes(case.network, population=population, t1=case.t1)
        if passes is None:
            pytest.skip("the method has no passes on the host for this network")
        one = case.stimulus[source].first()
        batch = jnp.stack([one, 0.9 * one, 1.07 * one])

        def first(network, times):
            spikes = {source: Spikes.from_dense(times)}
            return method.solve(network, spikes, t1=case.t1).first_spikes(population)

        wanted, pull = eqx.filter_vjp(jax.vmap(first, in_axes=(None, 0)), case.network, batch)
        numbers = jnp.arange(1.0, 1.0 + wanted.size, dtype=wanted.dtype).reshape(wanted.shape)
        cotangent = jnp.where(jnp.isfinite(wanted), numbers, 0.0)
        by_network, by_times = pull(cotangent)
        arrays = [np.asarray(leaf) for leaf in jax.tree.leaves(case.network) if eqx.is_inexact_array(leaf)]
        found = passes.forward(arrays, np.asarray(batch))
        assert found is not None, "the passes on the host decline what solve takes."
        check_close(found[0], wanted, "first spikes on the host: ", rtol=self.same_rtol)
        gradient = passes.backward(found[1], np.asarray(cotangent), [True] * (len(arrays) + 1))
        tolerances = {"rtol": 100 * self.same_rtol, "atol": 100 * self.same_rtol}
        check_close(gradient, [*jax.tree.leaves(by_network), by_times], "gradient on the host: ", **tolerances)

    def test_saved_states(self, case):
        times = np.array([0.0, 0.31, 0.77, 1.0]) * case.t1
        arguments = self.method(), self.at(case), case.t1
        try:
            solution = solved(*arguments, Save(states_at=times), self.random_key(), False)
        except ValueError as error:
            pytest.skip(f"it does not save states: {error}")
        assert bool(solution.result == st.RESULTS.successful), f"result: {solution.result!r}"
        assert solution.states is not None, "states: None, though they were asked for."
        last = jax.tree.map(lambda leaf: leaf[-1], solution.states)
        check_close(last, solution.final, "states at t1: ", rtol=1e-7, atol=1e-9)
        for name, neuron in case.network.neurons.items():
            got, wanted = jax.tree.structure(solution.states[name]), jax.tree.structure(neuron.init())
            assert got == wanted, f"states of {name}: got {got}; expected {wanted}."
            for leaf in jax.tree.leaves(solution.states[name]):
                assert leaf.shape == (4, *neuron.shape), f"states of {name}: got a leaf of shape {leaf.shape}."
        if "spikes" in self.method().provides:
            check_close(dense(solution), self.times(case), "spikes, with states saved: ", rtol=1e-7)
        late = solved(*arguments, Save(states_at=1.5 * times), self.random_key(), False)
        assert bool(late.result == st.RESULTS.bad_save_times), (
            f"a time after t1, throw=False: got the result {late.result!r}; expected RESULTS.bad_save_times."
        )
