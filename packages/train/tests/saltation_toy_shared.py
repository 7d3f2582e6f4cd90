"""Trained by two devices and by one: run in a process that has two, it fails where they differ."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from saltation_toy import Neuron

import saltation as st
from saltation_train import Recipe
from saltation_train._devices import all_devices, one_device
from saltation_train._gradient import batch_gradient
from saltation_train._prepare import prepare
from saltation_train._tally import example_batch

jax.config.update("jax_enable_x64", True)


def same_gradients(arguments: dict) -> None:
    """Of one batch, whose first samples fail, so the devices differ in what they have to do again."""
    task = prepare(Recipe("toy/blobs", {"batch_size": 8, "limit": 40, **arguments}).build(), seed=0)
    inputs, targets, keys = example_batch(task)

    def gradient(devices):
        def compute(inputs, targets, data):
            found = batch_gradient(task, task.parameters, task.frozen, inputs, targets, jax.random.wrap_key_data(data))
            return found.loss, found.number, found.gradient

        found = jax.jit(devices.each(compute, shared=(True, True, True)))(inputs, targets, jax.random.key_data(keys))
        return [np.asarray(leaf) for leaf in jax.tree.leaves(found)]

    both, one = all_devices(task.experiment), one_device()
    assert both.number == 2 and one.number == 1
    together, alone = gradient(both), gradient(one)
    assert alone[1] > 0 and max(np.abs(leaf).max() for leaf in alone[2:]) > 1e-3
    for ours, theirs in zip(together, alone, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-10, atol=1e-14)


def same_statistics() -> None:
    """Normalisation takes the whole batch, and is differentiated through it."""
    x = jnp.arange(24.0).reshape(8, 3) ** 1.5
    network = st.feedforward([3, 2], Neuron(), weight=st.normal(0.0, 1.0), key=jax.random.key(1))
    network = eqx.tree_at(lambda n: n.connections[0].synapse, network, replace_fn=st.Normalised)

    def gradient(x):
        def loss(network):
            synapse = st.normalised_over(network, ("batch", "devices")).connections[0].synapse
            outputs = jax.vmap(lambda row: synapse.measured(row)[0].apply(row), axis_name="batch")(x)
            return jnp.sum(jnp.sin(outputs) ** 3)

        return jax.lax.psum(eqx.filter_grad(loss)(network).connections[0].synapse.inner.weight, "devices")

    both, one = all_devices(Recipe("toy/blobs").build()), one_device()
    together, alone = (jax.jit(devices.each(gradient, shared=(True,)))(x) for devices in (both, one))
    np.testing.assert_allclose(together, alone, rtol=1e-9)
    assert jnp.max(jnp.abs(alone)) > 1e-3


if __name__ == "__main__":
    assert jax.local_device_count() == 2
    same_gradients({"failing": 0.1})
    same_gradients({"loss": "batch"})
    same_statistics()
