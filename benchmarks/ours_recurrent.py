"""Our side of `recurrent.py` (`python -m ours_recurrent`); its variant `reference` solves in float64, and ends."""

from _harness import arguments, serve, use_one_thread

use_one_thread()

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402
from _recurrent_problem import NEURONS, RecurrentProblem  # noqa: E402
from diffrax import Bosh3  # noqa: E402

import saltation as st  # noqa: E402
from saltation_neurons import EGRU, LIF, QIF  # noqa: E402
from saltation_ode import ODE  # noqa: E402


def main() -> None:
    args = arguments(("ode", "reference"))
    problem = RecurrentProblem.load(args.problem)
    if args.variant == "reference":
        write_reference(problem, args.out)
        return
    numerical = problem.model != "lif"
    method = ODE(max_spikes=problem.room, solver=Bosh3(), step=1.0) if numerical else ODE(max_spikes=problem.room)
    notes = f"max_spikes={problem.room}, " + ("Bosh3, steps of 1 ms" if numerical else "defaults")
    serve(["saltation", "saltation-ode", "saltation-neurons"], problem, args.out, step_of(problem, method), notes)


def step_of(problem: RecurrentProblem, method: ODE):
    def forward(weights, times):
        net = network(problem, *weights)

        def one(sample):
            solution = method.solve(net, {"in": st.Spikes.from_dense(sample)}, t1=problem.t1, throw=False)
            assert solution.spikes is not None
            good = solution.result == st.RESULTS.successful
            return solution.spikes["n"].first(), good, jnp.sum(solution.stats["spike_count"]["n"])

        first, good, count = jax.vmap(one)(times)
        late = jnp.where(jnp.isfinite(first), first, problem.t1)
        return jnp.mean(late @ jnp.asarray(problem.score, late.dtype)), (first, good)

    def step(w_in, w_out, times):
        (value, (first, good)), gradient = jax.value_and_grad(forward, has_aux=True)((w_in, w_out), times)
        # A sample that failed shows in the table as a wrong spike time.
        return value, jnp.where(good[:, None], first, jnp.inf), *gradient

    return step


def network(problem: RecurrentProblem, w_in, w_rec) -> st.Network:
    constants = {"tau_mem": problem.tau_mem, "tau_syn": problem.tau_syn, "v_threshold": problem.v_threshold}
    if problem.model == "egru":
        neuron = EGRU(NEURONS, **constants)
    else:
        neuron = {"lif": LIF, "qif": QIF}[problem.model](NEURONS, v_reset=problem.v_reset, **constants)
    delay = st.Delay(problem.delay) if problem.delay else None
    connections = [
        st.Connection("in", "n", st.Dense(w_in)),
        st.Connection("n", "n", st.Dense(w_rec), delay),
    ]
    return st.Network({"in": len(problem.w_in)}, {"n": neuron}, connections, ["n"])


def write_reference(problem: RecurrentProblem, out) -> None:
    """First spikes and gradients in float64, by the default tolerances of the general event loop."""
    jax.config.update("jax_enable_x64", True)
    step = jax.jit(step_of(problem, ODE(max_spikes=problem.room)))
    arrays = [jnp.asarray(x, jnp.float64) for x in (problem.w_in, problem.w_out, problem.times[:16])]
    loss, first, grad_in, grad_out = step(*arrays)
    np.savez(out, first=first, loss=loss, grad_in=grad_in, grad_out=grad_out)


if __name__ == "__main__":
    main()
