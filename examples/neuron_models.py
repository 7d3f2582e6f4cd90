"""Several neuron models side by side: the membrane potential of each under a constant current."""

import equinox as eqx
import jax.numpy as jnp
import matplotlib.pyplot as plt

import saltation as st
from saltation_neurons import EIF, LIF, QIF, AdEx, Izhikevich, Refractory

T1 = 120.0  # ms
NEURONS = {  # each with a current that makes it fire, in its own unit
    "LIF": (LIF(1), 1.5),
    "LIF, refractory for 10 ms": (Refractory(LIF(1), 10.0), 1.5),
    "QIF": (QIF(1), 1.5),
    "EIF": (EIF(1), 200.0),
    "AdEx": (AdEx(1), 900.0),
    "Izhikevich, chattering": (Izhikevich(1, c=-50.0, d=2.0), 10.0),
}
times = jnp.linspace(0.0, T1, 1201)
method = st.get_method("ode")(max_spikes=40)


def trace(neuron, current):
    net = st.Network({"in": 1}, {"out": neuron}, [st.Connection("in", "out", st.Dense([[1.0]]))], ["out"])
    stimulus = {"in": st.Current(jnp.array([current]))}
    return method.solve(net, stimulus, t1=T1, save=st.Save(states_at=times))


figure, axes = plt.subplots(len(NEURONS), sharex=True, figsize=(7, 8), layout="constrained")
for axis, (name, (neuron, current)) in zip(axes, NEURONS.items()):
    solution = eqx.filter_jit(trace)(neuron, current)
    print(f"{name}: {solution.spikes['out'].count()[0]} spikes")
    axis.plot(times, neuron.observe(solution.states["out"])[:, 0], lw=1)
    axis.set(title=name, ylabel="$v$")
axes[-1].set(xlabel="time [ms]")
figure.savefig("neuron_models.png", dpi=150)
