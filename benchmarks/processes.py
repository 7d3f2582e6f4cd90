"""How much faster two processes on two cores train than one on one: 784-350-10 by DelGrad.

`python benchmarks/processes.py [--rounds 15] [--batch 256]` prints the time of a training step of the recipe
`delgrad/mnist`, on random images of MNIST's shape, in one process and in two that share each batch, each process on a
core and with a thread of its own. All stay alive and are timed in turns. The goal is a ratio of 1.6. Where other work
has the cores too, two processes wait for the slower of two cores: the time that each of them computes says what they
would need.
"""

import argparse
import dataclasses
import json
import os
import socket
import statistics
import subprocess
import sys
import time

import numpy as np
from _harness import ONE_THREAD

GOAL, STEPS = 1.6, 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15, help=f"of {STEPS} steps of each side")
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--worker", nargs=3, metavar=("PROCESS", "PROCESSES", "PORT"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker is not None:
        work(*map(int, arguments.worker), arguments.batch)
        return
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) < 2:
        raise SystemExit(f"got {len(cores)} core; expected 2, one for each process.")
    one, two = start(cores[:1], arguments.batch), start(cores[:2], arguments.batch)
    turns = [(turn(one), turn(two)) for _ in range(arguments.rounds)]
    end(one)
    end(two)
    for name, column in (("by the clock", 0), ("computing", 1)):
        alone, shared = ([side[column] for side in sides] for sides in zip(*turns, strict=True))
        low, ratio, high = np.quantile(np.asarray(alone) / np.asarray(shared), [0.25, 0.5, 0.75])
        step = [1e3 * statistics.median(times) / STEPS for times in (alone, shared)]
        verdict = "met" if ratio >= GOAL else "missed"
        print(
            f"{name}: a step takes {step[0]:.1f} ms in one process, {step[1]:.1f} ms in two, {ratio:.2f} times as fast "
            f"(quartiles {low:.2f} and {high:.2f}); the goal of {GOAL} is {verdict}"
        )


def start(cores: list[int], batch: int) -> list[subprocess.Popen]:
    """As many processes as cores, joined to one run and compiled."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    workers = []
    for process, core in enumerate(cores):
        numbers = [str(number) for number in (process, len(cores), port)]
        command = [sys.executable, __file__, "--batch", str(batch), "--worker", *numbers]
        worker = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, **ONE_THREAD}
        )
        os.sched_setaffinity(worker.pid, {core})
        workers.append(worker)
    for worker in workers:
        answer(worker)
    return workers


def turn(workers: list[subprocess.Popen]) -> tuple[float, float]:
    """The time of one call, until all have ended it, and the longest that one of them computed in it."""
    begin = time.perf_counter()
    for worker in workers:
        assert worker.stdin is not None
        print(STEPS, file=worker.stdin, flush=True)
    computing = max(answer(worker) for worker in workers)
    return time.perf_counter() - begin, computing


def answer(worker: subprocess.Popen) -> float:
    assert worker.stdout is not None
    for line in worker.stdout:
        # Gloo writes lines of its own.
        if line.startswith("{"):
            return json.loads(line)["seconds"]
    raise SystemExit("a worker ended; what it said stands above.")


def end(workers: list[subprocess.Popen]) -> None:
    # All at once: each waits for the others.
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.close()
    for worker in workers:
        worker.wait()


def work(process: int, processes: int, port: int, batch: int) -> None:
    """One process: compiles, then does so many steps for each line on its standard input."""
    import jax

    if processes > 1:
        jax.distributed.initialize(f"127.0.0.1:{port}", processes, process)
    from saltation_train import Recipe
    from saltation_train._devices import all_devices
    from saltation_train._engine import compile_engine
    from saltation_train._prepare import prepare_with

    experiment = dataclasses.replace(Recipe("delgrad/mnist").build(), batch_size=batch)
    task = prepare_with(images(batch * STEPS), experiment, seed=0)
    engine = compile_engine(task, all_devices(experiment))
    order, key = engine.order(0), engine.key(0)
    state = engine.devices.copy(engine.initial)
    state = jax.block_until_ready(engine.steps(state, order, key, 0, 1))
    print(json.dumps({"seconds": engine.compile_seconds}), flush=True)
    for line in sys.stdin:
        begin = time.process_time()
        state = jax.block_until_ready(engine.steps(state, order, key, 0, int(line)))
        print(json.dumps({"seconds": time.process_time() - begin}), flush=True)


def images(samples: int):
    """Random images, as sparse as MNIST's: one pixel in five is not dark."""
    import saltation as st

    random = np.random.default_rng(0)

    def split(number: int) -> st.Split:
        bright = random.uniform(size=(number, 28, 28)) < 0.2
        pixels = np.where(bright, random.uniform(0.3, 1.0, bright.shape), 0.0).astype(np.float32)
        return st.Split(pixels, random.integers(10, size=number).astype(np.int32))

    return st.Dataset("images", split(samples), split(0), split(0), tuple("0123456789"))


if __name__ == "__main__":
    main()
