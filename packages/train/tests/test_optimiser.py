"""Optimiser records are carried out as they say."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import saltation as st
from saltation_train import make_optimiser
from saltation_train._optimiser import FACTORIES, make_schedule

PARAMETERS = {"synapse": {"weight": jnp.array([1.0, -2.0])}, "delay": jnp.array([0.5])}
GRADIENT = {"synapse": {"weight": jnp.array([3.0, 4.0])}, "delay": jnp.array([12.0])}


def step(settings, steps=1):
    optimiser, _ = make_optimiser(settings, PARAMETERS, trainable=("weight", "delay"), epochs=10, steps_per_epoch=5)
    state, parameters = optimiser.init(PARAMETERS), PARAMETERS
    for _ in range(steps):
        updates, state = optimiser.update(GRADIENT, state, parameters)
        parameters = optax.apply_updates(parameters, updates)
    return jax.tree.map(lambda new, old: new - old, parameters, PARAMETERS)


def test_sgd_steps_against_the_gradient():
    moved = step(st.Optimiser("sgd", 0.1))
    np.testing.assert_allclose(moved["synapse"]["weight"], [-0.3, -0.4])
    np.testing.assert_allclose(moved["delay"], [-1.2])


def test_a_label_has_a_rate_of_its_own():
    moved = step(st.Optimiser("sgd", 0.1, rates={"delay": 0.5}))
    np.testing.assert_allclose(moved["synapse"]["weight"], [-0.3, -0.4])
    np.testing.assert_allclose(moved["delay"], [-6.0])


def test_clipping_is_to_the_norm_of_all_gradients_together():
    moved = step(st.Optimiser("sgd", 1.0, clip_norm=1.0, rates={"delay": 1.0}))
    np.testing.assert_allclose(moved["delay"], [-12.0 / 13.0])


def test_options_reach_the_optimiser():
    moved = step(st.Optimiser("sgd", 0.1, options={"momentum": 0.5}), steps=2)
    np.testing.assert_allclose(moved["delay"], [-1.2 - 1.2 * 1.5])


def test_weight_decay_is_decoupled_for_adamw_and_a_penalty_for_sgd():
    moved = step(st.Optimiser("sgd", 0.1, weight_decay=2.0))
    np.testing.assert_allclose(moved["delay"], [-0.1 * (12.0 + 2.0 * 0.5)])
    decayed, plain = step(st.Optimiser("adamw", 0.1, weight_decay=2.0)), step(st.Optimiser("adamw", 0.1))
    np.testing.assert_allclose(decayed["delay"] - plain["delay"], [-0.1 * 2.0 * 0.5], rtol=1e-6)


@pytest.mark.parametrize("name", FACTORIES)
def test_every_optimiser_moves_downhill(name):
    moved = step(st.Optimiser(name, 0.01))
    assert (moved["synapse"]["weight"] < 0).all() and (moved["delay"] < 0).all()


@pytest.mark.parametrize(
    ("settings", "step_rates"),
    [
        (st.Optimiser(learning_rate=0.1), {0: 0.1, 49: 0.1}),
        (st.Optimiser(learning_rate=0.1, schedule="cosine"), {0: 0.1, 25: 0.05, 50: 0.0}),
        # Times 0.5 each two epochs of five steps, as steps.
        (
            st.Optimiser(learning_rate=0.1, schedule="exponential", decay=0.5, decay_epochs=2),
            {0: 0.1, 9: 0.1, 10: 0.05, 20: 0.025},
        ),
        (st.Optimiser(learning_rate=0.1, warmup_epochs=2), {0: 0.01, 9: 0.1, 10: 0.1, 30: 0.1}),
        (
            st.Optimiser(learning_rate=0.1, warmup_epochs=2, schedule="cosine"),
            {9: 0.1, 10: 0.1, 30: 0.05, 50: 0.0},
        ),
    ],
    ids=["constant", "cosine", "exponential", "warm-up", "warm-up and cosine"],
)
def test_schedules(settings, step_rates):
    schedule = make_schedule(settings, epochs=10, steps_per_epoch=5)
    for number, rate in step_rates.items():
        assert float(schedule(number)) == pytest.approx(rate, abs=1e-9)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (st.Optimiser("adm"), "got name 'adm'; expected one of .*Did you mean 'adam'"),
        (
            st.Optimiser("sgd", options={"momentun": 0.9}),
            "an option of sgd 'momentun'.*Did you mean 'momentum'",
        ),
        (
            st.Optimiser(rates={"dealy": 0.1}),
            "a rate for 'dealy'; expected one of weight, delay. Did you mean 'delay'",
        ),
        (st.Optimiser(rates={"delay": -0.1}), r"rates\['delay'\]=-0.1; expected a positive number"),
    ],
)
def test_mistakes_are_named(settings, message):
    with pytest.raises(ValueError, match=message):
        step(settings)
