"""The recipes, in short; their full runs are slow."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import saltation as st
from saltation_roughsde import distance_of_trains, estimate_current, load_sampled_trains, teacher_student


@pytest.fixture(scope="module")
def observed():
    return load_sampled_trains(samples=64, held_out=64, dt=0.05).train


@eqx.filter_jit
def value_and_slope(current, keys, observed, loss):
    experiment = estimate_current(loss="first_spikes", samples=64, dt=0.05)
    network = experiment.model(jax.random.key(0)).network

    def value(current):
        at = eqx.tree_at(lambda n: n.connections[0].synapse.weight, network, current.reshape(1, 1))

        def one(key):
            solution = experiment.method.solve(at, {"in": st.Current(jnp.ones(1))}, t1=5.0, key=key, throw=False)
            return solution.spikes["out"].to_dense(3, throw=False)

        return distance_of_trains(loss, jax.vmap(one)(keys), observed, 5.0)

    return jax.value_and_grad(value)(current)


@pytest.mark.parametrize("loss", ["first_spikes", "signature", pytest.param("mmd", marks=pytest.mark.slow)])
def test_every_loss_points_at_the_true_current(observed, loss, getkey):
    keys = jax.random.split(getkey(), 64)
    times = jnp.asarray(observed.targets, jnp.float64)
    (low, up), (at, _), (high, down) = (value_and_slope(jnp.array(c), keys, times, loss) for c in (1.1, 1.5, 2.1))
    assert low > 2 * at and high > 2 * at
    assert up < 0 < down


def test_the_data_are_samples_of_the_model():
    data = load_sampled_trains(network="teacher", samples=16, held_out=8, dt=0.05, repeat=3)
    assert data.train.targets.shape == (48, 2, 6) and data.train.inputs.shape == (48, 4)
    np.testing.assert_array_equal(data.train.targets[:16], data.train.targets[16:32])
    assert len(data.validation) == len(data.test) == 8
    assert np.isfinite(data.train.targets[..., 0]).mean() > 0.5
    with pytest.raises(ValueError, match="network='double'"):
        load_sampled_trains(network="double")
    with pytest.raises(ValueError, match="samples=0"):
        load_sampled_trains(samples=0)
    with pytest.raises(ValueError, match="loss='mse'"):
        distance_of_trains("mse", jnp.ones((2, 1, 1)), jnp.ones((2, 1, 1)), 5.0)


def test_experiments_fit_together():
    for experiment in (estimate_current(samples=8, dt=0.05), teacher_student(samples=8)):
        model = experiment.model(jax.random.key(0))
        assert experiment.method.supports(model.network)
        assert set(experiment.loss.needs) <= experiment.method.provides
        assert any(jax.tree.leaves(st.trainable(model, *experiment.trainable)))


@pytest.mark.slow
@pytest.mark.parametrize("loss", ["first_spikes", "signature"])
@pytest.mark.parametrize(("sigma", "within"), [(0.25, 0.02), (0.5, 0.03)])
def test_single_neuron_recovers_its_current(tmp_path, loss, sigma, within):
    from saltation_train import Recipe, load_run, train

    run = train(Recipe("roughsde/single-neuron", {"loss": loss, "sigma": sigma}), seed=0, out=tmp_path / "run")
    assert run.summary["epochs"] == 30
    found = load_run(tmp_path / "run", checkpoint="last").model.network.connections[0].synapse.weight
    assert abs(float(found[0, 0]) - 1.5) < within
