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
from saltation import AbstractMethod, AbstractReplayMethod, Current, Network, Save, Solution, Spikes

from ._case import Case, at_rest, completed
from ._compare import check_close, check_finite
from ._differences import check_gradient
from ._permute import can_permute, permuted
from ._suite import AbstractSuite, parametrise

FIELDS = ("spikes", "rates", "states", "final")


class MethodConformance(AbstractSuite, abc.ABC):
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
    class TestODE(MethodConformance):
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
        solution = self.solve(case)
        assert bool(solution.result == st.RESULTS.successful), f"result: {solution.result}"
        if solution.spikes is not None:
            for name, train in solution.spikes.items():
                Spikes(train.time, train.index, train.size)  # sorted, padded, of known units
                assert train.size == case.network.size(name)
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
        method, save, key = self.method(), _save(field, case.t1), self.random_key()
        at = (case.network, case.stimulus)
        gradient, _ = _gradient(method, at, case.t1, save, key, field)
        largest = max((float(np.abs(leaf).max(initial=0.0)) for leaf in jax.tree.leaves(gradient)), default=0.0)
        assert largest > 0, f"gradient of {field}: zero everywhere. Do the neurons of this case spike?"
        check_gradient(
            lambda x: _value(method, x, case.t1, save, key, field),
            gradient,
            at,
            what=f"gradient of {field}",
            step=self.step,
            rtol=self.rtol,
            atol=0.1 * self.rtol,
        )

    def test_delaying_every_input_delays_every_spike(self, case):
        self.need_spikes(case)
        if not at_rest(case.network) or not all(isinstance(s, Spikes) for s in case.stimulus.values()):
            pytest.skip("something happens in this network without an input spike")
        delay = 0.37 * case.t1
        later = {name: train.shift(delay) for name, train in case.stimulus.items()}
        expected = jax.tree.map(lambda t: t + delay, self.times(case))
        actual = self.times(dataclasses.replace(case, stimulus=later, t1=case.t1 + delay))
        check_close(actual, expected, "spikes, later: ", rtol=max(self.same_rtol, 1e-7))

    def test_permuting_units_permutes_spikes_and_gradients(self, case):
        self.need_spikes(case)
        if not can_permute(case.network):
            pytest.skip("it has synapses or delays that this suite cannot permute")
        times, gradient = self.times(case), self.gradient(case)[0]
        tolerance = max(self.same_rtol, 1e-7)
        for name in case.network.neurons:
            order = np.random.default_rng(3).permutation(case.network.size(name))
            other = dataclasses.replace(case, network=permuted(case.network, name, order))
            expected = times | {name: times[name][order]}
            check_close(self.times(other), expected, f"spikes, {name} permuted: ", rtol=tolerance)
            # The objective weights each spike by its place: undo the permutation there.
            actual = self.gradient(other, undo=(name, tuple(int(i) for i in np.argsort(order))))[0]
            wanted = permuted(gradient, name, order)
            check_close(actual, wanted, f"gradient, {name} permuted: ", rtol=100 * tolerance, atol=tolerance)

    def test_padding_changes_nothing(self, case):
        if not any(isinstance(s, Spikes) for s in case.stimulus.values()):
            pytest.skip("its stimulus has no spikes")
        padded = dataclasses.replace(case, stimulus={name: _padded(s) for name, s in case.stimulus.items()})
        check_close(self.observed(padded), self.observed(case), "padded: ", rtol=self.same_rtol)
        (network, stimulus), (network_padded, stimulus_padded) = self.gradient(case), self.gradient(padded)
        tolerances = {"rtol": 100 * self.same_rtol, "atol": self.same_rtol}
        check_close(network_padded, network, "gradient, padded: ", **tolerances)
        for name, train in stimulus.items():
            if isinstance(train, Spikes):
                length = train.time.shape[0]
                after = stimulus_padded[name].time
                check_close(after[:length], train.time, f"gradient of the times of {name}, padded", **tolerances)
                check_close(after[length:], jnp.zeros(2), f"gradient of the padding of {name}")

    def test_jit_is_eager(self, case):
        eager = _observed(self.solve(case), self.method().provides)
        check_close(self.observed(case), eager, "under jit: ", rtol=self.same_rtol)

    def test_vmap_is_a_loop(self, case):
        samples = [_scaled(case.stimulus, factor) for factor in (1.0, 0.9, 1.07)]
        batch = jax.tree.map(lambda *leaves: jnp.stack(leaves), *samples)
        cases = [dataclasses.replace(case, stimulus=sample) for sample in samples]
        arguments = (self.method(), case.t1, self.save(), self.random_key(), _main_field(self.method()))
        together = _batch_observed(case.network, batch, *arguments)
        apart = jax.tree.map(lambda *leaves: jnp.stack(leaves), *[self.observed(one) for one in cases])
        check_close(together, apart, "under vmap: ", rtol=self.same_rtol)
        gradient = _batch_gradient((case.network, batch), *arguments)[0]
        total = jax.tree.map(lambda *leaves: sum(leaves), *[self.gradient(one)[0] for one in cases])
        check_close(gradient, total, "gradient under vmap: ", rtol=100 * self.same_rtol, atol=self.same_rtol)

    def test_float32_is_near_float64(self, case):
        wide, wide_gradient = self.observed(case), self.gradient(case)
        key = self.random_key()
        with jax.enable_x64(False):
            narrow_case = jax.tree.map(_to_float32, (case.network, case.stimulus))
            method, save = self.method(), self.save()
            narrow = _jit_observed(method, *narrow_case, case.t1, save, key)
            gradient, _ = _gradient(method, narrow_case, case.t1, save, key, _main_field(method))
        for path, leaf in jax.tree_util.tree_leaves_with_path((narrow, gradient)):
            assert leaf.dtype == jnp.float32, f"in float32, {jax.tree_util.keystr(path)}: got {leaf.dtype}."
        check_close(narrow, wide, "in float32: ", rtol=1e-3, atol=1e-3)
        pairs = zip(jax.tree.leaves(gradient), jax.tree.leaves(wide_gradient), strict=True)
        flat = [np.concatenate([np.ravel(leaf) for leaf in leaves]) for leaves in zip(*pairs)]
        error = np.linalg.norm(flat[0] - flat[1]) / np.linalg.norm(flat[1])
        assert error < 0.02, f"in float32: the gradient is off by {100 * error:.1f} % of its norm."

    def test_missing_room_is_reported_and_nothing_is_lost(self, case):
        self.need_spikes(case)
        method = self.method()
        if not hasattr(method, "max_spikes"):
            pytest.skip("the method has no max_spikes")
        times = self.times(case)
        most = max(int(np.isfinite(t).sum(axis=1).max(initial=0)) for t in times.values())
        enough = dataclasses.replace(method, max_spikes=most)
        solution = self.solve(case, method=enough)
        assert bool(solution.result == st.RESULTS.successful), f"max_spikes={most} is enough, but: {solution.result}"
        room = {name: t[:, :most] for name, t in times.items()}
        check_close({n: t[:, :most] for n, t in _dense(solution).items()}, room, "just enough room: ", rtol=1e-7)
        if most < 2:
            pytest.skip("no neuron spikes more than once in this case")
        short = dataclasses.replace(method, max_spikes=most - 1)
        solution = self.solve(case, method=short, throw=False)
        assert bool(solution.result == st.RESULTS.max_spikes_reached), (
            f"max_spikes={most - 1}, {most} needed, throw=False: got the result {solution.result!r}; expected "
            "RESULTS.max_spikes_reached."
        )
        with pytest.raises(Exception, match="max_spikes"):
            jax.block_until_ready(_arrays(self.solve(case, method=short, throw=True)))

    def test_a_stimulus_that_does_not_fit_is_refused(self, case):
        name, value = next(iter(case.stimulus.items()))
        for what, stimulus in {
            "an unknown input": {**case.stimulus, "no_such_input": value},
            "a missing input": {n: s for n, s in case.stimulus.items() if n != name},
            "a wrong size": {**case.stimulus, name: Spikes.empty(value.size + 1)},
            "a wrong type": {**case.stimulus, name: jnp.zeros(value.size)},
        }.items():
            try:
                self.solve(dataclasses.replace(case, stimulus=stimulus))
            except ValueError:
                continue
            raise AssertionError(f"solve accepts {what}; expected a ValueError.")

    def test_nan_input_is_reported(self, case):
        bad = dataclasses.replace(case, stimulus=_with_nan(case.stimulus))
        result = _jit_result(self.method(), bad.network, bad.stimulus, bad.t1, self.save(), self.random_key())
        assert bool(result == st.RESULTS.non_finite_input), (
            f"a NaN in the stimulus, throw=False: got the result {result!r}; expected RESULTS.non_finite_input."
        )
        with pytest.raises(Exception, match="NaN"):
            jax.block_until_ready(self.observed(bad))

    def test_nan_weights_are_not_a_success(self, case):
        network = eqx.tree_at(lambda n: n.connections, case.network, _scaled_synapses(case.network, jnp.nan))
        result = _jit_result(self.method(), network, case.stimulus, case.t1, self.save(), self.random_key())
        assert not bool(result == st.RESULTS.successful), "NaN weights, throw=False: reported as a success."

    def test_a_bad_sample_leaves_its_batch_alone(self, case):
        samples = [case.stimulus, _with_nan(case.stimulus), case.stimulus]
        batch = jax.tree.map(lambda *leaves: jnp.stack(leaves), *samples)
        arguments = (self.method(), case.t1, self.save(), self.random_key(), None)
        observed, good = _batch_observed(case.network, batch, *arguments, throw=False)
        assert good.tolist() == [True, False, True], f"successful: got {good}; expected only the NaN to fail."
        alone = self.observed(case)
        for sample in (0, 2):
            one = jax.tree.map(lambda leaf, sample=sample: leaf[sample], observed)
            check_close(one, alone, f"sample {sample} beside a bad one: ", rtol=self.same_rtol)

    def test_a_silent_network_has_a_finite_gradient(self, case):
        network = eqx.tree_at(lambda n: n.connections, case.network, _scaled_synapses(case.network, 0.0))
        silent = dataclasses.replace(case, network=network)
        check_finite(self.gradient(silent), "gradient of a silent network, with respect to ")
        if at_rest(network) and "spikes" in self.method().provides:
            for name, times in self.times(silent).items():
                assert np.isinf(times).all(), f"{name}: spikes without any input."
            for leaf in jax.tree.leaves(self.gradient(silent)):
                assert not np.any(leaf), "gradient of the spikes of a silent network: not zero."

    def test_only_what_is_provided_is_differentiable(self, case):
        method = self.method()
        for field in FIELDS:
            if field in method.provides:
                continue
            save = _save(field, case.t1)
            try:
                solution = self.solve(case, save=save)
            except ValueError:
                continue  # it cannot even be asked for
            if not any(eqx.is_inexact_array(leaf) for leaf in jax.tree.leaves(getattr(solution, field))):
                continue
            try:
                gradient, _ = _gradient(method, (case.network, case.stimulus), case.t1, save, self.random_key(), field)
            except (TypeError, ValueError):
                continue
            raise AssertionError(
                f"differentiating {field}, which `provides` does not name, gives {jax.tree.leaves(gradient)[:1]}...; "
                "expected an error: wrap it in saltation.not_differentiable."
            )

    def test_replay_of_its_own_spikes(self, case):
        method = self.method()
        if not isinstance(method, AbstractReplayMethod):
            pytest.skip("the method has no replay")
        solution = self.solve(case)
        assert solution.spikes is not None
        observed = jax.lax.stop_gradient(solution.spikes)
        gradient, times = _replay_gradient(method, (case.network, case.stimulus), observed, case.t1)
        for name, train in _dense(solution).items():
            np.testing.assert_array_equal(times[name], train, err_msg=f"replay: {name} has other spike times.")
        tolerances = {"rtol": 1e3 * self.same_rtol, "atol": 100 * self.same_rtol}
        check_close(gradient, self.gradient(case, "spikes"), "gradient of a replay: ", **tolerances)

    def test_saved_states(self, case):
        times = jnp.array([0.0, 0.31, 0.77, 1.0]) * case.t1
        try:
            solution = self.solve(case, save=Save(states_at=times))
        except ValueError as error:
            pytest.skip(f"it does not save states: {error}")
        assert solution.states is not None and solution.final is not None
        last = jax.tree.map(lambda leaf: leaf[-1], solution.states)
        check_close(last, solution.final, "states at t1: ", rtol=1e-7, atol=1e-9)
        for name, neuron in case.network.neurons.items():
            got, wanted = jax.tree.structure(solution.states[name]), jax.tree.structure(neuron.init())
            assert got == wanted, f"states of {name}: got {got}; expected {wanted}."
            for leaf in jax.tree.leaves(solution.states[name]):
                assert leaf.shape == (4, *neuron.shape), f"states of {name}: got a leaf of shape {leaf.shape}."
        if solution.spikes is not None:
            check_close(_dense(solution), _dense(self.solve(case)), "spikes, with states saved: ", rtol=1e-7)
        late = Save(states_at=jnp.array([0.5, 1.5]) * case.t1)
        result = _jit_result(self.method(), case.network, case.stimulus, case.t1, late, self.random_key())
        assert bool(result == st.RESULTS.bad_save_times), f"a time after t1: got the result {result!r}."

    # What the laws are written in.

    def random_key(self) -> Any:
        return None if self.key is None else jax.random.key(self.key)

    def save(self) -> Save:
        return _save(_main_field(self.method()), self.t1)

    def solve(self, case: Case, *, method: AbstractMethod | None = None, save: Save | None = None, throw=True) -> Solution:
        method = self.method() if method is None else method
        save = self.save() if save is None else save
        key = self.random_key()
        return method.solve(case.network, case.stimulus, t1=case.t1, key=key, save=save, throw=throw)

    def observed(self, case: Case) -> dict[str, Any]:
        """The provided fields, under jit."""
        return _jit_observed(self.method(), case.network, case.stimulus, case.t1, self.save(), self.random_key())

    def times(self, case: Case) -> dict[str, np.ndarray]:
        """Spike times `[n, k]` of each population."""
        return jax.tree.map(np.asarray, self.observed(case)["spikes"])

    def gradient(self, case: Case, field: str | None = None, undo: Any = None) -> tuple[Network, dict[str, Any]]:
        """The gradient of a fixed random sum over a field, with respect to the network and the stimulus."""
        method = self.method()
        field = _main_field(method) if field is None else field
        at, save = (case.network, case.stimulus), _save(field, case.t1)
        return _gradient(method, at, case.t1, save, self.random_key(), field, undo)[0]

    def need_spikes(self, case: Case) -> None:
        if "spikes" not in self.method().provides:
            pytest.skip("the method does not provide spikes")


def _main_field(method: AbstractMethod) -> str:
    return next(field for field in FIELDS if field in method.provides)


def _save(field: str, t1: float) -> Save:
    times = np.array([0.23, 0.71]) * t1 if field == "states" else None
    return Save(spikes=field != "rates", rates=field == "rates", states_at=times)


def _dense(solution: Solution) -> dict[str, Any]:
    return {name: train.to_dense(max(train.time.shape[-1], 1)) for name, train in (solution.spikes or {}).items()}


def _observed(solution: Solution, fields: Any) -> dict[str, Any]:
    found = {"spikes": _dense(solution), "rates": solution.rates, "states": solution.states, "final": solution.final}
    return {field: found[field] for field in sorted(fields) if found[field] is not None}


def _weighted_sum(tree: Any) -> tuple[Any, Any]:
    """A fixed random sum over the finite numbers of a tree, and which ones those are."""
    leaves = [leaf for leaf in jax.tree.leaves(tree) if eqx.is_inexact_array(leaf)]
    total = jnp.zeros((), leaves[0].dtype)
    for position, leaf in enumerate(leaves):
        # Drawn on the host: the same numbers in every precision.
        numbers = np.random.default_rng(position).normal(size=leaf.shape)
        total = total + jnp.sum(jnp.where(jnp.isfinite(leaf), jnp.asarray(numbers, leaf.dtype) * _filled(leaf), 0.0))
    return total, [jnp.isfinite(leaf) for leaf in leaves]


def _filled(leaf: Any) -> Any:
    return jnp.where(jnp.isfinite(leaf), leaf, 0.0)


def _objective(at, method, t1, save, key, field, undo=None):
    network, stimulus = at
    solution = method.solve(network, stimulus, t1=t1, key=key, save=save)
    tree = _observed(solution, [field])[field]
    if undo is not None:
        name, order = undo
        tree = tree | {name: tree[name][np.array(order)]}
    return _weighted_sum(tree)


@eqx.filter_jit
def _value(method, at, t1, save, key, field):
    return _objective(at, method, t1, save, key, field)


@eqx.filter_jit
def _gradient(method, at, t1, save, key, field, undo=None):
    return eqx.filter_grad(_objective, has_aux=True)(at, method, t1, save, key, field, undo)


@eqx.filter_jit
def _replay_gradient(method, at, observed, t1):
    def objective(at):
        times = _dense(method.replay(*at, observed, t1=t1))
        return _weighted_sum(times)[0], times

    return eqx.filter_grad(objective, has_aux=True)(at)


@eqx.filter_jit
def _jit_observed(method, network, stimulus, t1, save, key):
    return _observed(method.solve(network, stimulus, t1=t1, key=key, save=save), method.provides)


@eqx.filter_jit
def _jit_result(method, network, stimulus, t1, save, key):
    return method.solve(network, stimulus, t1=t1, key=key, save=save, throw=False).result


@eqx.filter_jit
def _batch_observed(network, batch, method, t1, save, key, field, throw=True):
    del field

    def one(stimulus):
        solution = method.solve(network, stimulus, t1=t1, key=key, save=save, throw=throw)
        observed = _observed(solution, method.provides)
        return observed if throw else (observed, solution.result == st.RESULTS.successful)

    return jax.vmap(one)(batch)


@eqx.filter_jit
def _batch_gradient(at, method, t1, save, key, field):
    def total(at):
        network, batch = at
        return jnp.sum(jax.vmap(lambda s: _objective((network, s), method, t1, save, key, field)[0])(batch))

    return eqx.filter_grad(total)(at)


def _padded(value: Spikes | Current) -> Spikes | Current:
    if not isinstance(value, Spikes):
        return value
    time = jnp.concatenate([value.time, jnp.full(2, jnp.inf, value.time.dtype)])
    return Spikes(time, jnp.concatenate([value.index, jnp.full(2, -1, jnp.int32)]), value.size)


def _scaled(stimulus: Mapping[str, Any], factor: float) -> dict[str, Any]:
    """Earlier or later spikes, weaker or stronger currents."""
    where = {
        name: (lambda s: s.time) if isinstance(value, Spikes) else (lambda s: s.value)
        for name, value in stimulus.items()
    }
    return {name: eqx.tree_at(where[name], value, factor * where[name](value)) for name, value in stimulus.items()}


def _scaled_synapses(network: Network, factor: Any) -> tuple[Any, ...]:
    scale = lambda leaf: factor * leaf if eqx.is_inexact_array(leaf) else leaf  # noqa: E731
    return tuple(
        eqx.tree_at(lambda c: c.synapse, connection, jax.tree.map(scale, connection.synapse))
        for connection in network.connections
    )


def _with_nan(stimulus: Mapping[str, Any]) -> dict[str, Any]:
    """With a NaN for the first number of the first input; built from the outside, as data in a batch would be."""
    name, value = next(iter(stimulus.items()))
    if isinstance(value, Spikes):
        broken = eqx.tree_at(lambda s: s.time, value, value.time.at[0].set(jnp.nan))
    else:
        first = (0,) * value.value.ndim
        broken = eqx.tree_at(lambda s: s.value, value, value.value.at[first].set(jnp.nan))
    return {**stimulus, name: broken}


def _arrays(solution: Solution) -> Any:
    return eqx.filter((solution.spikes, solution.rates, solution.final), eqx.is_array)


def _to_float32(leaf: Any) -> Any:
    return jnp.asarray(np.asarray(leaf, np.float32)) if eqx.is_inexact_array(leaf) else leaf
