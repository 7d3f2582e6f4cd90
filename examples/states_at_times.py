"""States at given times, with gradients: draw a membrane potential through three points. Times are in ms."""

import equinox as eqx
import jax
import jax.numpy as jnp
import optax

import saltation as st
from saltation_neurons import LIF

# A threshold out of reach makes a neuron that only integrates.
neurons = [LIF(tau_mem=20.0, tau_syn=5.0), LIF(tau_mem=20.0, tau_syn=5.0, v_threshold=1e6)]
net = st.feedforward([5, 20, 1], neurons, weight=[st.normal(15.0, 5.0), st.normal(0.0, 2.0)], key=jax.random.key(0))
stimulus = {"in": st.Spikes.from_dense(jnp.array([[2.0], [10.0], [18.0], [26.0], [34.0]]))}
save = st.Save(spikes=False, states_at=[15.0, 30.0, 45.0])
target = jnp.array([1.0, -1.0, 0.5])
method = st.get_method("ode")(max_spikes=8)
optimiser = optax.adam(0.02)


def loss(net):
    states = method.solve(net, stimulus, t1=50.0, save=save).states["out"]
    return jnp.mean((states.v[:, 0] - target) ** 2), states.v[:, 0]


@eqx.filter_jit
def step(net, state):
    (value, v), gradient = eqx.filter_value_and_grad(loss, has_aux=True)(net)
    updates, state = optimiser.update(gradient, state)
    return eqx.apply_updates(net, updates), state, value, v


state = optimiser.init(eqx.filter(net, eqx.is_inexact_array))
for i in range(301):
    net, state, value, v = step(net, state)
    if i % 100 == 0:
        print(f"step {i}: loss {value:.4f}, v = {v} at {save.states_at} ms")
