"""The gradient by every parameter of every neuron model, against central differences."""

import diffrax
import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import saltation as st
from saltation_neurons import ALIF, EGRU, EIF, LIF, QIF, AdEx, DendriticLIF, Izhikevich, Theta
from saltation_ode import ODE
from saltation_testing import check_gradient

slow = pytest.mark.slow  # each compiles a solver of its own

# A prototype whose parameters are all numbers, the weights that make it spike, and the ports that they arrive at.
MODELS = {
    "alif": (ALIF(tau_adapt=30.0), 12.0, ("current",)),
    "egru": (EGRU(b_candidate=0.5, b_update=1.0), 4.0, ("current", "update", "recurrent", "reset")),
    "dendritic_lif": (DendriticLIF(), 3.0, ("current", "dendrite")),
    "lif": (LIF(), 8.0, ("current",)),
    "qif": (QIF(), 40.0, ("current",)),
    "theta": (Theta(), 40.0, ("current",)),
    "eif": (EIF(), 700.0, ("current",)),
    "adex": (AdEx(), 2500.0, ("current",)),
    "izhikevich": (Izhikevich(), 25.0, ("current",)),
}


@pytest.mark.parametrize("name", [pytest.param(name, marks=() if name == "alif" else slow) for name in MODELS])
def test_gradient_by_every_parameter(name, differentiated):
    prototype, weight, ports = MODELS[name]
    size = 2
    trained = jax.tree.map(lambda x: x * jnp.array([1.0, 1.02]), prototype.with_shape(size))
    rng = np.random.default_rng(3)
    kicks = {port: jnp.asarray(weight * rng.uniform(0.5, 1.0, (3, size))) for port in ports}
    stimulus = {"in": st.Spikes.from_dense(jnp.array([[1.0, 16.0], [3.0, 21.0], [6.0, 34.0]]))}
    # With fixed steps the computed solution is smooth up to its own error, and its derivative can be asked for.
    stepping = ODE(max_spikes=8, solver=diffrax.Dopri5(), step=0.25, max_steps=2000)
    if name in ("eif", "adex", "izhikevich"):
        stepping = ODE(max_spikes=8, rtol=1e-11, atol=1e-11, max_steps=6000)  # a fixed step is cut in the upstroke
    method = ODE(max_spikes=8) if trained.closed_form() else stepping

    def run(at):
        neuron, kicks, back = at
        connections = [st.Connection("in", "n", st.Dense(kick), port=port) for port, kick in kicks.items()]
        connections.append(st.Connection("n", "n", st.Dense(back), st.Delay(1.5), port=ports[-1]))
        network = st.Network({"in": 3}, {"n": neuron}, connections, ["n"])
        return method.solve(network, stimulus, t1=40.0, throw=False)

    at = (trained, kicks, jnp.array([[0.02, -0.04], [0.03, 0.01]]) * weight)
    function = differentiated(run)
    (_, (spikes, result)), gradient = function(at)
    assert result == st.RESULTS.successful._value
    counts = np.bincount(np.asarray(spikes["n"]) + 1, minlength=size + 1)[1:]
    assert counts.min() > 0 and counts.max() > 1, f"spikes of each neuron: {counts}"
    fields = jax.tree_util.tree_leaves_with_path(eqx.filter(gradient[0], eqx.is_array))
    assert len(fields) == len(jax.tree.leaves(trained))
    check_gradient(lambda at: function(at)[0], gradient, at, entries=2)
