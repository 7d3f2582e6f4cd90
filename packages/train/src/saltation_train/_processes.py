"""Several processes that train one run: how a process joins the others, and how it leaves when one of them fails."""

import os
import socket
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from saltation._errors import CheckpointError, SaltationError

from ._explain import LOST, ProcessError, explain

# What JAX's transports say when the other end is gone.
_SIGNS = ("gloo", "nccl", "coordination service", "connection closed by peer", "socket closed")


@contextmanager
def joined(coordinator: str | None, processes: int | None, process: int | None, launched: bool) -> Iterator[None]:
    """Makes this process one of several; before JAX has looked for its devices.

    If the block fails, the process says so and ends at once: at an ordinary end it would wait for the others, which
    may be waiting for it.

    **Arguments:** `coordinator`: the address HOST:PORT on which the first process listens; `process`: which of the
    `processes` this is, from 0; without them, what the cluster's scheduler says (SLURM, Open MPI, ...). `launched`:
    by a process that watches over this one, says what is lost, and ends this one with itself.
    """
    try:
        if launched:
            threading.Thread(target=_end_with_launcher, daemon=True).start()
        _join(coordinator, processes, process)
        yield
    except BaseException as error:
        status = LOST if launched and isinstance(error, ProcessError) else explain(error)
        if status is None:
            traceback.print_exception(error)
            status = 1
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def _end_with_launcher() -> None:
    # The pipe is never written to: it ends when the launcher does, however that happens.
    os.read(0, 1)
    os._exit(1)


def _join(coordinator: str | None, processes: int | None, process: int | None) -> None:
    import jax

    if coordinator is not None:
        if processes is None or process is None or not 0 <= process < processes:
            raise ValueError(
                f"got process {process} of {processes}; expected one of --processes N, numbered from 0. "
                f"Fix: --coordinator {coordinator} --processes N --process I."
            )
        if process == 0:
            check_address(coordinator)
    # Collectives between the CPUs of different processes go through gloo.
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    try:
        # At the end the others wait for the first process, which may draw a long report.
        jax.distributed.initialize(coordinator, processes, process, shutdown_timeout_seconds=3600)
    except (ValueError, RuntimeError) as error:
        raise ProcessError(
            f"this process could not join the others ({' '.join(str(error).split())}). Expected a scheduler that JAX "
            "knows. Fix: start it with --coordinator HOST:PORT --processes N --process I."
        ) from error
    _keep_output_clean()


def _keep_output_clean() -> None:
    """Standard output is for results: libraries below JAX report each connection there."""
    sys.stdout.flush()
    sys.stdout = os.fdopen(os.dup(1), "w")
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, 1)
    os.close(nothing)


def check_address(coordinator: str) -> None:
    """Whether a process can listen there.

    **Raises:** `ValueError` if not.
    """
    host, _, port = coordinator.rpartition(":")
    if not host or not port.isdigit():
        raise ValueError(f"got the coordinator {coordinator!r}; expected HOST:PORT, such as 10.0.0.1:12355.")
    try:
        with socket.create_server((host, int(port))):
            pass
    except OSError as error:
        raise ValueError(
            f"got the coordinator {coordinator}, on which this machine cannot listen ({error.strerror}); expected a "
            "free port of an address of its own. Fix: choose another port."
        ) from error


@contextmanager
def clear_losses(checkpoint: Path) -> Iterator[None]:
    """Says of what JAX raises when another process is gone that it is, and what is left.

    **Raises:** `ProcessError`.
    """
    import jax

    try:
        yield
    except (ValueError, RuntimeError) as error:
        text = " ".join(str(error).split())
        known = isinstance(error, SaltationError) or not any(sign in text.lower() for sign in _SIGNS)
        if known or jax.process_count() == 1:
            raise
        raise ProcessError(
            f"process {jax.process_index()} of {jax.process_count()} lost another one ({text[:200]}). "
            f"{what_is_left(checkpoint)}"
        ) from error


def what_is_left(checkpoint: Path) -> str:
    """From where a run goes on, if anything is left of it."""
    from ._checkpoint import load_position

    try:
        position = load_position(checkpoint)
    except CheckpointError:
        return "It has left no checkpoint."
    batch = f", batch {position.batch + 1}" if position.batch else ""
    return f"Kept: {checkpoint}. Fix: --resume goes on from epoch {position.epoch + 1}{batch}."
