"""One way of solving a batch of `shd.py` (`python -m ours_shd`): in slices, event by event, or on a grid of 1 ms.

It answers like `_harness.serve`, with CPU seconds of the process: other work on the machine does not count.
"""

import json
import resource
import sys
import time

from _harness import arguments, use_one_thread

use_one_thread()

import equinox as eqx  # noqa: E402
import jax  # noqa: E402
import jax.numpy as jnp  # noqa: E402
import numpy as np  # noqa: E402

import saltation as st  # noqa: E402
from saltation_ode import ODE, shd_like  # noqa: E402
from saltation_surrogate import Surrogate  # noqa: E402

ROOM = 60
METHODS = {
    "slices": ODE(max_spikes=ROOM, slices=True),
    "events": ODE(max_spikes=ROOM, slices=False),
    "surrogate": Surrogate(step=1.0, max_spikes=ROOM),
}


def main() -> None:
    args = arguments(tuple(METHODS))
    with np.load(args.problem) as data:
        inputs, targets = jnp.asarray(data["inputs"]), jnp.asarray(data["targets"])
    step, parameters = step_of(METHODS[args.variant])
    start = time.process_time()
    compiled = jax.jit(step).lower(parameters, inputs, targets).compile()
    compile_seconds = time.process_time() - start
    memory = compiled.memory_analysis()
    assert memory is not None
    (loss, (failed, spikes)), _ = jax.block_until_ready(compiled(parameters, inputs, targets))
    say(
        loss=float(loss),
        failed=int(failed),
        spikes=float(spikes),
        compile_seconds=compile_seconds,
        temporary_bytes=memory.temp_size_in_bytes,
    )
    for line in sys.stdin:
        seconds = []
        while sum(seconds) < float(line) or not seconds:
            start = time.process_time()
            jax.block_until_ready(compiled(parameters, inputs, targets))
            seconds.append(time.process_time() - start)
        say(best=min(seconds))
    say(peak_memory_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)


def step_of(method):
    """Loss and gradient by all weights and delays of the recipe's network, and its parameters."""
    experiment = shd_like(max_spikes=ROOM)
    model = experiment.model(jax.random.key(0))
    parameters, fixed = eqx.partition(model, st.trainable(model, "weight", "delay"))

    def loss(parameters, inputs, targets):
        model = eqx.combine(parameters, fixed)

        def one(x, target):
            stimulus = experiment.encoder(x, jax.random.key(0))
            solution = method.solve(model.network, stimulus, t1=experiment.t1, save=experiment.save, throw=False)
            value = experiment.loss.function(solution, model.readout(solution), target)
            return value, solution.result != st.RESULTS.successful, jnp.sum(solution.stats["spike_count"]["hidden"])

        values, failed, spikes = jax.vmap(one)(inputs, targets)
        return jnp.mean(values), (jnp.sum(failed), jnp.mean(spikes))

    # `jax.grad` and not Equinox's: all parameters are arrays, and `jax.jit` wants a plain function.
    return jax.value_and_grad(loss, has_aux=True), parameters


def say(**record) -> None:
    print(json.dumps(record), flush=True)


if __name__ == "__main__":
    main()
