"""It learns: a direction is enough."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import pytest

import saltation as st
from saltation_surrogate import yinyang


def accuracy_after(steps: int, *, hidden: int, step: float, memory: float = 0.0) -> tuple[float, float]:
    """Validation accuracy of Yin-Yang before and after some steps along the sign of a mean gradient, in float32."""
    experiment = yinyang(hidden=hidden, step=step)
    data = st.get_dataset("yinyang")(validation_size=300)
    model = experiment.model(jax.random.key(0))
    weights, rest = eqx.partition(model, st.trainable(model, "weight"))
    to_float32 = lambda tree: jax.tree.map(lambda x: x.astype(jnp.float32) if eqx.is_inexact_array(x) else x, tree)  # noqa: E731
    weights, rest = to_float32(weights), to_float32(rest)
    experiment = dataclasses.replace(experiment, regulariser=None)

    def outputs(weights, x):
        model = eqx.combine(weights, rest)
        solution = experiment.method.solve(
            model.network, experiment.encoder(x, jax.random.key(0)), t1=experiment.t1, throw=False
        )
        return solution, model.readout(solution)

    @jax.jit
    def train(weights):
        x, y = jnp.asarray(data.train.inputs, jnp.float32), jnp.asarray(data.train.targets)

        def loss(weights, rows):
            each = lambda x, y: experiment.loss.function(*outputs(weights, x), y)  # noqa: E731
            return jnp.mean(jax.vmap(each)(x[rows], y[rows]))

        def update(carry, n):
            weights, mean = carry
            rows = jax.random.randint(jax.random.fold_in(jax.random.key(1), n), (100,), 0, len(x))
            size = 0.05 * (1.0 - n / steps).astype(jnp.float32)
            gradient = jax.grad(loss)(weights, rows)
            mean = jax.tree.map(lambda m, g: memory * m + (1.0 - memory) * g, mean, gradient)
            return (jax.tree.map(lambda w, m: w - size * jnp.sign(m), weights, mean), mean), None

        mean = jax.tree.map(jnp.zeros_like, weights)
        return jax.lax.scan(update, (weights, mean), jnp.arange(steps))[0][0]

    @jax.jit
    def accuracy(weights):
        x, y = jnp.asarray(data.validation.inputs, jnp.float32), jnp.asarray(data.validation.targets)
        times = jax.vmap(lambda x: outputs(weights, x)[1])(x)
        return jnp.mean(jnp.argmin(times, axis=1).astype(y.dtype) == y)

    return float(accuracy(weights)), float(accuracy(train(weights)))


def test_some_steps_make_yin_yang_better():
    before, after = accuracy_after(40, hidden=12, step=4.0)
    assert after > before + 0.15 and after > 0.6


@pytest.mark.slow
def test_yin_yang_is_learnt():
    before, after = accuracy_after(1500, hidden=30, step=1.0, memory=0.9)
    assert before < 0.6 and after > 0.9
