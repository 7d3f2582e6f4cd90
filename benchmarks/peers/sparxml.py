"""`sparx.learn.events` of sparxml: multi-spike LIF, bisection, one Newton step (`python -m peers.sparxml`).

sparxml declares Python >= 3.12 and uses its syntax, but this module of it needs neither that nor anything but
JAX: it is loaded by its path, and every peer runs with the same Python and the same JAX.
"""

from _harness import arguments, first_spike_loss, serve, use_one_thread

use_one_thread()

import sys  # noqa: E402
from importlib.metadata import distribution  # noqa: E402
from importlib.util import module_from_spec, spec_from_file_location  # noqa: E402

import jax  # noqa: E402
from _problem import Problem  # noqa: E402

VARIANTS = ("default", "24-bisections")


def main() -> None:
    args = arguments(VARIANTS)
    problem = Problem.load(args.problem)
    events = _events_module()
    # 60 is its default; 24 bits are all that float32 holds.
    iterations = 60 if args.variant == "default" else 24
    neuron = events.EventLIF(problem.tau_mem, problem.tau_syn, problem.v_threshold, iterations)
    loss = first_spike_loss(problem)

    def forward(weights, times):
        hidden, _ = events.spike_times(times[:, :, None], weights[0], neuron, problem.t1, problem.room)
        output, _ = events.spike_times(hidden, weights[1], neuron, problem.t1, problem.room)
        first = output[:, :, 0]
        return loss(first), first

    def step(w_in, w_out, times):
        (value, first), gradient = jax.value_and_grad(forward, has_aux=True)((w_in, w_out), times)
        return value, first, *gradient

    serve(["sparxml"], problem, args.out, step, f"capacity {problem.room}, {iterations} bisections")


def _events_module():
    path = distribution("sparxml").locate_file("sparx/learn/events.py")
    spec = spec_from_file_location("sparx_learn_events", str(path))
    assert spec is not None and spec.loader is not None
    module = module_from_spec(spec)
    sys.modules[spec.name] = module  # its dataclasses look themselves up there
    spec.loader.exec_module(module)
    return module


if __name__ == "__main__":
    main()
