"""Errors in one message each, and the exit status that goes with them."""

import os
import sys

from saltation._errors import SaltationError

LOST = 3
"""The exit status of a process that lost another one."""


class ProcessError(SaltationError, RuntimeError):
    """A process of a run that is gone, or that cannot be reached."""


def explain(error: BaseException) -> int | None:
    """Says on standard error what went wrong.

    **Returns:** the exit status: 2, 3 where a process is lost, 130 after Ctrl-C; `None` for an error that no message
    explains, and for all errors under `SALTATION_DEBUG=1`.
    """
    if isinstance(error, KeyboardInterrupt):
        print(f"saltation: {error or 'interrupted'}", file=sys.stderr)
        return 130
    debugging = os.environ.get("SALTATION_DEBUG", "") not in ("", "0")
    if debugging or not isinstance(error, SaltationError | ValueError):
        return None
    print(f"saltation: error: {error}", file=sys.stderr)
    return LOST if isinstance(error, ProcessError) else 2
