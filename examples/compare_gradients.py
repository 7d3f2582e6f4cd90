"""Exact gradients and surrogate ones, on the same weights: how much of the direction a surrogate finds."""

import equinox as eqx
import jax
import jax.numpy as jnp

import saltation as st
from saltation_neurons import LIF, AtMostOnce

once = AtMostOnce(LIF(tau_mem=20.0, tau_syn=10.0))
net = st.feedforward([5, 20, 3], once, weight=st.normal(9.0, 4.0), key=jax.random.key(0))
times = jax.random.uniform(jax.random.key(1), (32, 5), maxval=20.0)  # 32 samples of one spike for each input, in ms


@eqx.filter_jit
@eqx.filter_grad
def gradient(net, method):
    """Of the time by which output 0 spikes before the others."""

    def loss(x):
        first = method.solve(net, {"in": st.Spikes.from_dense(x)}, t1=60.0).spikes["out"].first()
        return st.first_spike_cross_entropy(first, jnp.array(0), temperature=2.0, silent=60.0)

    return jnp.mean(jax.vmap(loss)(times))


def by_layer(method):
    return [leaf.ravel() for leaf in jax.tree.leaves(gradient(net, method))]


exact = by_layer(st.get_method("ode")(max_spikes=1))
print("slope   hidden: cosine, length   output: cosine, length")
for slope in (1.0, 5.0, 25.0):
    found = by_layer(st.get_method("surrogate")(step=0.5, slope=slope))
    text = f"{slope:5.0f}"
    for a, b in zip(exact, found, strict=True):
        size, other = jnp.linalg.norm(a), jnp.linalg.norm(b)
        text += f"{a @ b / size / other:16.2f} {other / size:8.2f}"
    print(text)
