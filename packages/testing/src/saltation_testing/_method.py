"""The conformance suite of methods."""

import abc
import dataclasses
from collections.abc import Mapping
from typing import Any, ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import saltation as st
from saltation import AbstractMethod, AbstractReplayMethod, Network, Save, Spikes

from ._altered import pad_spikes, rescaled, to_float32, with_nan, with_synapses
from ._case import Case, CompleteCase, at_rest, completed
from ._compare import check_close, check_finite
from ._differences import check_gradient
from ._outcome import (
    FIELDS,
    Outcome,
    dense,
    find_batch_outcome,
    find_outcome,
    main_field,
    observed_fields,
    replayed,
    saved,
    solved,
)
from ._permute import can_permute, permuted
from ._suite import AbstractSuite, parametrise


class AbstractMethodConformance(AbstractSuite, abc.ABC):
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

    t1: ClassVar[float] = 40.0
    key: ClassVar[int | None] = None
    rtol: ClassVar[float] = 1e-5
    step: ClassVar[float] = 3e-5
    same_rtol: ClassVar[float] = 1e-8

    @abc.abstractmethod
    def method(self) -> AbstractMethod:
        """The method."""

    @abc.abstractmethod
    def networks(self) -> Mapping[str, Network | Case]:
        """Networks that it supports."""

    def refused(self) -> Mapping[str, Network]:
        """Networks that it does not support; none unless overridden."""
        return {}

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        if "case" in metafunc.fixturenames:
            parametrise(metafunc, "case", {name: completed(c, self.t1) for name, c in self.networks().items()})
        if "unsupported" in metafunc.fixturenames:
            parametrise(metafunc, "unsupported", self.refused())
        if "field" in metafunc.fixturenames:
            provided = [field for field in FIELDS if field in self.method().provides]
            parametrise(metafunc, "field", {field: field for field in provided})

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

    def test_refuses_in_words(self, unsupported):
        method = self.method()
        support = method.supports(unsupported)
        assert not support, "supports: accepts a network that it should refuse."
        assert len(support.reason.split()) >= 4, f"supports: the reason {support.reason!r} helps nobody."
        case = completed(unsupported, self.t1)
        with pytest.raises(st.UnsupportedError) as error:
            method.solve(case.network, case.stimulus, t1=case.t1, key=self.random_key())
        assert support.reason in str(error.value), "solve: does not say why."

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

    def test_a_bad_sample_leaves_its_batch_alone(self, case):
        bad = dataclasses.replace(case, stimulus=with_nan(case.stimulus))
        batch, alone = self.batch([case, bad, case]), self.outcome(case).observed
        good = np.asarray(batch.result == st.RESULTS.successful)
        assert good.tolist() == [True, False, True], f"successful: got {good}; expected only the NaN to fail."
        for sample in (0, 2):
            one = jax.tree.map(lambda leaf, sample=sample: leaf[sample], batch.observed)
            check_close(one, alone, f"sample {sample} beside a bad one: ", rtol=self.same_rtol)

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

    def test_missing_room_is_reported_and_nothing_is_lost(self, case):
        self.need_spikes()
        method, times = self.method(), self.times(case)
        if not hasattr(method, "max_spikes"):
            pytest.skip("the method has no max_spikes")
        most = max(int(np.isfinite(t).sum(axis=1).max(initial=0)) for t in times.values())
        enough = self.without_gradient(case, dataclasses.replace(method, max_spikes=most))
        assert bool(enough.result == st.RESULTS.successful), (
            f"max_spikes={most} is enough, but the result is {enough.result!r}."
        )
        kept = {name: t[:, :most] for name, t in dense(enough).items()}
        check_close(kept, {name: t[:, :most] for name, t in times.items()}, "just enough room: ", rtol=1e-7)
        if most < 2:
            pytest.skip("no neuron spikes more than once in this case")
        short = dataclasses.replace(method, max_spikes=most - 1)
        result = self.without_gradient(case, short).result
        assert bool(result == st.RESULTS.max_spikes_reached), (
            f"max_spikes={most - 1}, {most} needed, throw=False: got the result {result!r}; expected "
            "RESULTS.max_spikes_reached."
        )
        self.must_throw(case, "max_spikes", short)

    def test_a_stimulus_that_does_not_fit_is_refused(self, case):
        name, value = next(iter(case.stimulus.items()))
        for what, stimulus in {
            "an unknown input": {**case.stimulus, "no_such_input": value},
            "a missing input": {n: s for n, s in case.stimulus.items() if n != name},
            "a wrong size": {**case.stimulus, name: Spikes.empty(value.size + 1)},
            "a wrong type": {**case.stimulus, name: jnp.zeros(value.size)},
        }.items():
            try:
                self.method().solve(case.network, stimulus, t1=case.t1, key=self.random_key())
            except (ValueError, TypeError):  # a type checker, where one is installed, comes first
                continue
            raise AssertionError(f"solve accepts {what}; expected a ValueError.")

    def test_nan_input_is_reported(self, case):
        bad = dataclasses.replace(case, stimulus=with_nan(case.stimulus))
        result = self.outcome(bad).result
        assert bool(result == st.RESULTS.non_finite_input), (
            f"a NaN in the stimulus, throw=False: got the result {result!r}; expected RESULTS.non_finite_input."
        )
        self.must_throw(bad, "NaN")

    def test_nan_weights_are_not_a_success(self, case):
        result = self.outcome(with_synapses(case, jnp.nan)).result
        assert not bool(result == st.RESULTS.successful), "NaN weights, throw=False: reported as a success."

    def test_a_silent_network_has_a_finite_gradient(self, case):
        outcome = self.outcome(with_synapses(case, 0.0))
        check_finite(outcome.gradient, "gradient of a silent network, with respect to ")
        if at_rest(case.network) and "spikes" in self.method().provides:
            for name, times in outcome.observed["spikes"].items():
                assert np.isinf(times).all(), f"{name}: spikes without any input."
            for leaf in jax.tree.leaves(outcome.gradient):
                assert not np.any(leaf), "gradient of the spikes of a silent network: not zero."

    def test_only_what_is_provided_is_differentiable(self, case):
        for field in FIELDS:
            if field in self.method().provides:
                continue
            arguments = (self.method(), self.at(case), case.t1, saved(field, case.t1), self.random_key())
            try:
                solution = solved(*arguments, False)
            except ValueError:
                continue  # it cannot even be asked for
            if not any(eqx.is_inexact_array(leaf) for leaf in jax.tree.leaves(getattr(solution, field))):
                continue
            try:
                self.outcome(case, field)
            except (TypeError, ValueError):
                continue
            raise AssertionError(
                f"differentiating {field}, which `provides` does not name, raises nothing; wrap it in "
                "saltation.not_differentiable."
            )

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

    # What the laws are written in.

    def random_key(self) -> Any:
        return None if self.key is None else jax.random.key(self.key)

    def save(self, field: str | None = None, t1: float = 1.0) -> Save:
        return saved(main_field(self.method()) if field is None else field, t1)

    def at(self, case: CompleteCase) -> tuple[Network, Any]:
        """What is differentiated: the network and the stimulus."""
        return case.network, case.stimulus

    def outcome(self, case: CompleteCase, field: str | None = None, *, method: Any = None, back: Any = None) -> Outcome:
        """What the method finds, and the gradient of a fixed random sum over a field of it; compiled once a case."""
        method = self.method() if method is None else method
        field = main_field(method) if field is None else field
        orders = {name: np.arange(neuron.size) for name, neuron in case.network.neurons.items()} | (back or {})
        orders = {name: jnp.asarray(order, jnp.int32) for name, order in orders.items()}
        return find_outcome(method, self.at(case), orders, case.t1, saved(field, case.t1), self.random_key(), field)

    def without_gradient(self, case: CompleteCase, method: Any) -> st.Solution:
        """What a method finds, which compiles in half the time."""
        return solved(method, self.at(case), case.t1, self.save(t1=case.t1), self.random_key(), False)

    def batch(self, cases: list[CompleteCase]) -> Outcome:
        """The same for cases that differ in their stimulus, under vmap."""
        method, case = self.method(), cases[0]
        field = main_field(method)
        stimuli = jax.tree.map(lambda *leaves: jnp.stack(leaves), *[one.stimulus for one in cases])
        save = saved(field, case.t1)
        return find_batch_outcome(method, (case.network, stimuli), case.t1, save, self.random_key(), field)

    def times(self, case: CompleteCase) -> dict[str, np.ndarray]:
        """Spike times `[n, k]` of each population."""
        return jax.tree.map(np.asarray, self.outcome(case).observed["spikes"])

    def must_throw(self, case: CompleteCase, message: str, method: Any = None) -> None:
        method = self.method() if method is None else method
        with pytest.raises(Exception, match=message):
            solution = solved(method, self.at(case), case.t1, self.save(t1=case.t1), self.random_key(), True)
            jax.block_until_ready(eqx.filter(solution, eqx.is_array))

    def need_spikes(self) -> None:
        if "spikes" not in self.method().provides:
            pytest.skip("the method does not provide spikes")
