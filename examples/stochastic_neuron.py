"""A stochastic neuron: samples of its spikes, and how their mean times depend on its current, along the same noise."""

import equinox as eqx
import jax
import jax.numpy as jnp

import saltation as st
from saltation_neurons import StochasticLIF

net = st.Network(
    inputs={"in": 1},
    neurons={"out": StochasticLIF(1, sigma=0.25)},
    connections=[st.Connection("in", "out", st.OneToOne(1))],
    outputs=["out"],
)
method = st.get_method("roughsde")(dt=0.01, max_spikes=16)


def mean_times(current, keys):
    """The mean times of the first two spikes; the keys draw the noise, the same for every current."""

    def one(key):
        solution = method.solve(net, {"in": st.Current(current[None])}, t1=2.0, key=key, throw=False)
        return solution.spikes["out"].to_dense(2, throw=False)[0]

    times = jax.vmap(one)(keys)
    return jnp.mean(jnp.where(jnp.isfinite(times), times, 2.0), axis=0)


keys = jax.random.split(jax.random.key(0), 2000)
current = jnp.array(1.5)
times, slopes = eqx.filter_jit(lambda c: jax.jvp(lambda c: mean_times(c, keys), (c,), (jnp.ones(()),)))(current)
for number, (time, slope) in enumerate(zip(times, slopes), start=1):
    print(f"spike {number}: at {time:.3f} s on average, {slope:+.3f} s for each unit of current")
