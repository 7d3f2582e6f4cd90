"""Yin-Yang learned by `torch.optim`, to what the native loop reaches with the same network, data and settings."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

import saltation as st
from saltation_neurons import LIF, AtMostOnce
from saltation_torch import SpikingModule

T1, BATCH, RATE = 200.0, 50, 0.005
METHOD = st.get_method("delgrad")()


def encode(point):
    spikes = st.latency(point, t_min=1.5, t_max=20.0, bias=(0.0, 20.0))
    return {"in": spikes, "bias": st.Current(jnp.ones(3, point.dtype))}


def make_network(hidden: int) -> st.Network:
    weights = [st.normal(9.0, 5.0), st.normal(2.0, 4.0)]
    neuron = AtMostOnce(LIF(tau_mem=20.0, tau_syn=10.0))
    layers = st.feedforward([6, hidden, 3], neuron, weight=weights, key=jax.random.key(0))
    # A constant current takes each output over its threshold by itself, late, so that none is ever without a gradient.
    late = st.Connection("bias", "out", st.OneToOne(3, 1.2))
    network = st.Network({"in": 6, "bias": 3}, layers.neurons, [*layers.connections, late], ["out"])
    return jax.tree.map(lambda leaf: leaf.astype(jnp.float32) if eqx.is_inexact_array(leaf) else leaf, network)


def batches(split: st.Split, epochs: int):
    for epoch in range(epochs):
        for rows in np.random.default_rng(epoch).permutation(5000).reshape(-1, BATCH):
            yield split.inputs[rows].astype(np.float32), split.targets[rows].astype(np.int32)


def accuracy(first: np.ndarray, targets: np.ndarray) -> float:
    return float((first.argmin(1) == targets).mean())


def by_torch(network: st.Network, data: st.Dataset, epochs: int, steps: int | None) -> tuple[float, list[float]]:
    layer = SpikingModule(network, METHOD, t1=T1, encode=encode, silent=T1)
    optimiser = torch.optim.Adam(layer.parameters(), lr=RATE)
    losses = []
    for number, (points, labels) in enumerate(batches(data.train, epochs)):
        if number == steps:
            break
        loss = torch.nn.functional.cross_entropy(-layer(torch.from_numpy(points)), torch.from_numpy(labels).long())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    with torch.no_grad():
        first = layer(torch.from_numpy(data.test.inputs.astype(np.float32))).numpy()
    return accuracy(first, data.test.targets), losses


def by_jax(network: st.Network, data: st.Dataset, epochs: int, steps: int | None) -> tuple[float, list[float]]:
    """The native loop, with Adam written out: no other package of this project may be needed here."""
    parameters, static = eqx.partition(network, eqx.is_inexact_array)

    def first(parameters, points):
        net = eqx.combine(parameters, static)

        def solve(point):
            found = METHOD.solve(net, encode(point), t1=T1, throw=False).spikes["out"].first()
            return jnp.where(jnp.isfinite(found), found, T1)

        return jax.vmap(solve)(points)

    def loss(parameters, points, labels):
        scores = jax.nn.log_softmax(-first(parameters, points))
        return -jnp.mean(jnp.take_along_axis(scores, labels[:, None], 1))

    @jax.jit
    def step(parameters, mean, square, number, points, labels):
        value, gradient = jax.value_and_grad(loss)(parameters, points, labels)
        mean = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, mean, gradient)
        square = jax.tree.map(lambda s, g: 0.999 * s + 0.001 * g * g, square, gradient)
        scale, power = 1.0 / (1.0 - 0.9**number), 1.0 / (1.0 - 0.999**number)
        change = lambda p, m, s: p - RATE * (m * scale) / (jnp.sqrt(s * power) + 1e-8)  # noqa: E731
        return jax.tree.map(change, parameters, mean, square), mean, square, value

    mean = square = jax.tree.map(jnp.zeros_like, parameters)
    losses = []
    for number, (points, labels) in enumerate(batches(data.train, epochs)):
        if number == steps:
            break
        count = jnp.asarray(number + 1.0, jnp.float32)
        parameters, mean, square, value = step(parameters, mean, square, count, points, labels)
        losses.append(float(value))
    found = jax.jit(first)(parameters, data.test.inputs.astype(np.float32))
    return accuracy(np.asarray(found), data.test.targets), losses


def test_torch_takes_the_steps_of_the_native_loop():
    data = st.get_dataset("yinyang")()
    network = make_network(hidden=10)
    (_, bridged), (_, native) = (train(network, data, epochs=1, steps=30) for train in (by_torch, by_jax))
    np.testing.assert_allclose(bridged, native, rtol=2e-3)
    assert np.mean(bridged[-8:]) < 0.9 * np.mean(bridged[:8])


@pytest.mark.slow
def test_torch_learns_as_well_as_the_native_loop():
    data = st.get_dataset("yinyang")()
    network = make_network(hidden=30)
    (bridged, _), (native, _) = (train(network, data, epochs=20, steps=None) for train in (by_torch, by_jax))
    assert native > 0.94 and abs(bridged - native) < 0.015, (bridged, native)
