"""Laws of methods about what cannot be solved: it is refused or reported, and costs nothing else."""

import abc
import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import saltation as st
from saltation import Spikes

from ._altered import with_nan, with_synapses
from ._case import at_rest, completed
from ._compare import check_close, check_finite
from ._method_setting import AbstractMethodSetting
from ._outcome import (
    FIELDS,
    dense,
    saved,
    solved,
)


class AbstractMethodRobustness(AbstractMethodSetting, abc.ABC):
    """The part of `AbstractMethodConformance` about bad input, missing room and what is not supported."""

    def test_refuses_in_words(self, unsupported):
        method = self.method()
        support = method.supports(unsupported)
        assert not support, "supports: accepts a network that it should refuse."
        assert len(support.reason.split()) >= 4, f"supports: the reason {support.reason!r} helps nobody."
        case = completed(unsupported, self.t1)
        with pytest.raises(st.UnsupportedError) as error:
            method.solve(case.network, case.stimulus, t1=case.t1, key=self.random_key())
        assert support.reason in str(error.value), "solve: does not say why."

    def test_a_bad_sample_leaves_its_batch_alone(self, case):
        bad = dataclasses.replace(case, stimulus=with_nan(case.stimulus))
        batch, alone = self.batch([case, bad, case]), self.outcome(case).observed
        good = np.asarray(batch.result == st.RESULTS.successful)
        assert good.tolist() == [True, False, True], f"successful: got {good}; expected only the NaN to fail."
        for sample in (0, 2):
            one = jax.tree.map(lambda leaf, sample=sample: leaf[sample], batch.observed)
            check_close(one, alone, f"sample {sample} beside a bad one: ", rtol=self.same_rtol)

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
