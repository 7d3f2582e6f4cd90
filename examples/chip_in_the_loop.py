"""A network on an emulated BrainScaleS-2 chip: what the chip does to its spikes, and a gradient at what it does."""

import equinox as eqx
import jax
import jax.numpy as jnp

import saltation as st
from saltation_bss2 import BSS2Emulator
from saltation_delgrad import DelGrad
from saltation_neurons import LIF, AtMostOnce

# Times in microseconds of the chip.
once = AtMostOnce(LIF(tau_mem=12.0, tau_syn=6.0))
strong = [st.normal(12.0, 6.0), st.normal(15.0, 5.5)]
net = st.feedforward([4, 20, 3], once, weight=strong, delay="axonal", initial_delay=3.0, key=jax.random.key(0))
inputs = 1.0 + 10.0 * jax.random.uniform(jax.random.key(1), (100, 4))
keys = jax.random.split(jax.random.key(2), 100)


def loss(net, method):
    def one(times, key):
        solution = method.solve(net, {"in": st.Spikes.from_dense(times)}, t1=36.0, key=key)
        out = solution.spikes["out"].first()
        return jnp.sum(jnp.where(jnp.isfinite(out), out, 36.0)), (out, solution.stats.get("health", {}))

    values, found = jax.vmap(one)(inputs, keys)
    return jnp.mean(values), found


run = eqx.filter_jit(eqx.filter_value_and_grad(loss, has_aux=True))
(_, (ideal, _)), exact = run(net, DelGrad())

backend = BSS2Emulator(chip=3)
stimulus = {"in": st.Spikes.from_dense(inputs[0])}
print(backend.prepare(st.structure_of(net), st.structure_of(stimulus), t1=36.0, max_spikes=1).placement)

for effects in ("none", "all"):
    chip = st.InTheLoop(DelGrad(), BSS2Emulator(chip=3, effects=effects))
    (_, (found, health)), gradient = run(net, chip)
    both = jnp.isfinite(found) & jnp.isfinite(ideal)
    error = jnp.sqrt(jnp.mean(jnp.where(both, found - ideal, 0.0) ** 2))
    a, b = exact.connections[0].synapse.weight.ravel(), gradient.connections[0].synapse.weight.ravel()
    cosine = a @ b / jnp.linalg.norm(a) / jnp.linalg.norm(b)
    lost = {name: round(float(jnp.mean(count)), 2) for name, count in health.items() if count.any()}
    print(f"effects={effects!r}: spikes {error:.3f} us off, cosine of the gradients {cosine:.3f}, health {lost}")
