"""Event-based EventProp of jaxsnn: closed-form crossings, a scan over events (`python -m peers.jaxsnn`)."""

from _harness import arguments, first_spike_loss, serve, use_one_thread

use_one_thread()

import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402
from _oracle import solve  # noqa: E402
from _problem import Problem  # noqa: E402
from jaxsnn.event.loss import first_spike  # noqa: E402
from jaxsnn.event.modules import LIF, Linear, Source  # noqa: E402
from jaxsnn.event.modules.lif.lif import LIFParameters  # noqa: E402
from jaxsnn.event.topology import Topology  # noqa: E402
from jaxsnn.event.types import Spike  # noqa: E402

VARIANTS = ("full-room", "fitted-room")
NEVER_AGAIN = -1000.0  # the reset with which its own examples allow one spike a neuron


def main() -> None:
    args = arguments(VARIANTS)
    problem = Problem.load(args.problem)
    if problem.model != "lif":
        raise SystemExit("jaxsnn's events have LIF neurons only")
    hidden_steps, output_steps = _steps(problem, fitted=args.variant == "fitted-room")
    neuron = LIFParameters(
        tau_syn=problem.tau_syn,
        tau_mem=problem.tau_mem,
        v_th=problem.v_threshold,
        v_reset=NEVER_AGAIN if problem.once else problem.v_reset,
    )
    topology = Topology(t_max=problem.t1, backprop_method="eventprop")
    topology.add(
        {
            "inp": Source(5),
            "lif1": LIF(30, hidden_steps, neuron),
            "lif2": LIF(3, output_steps, neuron),
            "syn1": Linear(pre_weights=problem.w_in),
            "syn2": Linear(pre_weights=problem.w_out),
        }
    )
    topology.connect([("inp", "syn1"), ("syn1", "lif1"), ("lif1", "syn2"), ("syn2", "lif2")])
    init, apply = topology.done()
    parameters = init(jax.random.PRNGKey(0))
    loss = first_spike_loss(problem)

    def forward(weights, times):
        spikes = _sorted_spikes(times)
        events = apply({"inp": spikes}, {**parameters, "syn1": weights[0], "syn2": weights[1]})
        first = jax.vmap(first_spike, in_axes=(0, None))(events["lif2"], 3)
        return loss(first), first

    def step(w_in, w_out, times):
        (value, first), gradient = jax.value_and_grad(forward, has_aux=True)((w_in, w_out), times)
        return value, first, *gradient

    notes = f"EventProp, {hidden_steps} + {output_steps} event steps"
    serve(["jaxsnn"], problem, args.out, step, notes)


def _steps(problem: Problem, *, fitted: bool) -> tuple[int, int]:
    """Steps of the two scans; jaxsnn silently drops what lies beyond.

    Full room: what every neuron firing `room` times takes. Fitted: the most that this very batch takes, which
    nobody knows while the weights change.
    """
    if not fitted:
        return 5 + 30 * problem.room, 33 * problem.room
    answer = solve(problem)
    hidden = np.isfinite(answer.hidden).sum(axis=(1, 2))
    output = np.isfinite(answer.output).sum(axis=(1, 2))
    return int(5 + hidden.max()), int((hidden + output).max())


def _sorted_spikes(times) -> Spike:
    order = jnp.argsort(times, axis=1)
    sorted_times = jnp.take_along_axis(times, order, axis=1)
    return Spike(
        time=sorted_times,
        idx=order,
        current=jnp.zeros_like(sorted_times),
        layer_idx=jnp.zeros_like(order),
        internal=jnp.ones_like(order, dtype=bool),
    )


if __name__ == "__main__":
    main()
