"""eventax on a recurrent network: one global event loop (`python -m peers.eventax_recurrent`)."""

from _harness import arguments, serve

from peers.eventax import VARIANTS, FiniteQIF, phase

import equinox as eqx  # isort: skip
import jax  # isort: skip
import jax.numpy as jnp  # isort: skip
from _recurrent_problem import NEURONS, RecurrentProblem  # isort: skip
from eventax.adjoint import EventPropAdjoint  # isort: skip
from eventax.evnn import EvNN  # isort: skip
from eventax.neuron_models import EGRU, LIF  # isort: skip


def main() -> None:
    args = arguments(VARIANTS)
    problem = RecurrentProblem.load(args.problem)
    network = _network(problem, None if args.variant == "checkpointed" else EventPropAdjoint())
    score = jnp.asarray(problem.score, jnp.float32)

    def forward(weights, times):
        first = jax.vmap(_with_weights(network, problem, *weights).ttfs)(times[:, :, None])
        fires = first < problem.t1
        return jnp.mean(jnp.where(fires, jnp.where(fires, first, 0.0), problem.t1) @ score), first

    def step(w_in, w_out, times):
        (value, first), gradient = jax.value_and_grad(forward, has_aux=True)((w_in, w_out), times)
        return value, first, *gradient

    adjoint = "recursive checkpoints" if args.variant == "checkpointed" else "EventPropAdjoint"
    notes = f"{adjoint}, Euler, dt {network.solver_stepsize}, Newton to 1e-2, stops when all have spiked"
    serve(["eventax", "diffrax", "equinox"], problem, args.out, step, notes)


def _network(problem: RecurrentProblem, adjoint) -> EvNN:
    """With its notebook's settings: Euler, dt 0.05, default root finder; steps for as many spikes as there are."""
    neuron = {"tmem": problem.tau_mem, "tsyn": problem.tau_syn}
    if problem.model == "lif":
        model, neuron = LIF, neuron | {"thresh": problem.v_threshold, "vreset": problem.v_reset, "init_weights": 0.0}
    elif problem.model == "qif":
        thresholds = {"thresh": phase(problem.v_threshold), "vreset": phase(problem.v_reset), "init_weights": 0.0}
        model, neuron = FiniteQIF, neuron | thresholds
    else:
        model, neuron = EGRU, neuron | {"thresh": problem.v_threshold, "weight_scale": 0.0, "bias_scale": 0.0}
    if problem.model != "egru":
        neuron["init_bias"] = 0.0
    inputs = len(problem.w_in)
    delays = jnp.where(jnp.arange(NEURONS + inputs) < NEURONS, problem.delay, 0.0) if problem.delay else None
    pops = 2 if problem.delay else 1
    network = EvNN(
        model,
        NEURONS,
        max_solver_time=problem.t1,
        in_size=inputs,
        wmask=jnp.ones((NEURONS + inputs, NEURONS)),
        key=jax.random.PRNGKey(0),
        init_axonal_delays=delays,
        buffer_capacity=128 if problem.delay else None,
        max_event_steps=2 + inputs + pops * problem.events,
        solver_stepsize=0.05,
        adjoint=adjoint,
        dtype=jnp.float32,
        **neuron,
    )
    if problem.model != "egru":
        return network
    # Ours has no bias of its own kind, and its reset gate stands at one half.
    gates = lambda net: (net.neuron_model.b_u, net.neuron_model.b_r)  # noqa: E731
    return eqx.tree_at(gates, network, (jnp.zeros(NEURONS), jnp.zeros(NEURONS)))


def _with_weights(network: EvNN, problem: RecurrentProblem, w_in, w_rec) -> EvNN:
    """Rows of its weight matrix are the neurons, then the inputs."""
    weights = jnp.concatenate([w_rec, w_in])
    if problem.model == "egru":
        return eqx.tree_at(lambda net: net.neuron_model.W_z, network, 2.0 * weights)  # half of it passes the gate
    return eqx.tree_at(lambda net: net.neuron_model.weights, network, weights)


if __name__ == "__main__":
    main()
