"""Samples that fail, losses that are not finite: what is done about them, and what the message says."""

import dataclasses
from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import saltation as st
from saltation_train import Recipe, load_run, train
from saltation_train._checkpoint import load_checkpoint, save_checkpoint
from saltation_train._config import fingerprint
from saltation_train._devices import one_device
from saltation_train._diagnose import in_gradients, in_population
from saltation_train._engine import initial_state, on_device
from saltation_train._gradient import batch_gradient, first_bad
from saltation_train._prepare import prepare
from saltation_train._solve import solve_batch
from saltation_train._step import train_step


class State(NamedTuple):
    v: jax.Array


def run(out, epochs=1, seed=0, **arguments):
    return train(Recipe("toy/blobs", arguments, epochs=epochs), seed=seed, out=out, progress=False, report=False)


@pytest.fixture(scope="module")
def task():
    """40 samples, of which the first 4 fail, with NaN derivatives."""
    return prepare(Recipe("toy/blobs", {"failing": 0.1, "limit": 40, "batch_size": 8}).build(), seed=0)


def batch(task, rows):
    rows = np.asarray(rows)
    split = task.dataset.train
    keys = jax.vmap(lambda i: jax.random.fold_in(jax.random.key(7), i))(jnp.asarray(rows))
    return jnp.asarray(split.inputs[rows]), jnp.asarray(split.targets[rows]), keys


def one_step(task, optimiser, state, data):
    compute = one_device().each(lambda state, *data: train_step(task, optimiser, state, task.frozen, *data))
    return jax.jit(compute)(state, *data)


def gradient(task, rows):
    compute = one_device().each(lambda *data: batch_gradient(task, task.parameters, task.frozen, *data))
    found = jax.jit(compute)(*batch(task, rows))
    return found, jax.tree.leaves(found.gradient)


@pytest.mark.parametrize("rows", [[0, 10, 11, 12], [10, 11, 2, 12, 3]], ids=["first", "several"])
def test_failed_samples_have_no_weight_in_the_gradient(task, rows):
    healthy = [row for row in rows if row >= 4]
    found, with_failed = gradient(task, rows)
    alone, without = gradient(task, healthy)
    assert int(found.tries) == 2 and int(alone.tries) == 1
    np.testing.assert_allclose(found.loss, alone.loss, rtol=1e-12)
    for one, other in zip(with_failed, without, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12)


def test_the_toy_s_failures_would_spoil_the_gradient(task):
    """Otherwise the test above would show nothing."""
    rows = [0, 10, 11, 12]

    def zero_weighted(parameters):
        outcome = solve_batch(task.experiment, task.model(parameters), *batch(task, rows))
        return jnp.sum(jnp.where(outcome.code == 0, outcome.loss, 0.0))

    assert any(jnp.isnan(leaf).any() for leaf in jax.tree.leaves(jax.jit(jax.grad(zero_weighted))(task.parameters)))


def test_a_batch_that_fails_as_a_whole_changes_nothing(task):
    state, optimiser, _ = initial_state(task)
    after = one_step(task, optimiser, on_device(state), batch(task, [0, 1, 2, 3]))
    assert jax.tree.all(jax.tree.map(jnp.array_equal, after.parameters, state.parameters))
    assert jax.tree.all(jax.tree.map(jnp.array_equal, after.optimiser, state.optimiser))
    assert int(after.tally.skipped) == 1 and int(after.tally.counted) == 0 and int(after.tally.seen) == 4


def test_failures_are_counted_by_kind_and_count_as_wrong(tmp_path):
    found = run(tmp_path / "run", epochs=2, failing=0.04, max_failed_share=0.1)
    counts = [line["failed"]["max_steps_reached"] for line in found.metrics]
    assert all(0 < count <= 8 for count in counts)
    assert all(line["train_accuracy"] <= 1 - count / 192 for line, count in zip(found.metrics, counts, strict=True))


def test_too_many_failures_stop_the_run_and_keep_the_checkpoint(tmp_path):
    with pytest.raises(st.SolveError) as caught:
        run(tmp_path / "run", failing=0.5, max_failed_share=0.1)
    message = str(caught.value)
    assert "of an epoch's 192 samples failed in epoch 1" in message and "at most 10.0% (max_failed_share)" in message
    # What the result itself says: what to change.
    assert "max_steps_reached" in message and "Raise `max_steps`" in message
    assert load_run(tmp_path / "run").position.epoch == 0


def test_a_loss_that_is_not_finite_names_where_and_keeps_the_state_before(tmp_path):
    with pytest.raises(st.SolveError) as caught:
        run(tmp_path / "run", loss="overflowing")
    message = str(caught.value)
    assert "the loss is not finite in epoch 1, batch 1: the loss of training sample" in message
    assert "is inf" in message and "last.eqx" in message and "learning rate" in message
    kept = load_run(tmp_path / "run")
    assert kept.position.epoch == 0
    assert all(jnp.isfinite(leaf).all() for leaf in jax.tree.leaves(kept.parameters))


def test_a_parameter_that_is_not_finite_is_named_with_connection_and_neuron(tmp_path):
    """As after an update that overflowed: the checkpoint is whole, but holds a NaN."""
    before = run(tmp_path / "run")
    like, _, _ = initial_state(before.task)
    path = before.folder / "checkpoints" / "last.eqx"
    state, position = load_checkpoint(path, like, fingerprint(before.config))
    state.parameters.network.connections[0].synapse.weight[1, 2] = np.nan
    save_checkpoint(path, state, position, fingerprint(before.config))
    kept = (before.folder / "checkpoints" / "best.eqx").read_bytes()
    with pytest.raises(st.SolveError) as caught:
        train(Recipe("toy/blobs", epochs=2), out=tmp_path / "run", resume=True, progress=False, report=False)
    message = str(caught.value)
    assert "of an epoch's 6 steps had no gradient in epoch 2" in message
    assert "weight[1, 2] of the connection 'in' -> 'hidden1' (onto neuron 2 of 'hidden1') is not finite" in message
    assert "of epoch 1, in" in message
    assert (before.folder / "checkpoints" / "best.eqx").read_bytes() == kept


def test_a_bad_gradient_names_connection_and_neuron(task):
    bad = np.array([-1, 5])
    (sentence,) = in_gradients(task.model(task.parameters), task.parameters, bad)
    assert sentence == (
        "the gradient of weight[1, 2] of the connection 'hidden1' -> 'out' (onto neuron 2 of 'out') is not finite"
    )


def test_a_spike_or_a_state_that_is_not_finite_is_named(task):
    spikes = st.Spikes(jnp.array([1.0, 2.0]), jnp.array([1, 0]), 2)
    spikes = eqx.tree_at(lambda train: train.time, spikes, jnp.array([1.0, jnp.nan]))
    final = {"out": State(jnp.array([0.0, jnp.inf]))}
    solution = st.Solution({"out": spikes}, None, None, final, {}, {}, st.RESULTS.successful)
    assert list(in_population(solution, "out")) == [
        "population 'out': a spike time of neuron 0 is NaN",
        "population 'out': the state v of neuron 1 is not finite",
    ]


def test_a_gradient_that_is_not_finite_skips_the_step(task):
    state, _, _ = initial_state(task)
    exploding = optax.sgd(1.0)
    state = on_device(state)
    state = type(state)(state.parameters, exploding.init(state.parameters), state.tally)
    loss = st.Loss(lambda solution, output, target: jnp.sqrt(output[0] - jax.lax.stop_gradient(output[0])))
    broken = dataclasses.replace(task, experiment=dataclasses.replace(task.experiment, loss=loss))
    after = one_step(broken, exploding, state, batch(task, [10, 11, 12]))
    assert int(after.tally.skipped) == 1 and int(after.tally.counted) == 3 and (after.tally.bad >= 0).all()
    assert jax.tree.all(jax.tree.map(jnp.array_equal, after.parameters, state.parameters))


def test_the_first_entries_that_are_not_finite_are_found():
    bad = [jnp.array([1.0, jnp.nan, jnp.inf]), jnp.array([[jnp.inf], [-jnp.inf]]), jnp.zeros(2)]
    assert first_bad(bad).tolist() == [1, 0, -1]
    # Their sum is not finite, but they are.
    assert first_bad([jnp.full(3, jnp.finfo(jnp.float32).max), jnp.zeros(2)]).tolist() == [-1, -1]
