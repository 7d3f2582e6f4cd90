"""Train Yin-Yang: where on a disc a point lies, told by which of three neurons spikes first. Times are in ms."""

import equinox as eqx
import jax
import jax.numpy as jnp
import optax

import saltation as st
from saltation_neurons import LIF, AtMostOnce

T1, EPOCHS = 60.0, 10
data = st.get_dataset("yinyang")()
method = st.get_method("ode")(max_spikes=1)
neuron = AtMostOnce(LIF(tau_mem=20.0, tau_syn=10.0))
weights = [st.normal(9.0, 5.0), st.normal(2.0, 4.0)]  # mean and deviation, scaled by the fan-in
net = st.feedforward([6, 60, 3], neuron, weight=weights, key=jax.random.key(0))
optimiser = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(optax.cosine_decay_schedule(0.02, 1000)))
state = optimiser.init(eqx.filter(net, eqx.is_inexact_array))


def loss(net, points, labels):
    def one(x, label):
        stimulus = {"in": st.latency(x, t_min=1.5, t_max=20.0, bias=(0.0, 20.0))}
        solution = method.solve(net, stimulus, t1=T1, throw=False)
        times = solution.spikes["out"].first()
        value = st.first_spike_cross_entropy(times, label, temperature=1.5, silent=T1)
        return value + st.keep_firing(net, solution, strength=1.0, drive=20.0), jnp.argmin(times) == label

    return jax.tree.map(jnp.mean, jax.vmap(one)(points, labels))


@eqx.filter_jit
def step(net, state, points, labels):
    gradient, _ = eqx.filter_grad(loss, has_aux=True)(net, points, labels)
    updates, state = optimiser.update(gradient, state)
    return eqx.apply_updates(net, updates), state


for epoch in range(EPOCHS):
    for batch in jax.random.permutation(jax.random.key(epoch), 5000).reshape(-1, 50):
        net, state = step(net, state, data.train.inputs[batch].astype("float32"), data.train.targets[batch])
    _, accuracy = eqx.filter_jit(loss)(net, data.test.inputs.astype("float32"), data.test.targets)
    print(f"epoch {epoch + 1}: test accuracy {accuracy:.1%}")
