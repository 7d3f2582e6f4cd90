"""Several processes on this machine that train one run, started and watched over by this one."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import IO

from ._explain import LOST, ProcessError
from ._processes import check_address, what_is_left

_CODE = "import sys; from saltation_train._cli import main; sys.exit(main())"

# How long the others may go on when one is gone: for their last words, or to save what they have.
_SECONDS_AFTER_LOSS, _SECONDS_AFTER_ERROR = 5.0, 30.0


def launch(arguments: list[str], processes: int, *, coordinator: str | None, checkpoint: Path) -> int:
    """Runs one `saltation train` as several processes of this machine, each on its share of the cores.

    The first one speaks for all. When one fails, the others are ended: they would wait for it for ever.

    **Arguments:** those of the command after `train`; where the first process listens, a free port unless given;
    where the run's last checkpoint will be.

    **Returns:** the exit status, where the processes have said all themselves.

    **Raises:** `ProcessError` for a process that was lost, with what is left; `KeyboardInterrupt` after the second
    Ctrl-C; the first one is passed on, so the run is saved.
    """
    address = coordinator or f"127.0.0.1:{_free_port()}"
    check_address(address)
    with ExitStack() as stack:
        logs: list[IO[bytes] | None] = [None]
        logs += [stack.enter_context(tempfile.TemporaryFile()) for _ in range(1, processes)]
        children = []
        # Whatever happens here, none is left behind.
        stack.callback(lambda: _kill(children))
        for process, log in enumerate(logs):
            own = ["--process", str(process), "--coordinator", address, "--launched"]
            children.append(_start([*arguments, *own], log, _cores(process, processes)))
        failed = _watch(children)
        _kill(children)
        return 0 if failed is None else _ended(failed, children, logs[failed], checkpoint)


def _start(arguments: list[str], log: IO[bytes] | None, cores: set[int]) -> subprocess.Popen:
    settings = {
        # It finds the plugins that this process finds, also those that only `sys.path` knows.
        "PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
        # One process alone uses all accelerators of a machine.
        "JAX_PLATFORMS": "cpu",
        # A lost process is reported here, once.
        "TF_CPP_MIN_LOG_LEVEL": "3",
    }
    child = subprocess.Popen(
        [sys.executable, "-c", _CODE, "train", *arguments],
        env={**os.environ, **settings},
        stdin=subprocess.PIPE,
        stdout=None if log is None else subprocess.DEVNULL,
        stderr=log,
        # Ctrl-C comes from here, once, and not from the terminal as well.
        start_new_session=True,
    )
    if cores:
        # Before it has imported JAX, which makes as many threads as it has cores.
        os.sched_setaffinity(child.pid, cores)
    return child


def _cores(process: int, processes: int) -> set[int]:
    """This process's share of the cores; none where they cannot be chosen, or are too few."""
    if not hasattr(os, "sched_getaffinity"):
        return set()
    cores = sorted(os.sched_getaffinity(0))
    each = len(cores) // processes
    return set(cores[process * each : (process + 1) * each])


def _watch(children: list[subprocess.Popen]) -> int | None:
    """Waits until all have ended; which one failed first, if any."""
    failed, deadline, interrupted = None, float("inf"), False
    while any(child.poll() is None for child in children) and time.monotonic() < deadline:
        if failed is None:
            failed = _first_failed(children)
            if failed is not None:
                deadline = time.monotonic() + _patience(children[failed].returncode)
        try:
            time.sleep(0.05)
        except KeyboardInterrupt:
            if interrupted:
                raise
            interrupted = True
            for child in children:
                child.send_signal(signal.SIGINT)
    return _first_failed(children) if failed is None else failed


def _first_failed(children: list[subprocess.Popen]) -> int | None:
    """The failed process that is most likely the cause, of those that have ended."""

    def likely(process: int) -> int:
        status = children[process].returncode
        # Those that lost another one end with LOST, or JAX aborts them.
        return 2 if status == LOST else 1 if status == -signal.SIGABRT else 0

    failed = [i for i, child in enumerate(children) if child.poll() not in (None, 0)]
    return min(failed, key=likely, default=None)


def _patience(status: int) -> float:
    if status == 130:
        return float("inf")
    return _SECONDS_AFTER_ERROR if status == 2 else _SECONDS_AFTER_LOSS


def _ended(failed: int, children: list[subprocess.Popen], log: IO[bytes] | None, checkpoint: Path) -> int:
    status = children[failed].returncode
    said = ""
    if log is not None:
        log.seek(0)
        said = log.read().decode(errors="replace").strip()
    if status in (2, 130):
        if said and status == 2 and children[0].returncode != 2:
            print(said, file=sys.stderr)
        return status
    how = f"was ended by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"
    memory = ", as the system does when memory runs out" if status == -signal.SIGKILL else ""
    words = f" It said last: {' '.join(said.splitlines()[-1].split())[:300]}." if said and status > 0 else ""
    raise ProcessError(
        f"process {failed} of {len(children)} {how}{memory}, so the others were ended too.{words} "
        f"{what_is_left(checkpoint)}"
    )


def _kill(children: list[subprocess.Popen]) -> None:
    for child in children:
        child.kill()
    for child in children:
        child.wait()
        assert child.stdin is not None
        child.stdin.close()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]
