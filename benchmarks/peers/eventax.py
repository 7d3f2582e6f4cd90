"""eventax: one global event loop with a diffrax solve from event to event (`python -m peers.eventax`)."""

from _harness import arguments, first_spike_loss, serve, use_one_thread

use_one_thread()

from math import atan, isfinite, pi  # noqa: E402

import equinox as eqx  # noqa: E402
import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
from _problem import EIF as EIF_CONSTANTS  # noqa: E402
from _problem import IZHIKEVICH, Problem  # noqa: E402
from eventax.adjoint import EventPropAdjoint  # noqa: E402
from eventax.evnn import FFEvNN  # noqa: E402
from eventax.neuron_models import AMOS, EIF, LIF, QIF, Izhikevich  # noqa: E402

VARIANTS = ("checkpointed", "eventprop")


def main() -> None:
    args = arguments(VARIANTS)
    problem = Problem.load(args.problem)
    network = _network(problem, None if args.variant == "checkpointed" else EventPropAdjoint())
    loss = first_spike_loss(problem)

    def forward(weights, times):
        first = jax.vmap(_with_weights(network, problem, *weights).ttfs)(times[:, :, None])
        return loss(first), first

    def step(w_in, w_out, times):
        (value, first), gradient = jax.value_and_grad(forward, has_aux=True)((w_in, w_out), times)
        return value, first, *gradient

    adjoint = "recursive checkpoints" if args.variant == "checkpointed" else "EventPropAdjoint"
    notes = f"{adjoint}, Euler, dt {network.solver_stepsize}, Newton to 1e-2, stops when all outputs have spiked"
    serve(["eventax", "diffrax", "equinox"], problem, args.out, step, notes)


def _network(problem: Problem, adjoint) -> FFEvNN:
    """With its notebook's settings: Euler, dt 0.05, default root finder; steps for every spike with room."""
    neuron = {"tmem": problem.tau_mem, "tsyn": problem.tau_syn}
    if problem.model == "lif":
        neuron |= {"thresh": problem.v_threshold, "vreset": problem.v_reset}
        model = AMOS(LIF) if problem.once else LIF
    elif problem.model == "eif":
        neuron |= {"vT": EIF_CONSTANTS["v_rheobase"], "deltaT": EIF_CONSTANTS["slope"], "EL": EIF_CONSTANTS["v_leak"]}
        neuron |= {"vreset": problem.v_reset, "v_peak": problem.v_threshold, "spike_time_tol": None}
        model = EIF
    elif problem.model == "izhikevich":
        neuron = {"tau_syn": problem.tau_syn, "v_thresh": problem.v_threshold, "reset_grad_preserve": False}
        neuron |= IZHIKEVICH
        model = Izhikevich
    elif isfinite(problem.v_threshold):
        neuron |= {"thresh": phase(problem.v_threshold), "vreset": phase(problem.v_reset)}
        model = FiniteQIF
    else:
        model = QIF
    return FFEvNN(
        layers=[30, 3],
        in_size=5,
        neuron_model=model,
        max_solver_time=problem.t1,
        key=jax.random.PRNGKey(0),
        solver_stepsize=0.05,
        max_event_steps=1 + 5 + 33 * problem.room + 1,
        adjoint=adjoint,
        dtype=jnp.float32,
        init_weights=0.0,
        init_bias=0.0,
        **neuron,
    )


class FiniteQIF(QIF):
    """Its QIF neuron, an oscillator in a phase variable, with the threshold and reset that it holds fixed."""

    def __init__(self, *, thresh: float, vreset: float, **settings):
        LIF.__init__(self, thresh=thresh, vreset=vreset, reset_grad_preserve=False, **settings)


def phase(v: float) -> float:
    """Its phase of a potential: 1/2 at 0, 0 and 1 at minus and plus infinity."""
    return atan(v / pi) / pi + 0.5


def _with_weights(network: FFEvNN, problem: Problem, w_in, w_out) -> FFEvNN:
    """Rows of its weight matrix are the 33 neurons, then the 5 inputs; columns the 33 neurons."""

    def where(net):
        return net.neuron_model.neuron.weights if problem.once else net.neuron_model.weights

    weights = where(network).at[:30, 30:].set(w_out).at[33:, :30].set(w_in)
    return eqx.tree_at(where, network, weights)


if __name__ == "__main__":
    main()
