"""What all sides share: one core, one thread, how a training step is timed, what is written.

A side is a process. It builds its step (loss and gradient, compiled, for one fixed batch), runs it once,
writes what it computed and prints one JSON line. Then it answers each line on its standard input, a number of
seconds, with how long calls took in that time; when the input ends, it prints its peak memory. So several
sides stay alive and are timed in turns.
"""

import argparse
import json
import os
import resource
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np
from _problem import Problem

ONE_THREAD = {
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false --xla_cpu_prefer_vector_width=512 intra_op_parallelism_threads=1",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "JAX_PLATFORMS": "cpu",
    "JAX_ENABLE_COMPILATION_CACHE": "false",
}


def use_one_thread() -> None:
    """Pins the process to one core and tells XLA and the BLAS libraries so; before JAX is imported."""
    if "jax" in sys.modules:
        raise RuntimeError("use_one_thread() must run before JAX is imported")
    os.environ.update(ONE_THREAD)
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def arguments(variants: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--problem", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True, help="where to write what the side computed (npz)")
    parser.add_argument("--variant", choices=variants, default=variants[0])
    return parser.parse_args()


def first_spike_loss(problem: Problem):
    """`loss(first[batch, 3])`: mean cross-entropy of `softmax(-t / loss_tau)`; silence counts as `t1`."""
    import jax
    import jax.numpy as jnp

    wanted = jnp.asarray(problem.targets)

    def loss(first):
        fires = first < problem.t1
        score = -jnp.where(fires, jnp.where(fires, first, 0.0), problem.t1) / problem.loss_tau
        return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(score), wanted[:, None], axis=1))

    return loss


def serve(
    packages: Sequence[str],
    problem: Problem,
    out: Path,
    step: Callable,
    notes: str,
) -> None:
    """Answers as described above. `step(w_in, w_out, times)` returns the loss, the outputs' first spikes
    `[batch, 3]` and the gradients of `w_in` and of `w_out`.
    """
    import jax
    import jax.numpy as jnp

    arrays = tuple(jnp.asarray(array, jnp.float32) for array in (problem.w_in, problem.w_out, problem.times))
    run = jax.jit(step)
    start = time.perf_counter()
    loss, first, grad_in, grad_out = jax.block_until_ready(run(*arrays))
    first_call = time.perf_counter() - start
    step_seconds = min(_timed(run, arrays) for _ in range(2))

    first = np.asarray(first, np.float64)
    np.savez(
        out,
        first=np.where(first < problem.t1, first, np.inf),
        loss=np.asarray(loss),
        grad_in=np.asarray(grad_in),
        grad_out=np.asarray(grad_out),
    )
    _say(
        versions={name: version(name) for name in (*packages, "jax", "numpy")},
        python=".".join(map(str, sys.version_info[:3])),
        dtype=str(grad_in.dtype),
        batch=len(problem.times),
        threads=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None,
        compile_seconds=first_call - step_seconds,
        notes=notes,
    )
    for line in sys.stdin:
        seconds, times = float(line), []
        while sum(times) < seconds or len(times) < 3:
            times.append(_timed(run, arrays))
        _say(median=statistics.median(times), best=min(times), calls=len(times))
    scale = 1 if sys.platform == "darwin" else 1024
    _say(peak_memory_bytes=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * scale)


def _timed(run: Callable, arrays: tuple) -> float:
    import jax

    start = time.perf_counter()
    jax.block_until_ready(run(*arrays))
    return time.perf_counter() - start


def _say(**record) -> None:
    print(json.dumps(record), flush=True)
