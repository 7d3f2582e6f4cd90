"""Our side: the ODE method, closed form for LIF and a numerical solver for the others (`python -m ours`).

Its variant `reference` solves in float64 by the accurate defaults, writes what it found, and ends.
"""

from _harness import arguments, first_spike_loss, serve, use_one_thread

use_one_thread()

from math import isfinite  # noqa: E402

import equinox as eqx  # noqa: E402
import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402
from _problem import EIF as EIF_CONSTANTS  # noqa: E402
from _problem import IZHIKEVICH, Problem  # noqa: E402
from diffrax import Bosh3  # noqa: E402

import saltation as st  # noqa: E402
from saltation_neurons import EIF, LIF, QIF, AtMostOnce, Izhikevich, Theta  # noqa: E402
from saltation_ode import ODE  # noqa: E402


def main() -> None:
    args = arguments(("ode", "reference"))
    problem = Problem.load(args.problem)
    if args.variant == "reference":
        write_reference(problem, args.out)
        return
    settings, notes = settings_of(problem)
    method = ODE(max_spikes=problem.room, **settings)
    notes = f"max_spikes={problem.room}, {notes}"
    serve(["saltation", "saltation-ode", "saltation-neurons"], problem, args.out, step_of(problem, method), notes)


def settings_of(problem: Problem) -> tuple[dict, str]:
    """The method's settings, at which it is no less accurate than eventax is with its own."""
    if problem.model == "lif":
        return {}, "defaults"
    step = {"qif": 1.0 if isfinite(problem.v_threshold) else 1.5, "eif": 3.0, "izhikevich": 2.5}[problem.model]
    return {"solver": Bosh3(), "step": step}, f"Bosh3, steps of {step:g} ms"


def step_of(problem: Problem, method: ODE):
    network = st.feedforward([5, 30, 3], neuron(problem), key=jax.random.key(0))
    loss = first_spike_loss(problem)

    def solve(weights, times):
        net = with_weights(network, *weights)

        def one(sample):
            solution = method.solve(net, {"in": st.Spikes.from_dense(sample)}, t1=problem.t1, throw=False)
            assert solution.spikes is not None
            return solution.spikes["out"].first(), solution.result == st.RESULTS.successful

        return jax.vmap(one)(times)

    def forward(weights, times):
        first, good = solve(weights, times)
        return loss(first), (first, good)

    def step(w_in, w_out, times):
        (value, (first, good)), gradient = jax.value_and_grad(forward, has_aux=True)((w_in, w_out), times)
        # A sample that failed shows in the table as a wrong spike time.
        return value, jnp.where(good[:, None], first, jnp.inf), *gradient

    return step


def write_reference(problem: Problem, out) -> None:
    jax.config.update("jax_enable_x64", True)
    step = jax.jit(step_of(problem, ODE(max_spikes=problem.room)))
    arrays = [jnp.asarray(x, jnp.float64) for x in (problem.w_in, problem.w_out, problem.times)]
    loss, first, grad_in, grad_out = step(*arrays)
    np.savez(out, first=first, loss=loss, grad_in=grad_in, grad_out=grad_out)


def neuron(problem: Problem) -> st.AbstractNeuron:
    if problem.model == "qif":
        taus = {"tau_mem": problem.tau_mem, "tau_syn": problem.tau_syn}
        if not isfinite(problem.v_threshold):
            return Theta(**taus)
        return QIF(v_threshold=problem.v_threshold, v_reset=problem.v_reset, **taus)
    if problem.model == "eif":
        return EIF(
            c_mem=problem.tau_mem, g_leak=1.0, tau_syn=problem.tau_syn, v_threshold=problem.v_threshold,
            v_reset=problem.v_reset, **EIF_CONSTANTS,
        )  # fmt: skip
    if problem.model == "izhikevich":
        v_init = IZHIKEVICH["c"]
        return Izhikevich(tau_syn=problem.tau_syn, v_threshold=problem.v_threshold, v_init=v_init, **IZHIKEVICH)
    lif = LIF(
        tau_mem=problem.tau_mem,
        tau_syn=problem.tau_syn,
        v_threshold=problem.v_threshold,
        v_reset=problem.v_reset,
    )
    return AtMostOnce(lif) if problem.once else lif


def with_weights(network: st.Network, w_in, w_out) -> st.Network:
    return eqx.tree_at(
        lambda net: [connection.synapse.weight for connection in net.connections], network, [w_in, w_out]
    )


if __name__ == "__main__":
    main()
