"""A neuron of your own: flow, guard and jump, and every method and training loop can use it. Times are in ms."""

from typing import NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp

import saltation as st


class State(NamedTuple):
    v: jax.Array
    a: jax.Array


class Adaptive(st.AbstractODENeuron):
    """`tau_mem dv/dt = -v + current`, `tau_a da/dt = -a`; a spike at `v = 1 + a`, then `v = 0` and `a += jump`."""

    shape: tuple = eqx.field(converter=st.population_shape, static=True, default=())
    tau_mem: float = 20.0  # a number is fixed,
    tau_a: float = 100.0
    jump: float | jax.Array = 0.3  # an array has a gradient

    def init(self, *, key=None):
        return State(jnp.zeros(self.shape), jnp.zeros(self.shape))

    def vector_field(self, t, state, current):
        return State((current - state.v) / self.tau_mem, -state.a / self.tau_a)

    def guard(self, state):
        return state.v - 1.0 - state.a

    def reset(self, state, *, key=None):
        return State(jnp.zeros_like(state.v), state.a + self.jump)

    def receive(self, state, kick, port):
        return State(state.v + kick, state.a)

    def observe(self, state):
        return state.v


@eqx.filter_jit
@eqx.filter_value_and_grad
def last_spike(net):
    stimulus = {"in": st.Current(jnp.array([3.0]))}
    spikes = st.get_method("ode")(max_spikes=8).solve(net, stimulus, t1=100.0).spikes["out"]
    return jnp.max(jnp.where(spikes.valid(), spikes.time, 0.0))


neuron = Adaptive(1, jump=jnp.array(0.3))
net = st.Network({"in": 1}, {"out": neuron}, [st.Connection("in", "out", st.Dense([[1.0]]))], ["out"])
time, gradient = last_spike(net)
print(f"last spike at {time:.2f} ms; d t / d jump = {gradient.neurons['out'].jump:.2f} ms")
