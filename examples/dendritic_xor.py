"""The exclusive or in one neuron: a dendrite that answers best to inputs of middling strength. Times are in ms."""

import equinox as eqx
import jax.numpy as jnp
import matplotlib.pyplot as plt

import saltation as st
from saltation_neurons import AtMostOnce, DendriticLIF

T1 = 80.0
times = jnp.linspace(0.0, T1, 321)
ticks = jnp.arange(2.0, 60.0, 4.0)  # when an active input spikes
method = st.get_method("ode")(max_spikes=1)


@eqx.filter_jit
def solve(weight, bits):
    to_dendrite = st.Connection("in", "cell", st.Dense(weight), port="dendrite")
    net = st.Network({"in": 2}, {"cell": AtMostOnce(DendriticLIF(1))}, [to_dendrite], ["cell"])
    stimulus = {"in": st.Spikes.from_dense(jnp.where(bits[:, None] > 0, ticks[None, :], jnp.inf))}
    return method.solve(net, stimulus, t1=T1, save=st.Save(states_at=times))


weight = jnp.array([[0.55], [0.55]])
figure, (top, bottom) = plt.subplots(2, 4, figsize=(8, 3.6), sharex=True, sharey="row", layout="constrained")
for column, bits in enumerate(([0, 0], [0, 1], [1, 0], [1, 1])):
    solution = solve(weight, jnp.array(bits))
    time = float(solution.spikes["cell"].first()[0])
    print(f"inputs {bits}:", f"spikes at {time:.1f} ms" if time < T1 else "silent")
    state = solution.states["cell"].inner
    top[column].plot(times, state.v_dendrite[:, 0], color="#D55E00", label="dendrite")
    top[column].plot(times, state.ca[:, 0], color="#009E73", label="its action potential")
    top[column].set_title(f"inputs {bits[0]}, {bits[1]}")
    bottom[column].plot(times, state.v[:, 0], color="#0072B2", label="soma")
    bottom[column].axhline(1.0, color="k", lw=0.6, ls=":")
    bottom[column].set(xlabel="time [ms]", ylim=(-0.1, 1.3))
    if time < T1:
        bottom[column].axvline(time, ymin=0.75, color="#0072B2")
top[0].set(ylabel="potential")
bottom[0].set(ylabel="potential")
top[0].legend(frameon=False, fontsize=8)
bottom[0].legend(frameon=False, fontsize=8)
figure.savefig("dendritic_xor.png", dpi=130)
