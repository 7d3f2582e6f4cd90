"""A first network and its gradient: how a spike time depends on each weight, exactly. Times are in ms."""

import equinox as eqx
import jax.numpy as jnp

import saltation as st
from saltation_neurons import LIF

weight = jnp.array([[4.0, 0.0], [3.0, 5.0], [0.0, 4.0]])  # [pre, post]
net = st.Network(
    inputs={"in": 3},
    neurons={"out": LIF(2, tau_mem=20.0, tau_syn=10.0)},
    connections=[st.Connection("in", "out", st.Dense(weight))],
    outputs=["out"],
)
stimulus = {"in": st.Spikes.from_dense(jnp.array([[1.0], [3.0], [6.0]]))}  # [n, k]: k spike times for each of n units
method = st.get_method("ode")(max_spikes=8)


@eqx.filter_jit
def first_spike(net):
    solution = method.solve(net, stimulus, t1=60.0)
    times = solution.spikes["out"].first()
    return times[1], times


(_, times), gradient = eqx.filter_value_and_grad(first_spike, has_aux=True)(net)
print("first spikes [ms]:", times)
print("d t_1 / d weight [ms]:")
print(gradient.connections[0].synapse.weight)  # the gradient has the network's own structure

# A later spike follows by itself: what a larger weight does to the spike time, predicted and true.
moved = eqx.tree_at(lambda net: net.connections[0].synapse.weight, net, weight.at[1, 1].add(0.1))
print("predicted shift:", 0.1 * gradient.connections[0].synapse.weight[1, 1])
print("true shift:     ", first_spike(moved)[0] - times[1])
