"""Files of a run: written whole or not at all, with errors that say what to do."""

import errno
import os
import tempfile
from pathlib import Path

from saltation import CheckpointError


def write_atomically(path: Path, content: bytes) -> None:
    """Writes a file so that a reader, a crash or a full disk sees either the old content or the new one.

    **Raises:** `CheckpointError` if it cannot be written; what `path` held before is still there.
    """
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # In the same folder, since only a rename within one file system is atomic.
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}-", delete=False) as file:
            temporary = Path(file.name)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o644)
        os.replace(temporary, path)
    except OSError as error:
        raise cannot_write(path, len(content), error) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def append_line(path: Path, line: str) -> None:
    """Appends one line and hands it to the operating system, so that another process can follow the file."""
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")
    except OSError as error:
        raise cannot_write(path, len(line), error) from error


def cannot_write(path: Path, size: int, error: OSError) -> CheckpointError:
    """The error for a file that could not be written: what was given, what was expected, what to do."""
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    problem = "no space left on the device" if full else str(error)
    fix = f"free some space there (about {max(size // 2**20, 1)} MiB)" if full else "make the folder writable"
    kept = " Its previous content is unchanged." if path.exists() else ""
    return CheckpointError(
        f"got '{problem}' while writing {path}; expected room for {size} bytes in a writable folder.{kept} "
        f"Fix: {fix}, then continue the run with --resume (resume=True)."
    )
