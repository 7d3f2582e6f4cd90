"""Trainable delays: three spikes that come at different times learn to arrive together. Times are in ms."""

import equinox as eqx
import jax.numpy as jnp
import optax

import saltation as st
from saltation_neurons import LIF

delay = st.Delay(jnp.array([4.0, 4.0, 4.0]), positive=st.Softplus())  # one for each source: axonal
net = st.Network(
    inputs={"in": 3},
    neurons={"out": LIF(1, tau_mem=20.0, tau_syn=2.0)},
    connections=[st.Connection("in", "out", st.Dense(jnp.full((3, 1), 6.0)), delay)],
    outputs=["out"],
)
stimulus = {"in": st.Spikes.from_dense(jnp.array([[1.0], [3.0], [5.0]]))}
save = st.Save(states_at=[12.0])
method = st.get_method("ode")(max_spikes=4)
trained, fixed = eqx.partition(net, st.trainable(net, "delay"))  # the weights stay as they are
optimiser = optax.adam(0.1)


@eqx.filter_jit
@eqx.filter_value_and_grad
def loss(trained, target=9.0):
    solution = method.solve(eqx.combine(trained, fixed), stimulus, t1=20.0)
    return (solution.spikes["out"].first()[0] - target) ** 2


state = optimiser.init(trained)
for i in range(101):
    value, gradient = loss(trained)
    if i % 20 == 0:
        print(f"step {i}: loss {value:.4f}, delays {trained.connections[0].delay.value} ms")
    updates, state = optimiser.update(gradient, state)
    trained = eqx.apply_updates(trained, updates)
