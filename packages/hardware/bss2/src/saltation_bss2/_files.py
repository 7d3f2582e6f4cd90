"""Files of chips and calibrations: named arrays with a header that says what they are."""

import json
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from saltation import DataError


def write_arrays(path: str | Path, header: Mapping[str, Any], arrays: Mapping[str, np.ndarray]) -> None:
    """Write arrays and a header into one file, whole or not at all."""
    path = Path(path)
    partial = path.with_name(path.name + ".partial")
    with partial.open("wb") as file:
        np.savez_compressed(file, header=np.array(json.dumps(header)), **arrays)  # pyright: ignore
    os.replace(partial, path)


def read_arrays(path: str | Path, kind: str) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The header and the arrays of a file.

    **Raises:** `DataError` for a file that is missing or damaged.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            arrays = {name: stored[name] for name in stored.files if name != "header"}
            return dict(json.loads(str(stored["header"]))), arrays
    except FileNotFoundError:
        raise DataError(f"there is no file {path}; expected a {kind} that `save` wrote.") from None
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise DataError(
            f"{path} is damaged or no {kind} ({type(error).__name__}: {error}); expected a file that `save` wrote."
        ) from None


def check_format(path: str | Path, header: Mapping[str, Any], kind: str, version: int) -> None:
    """Raise `DataError` for a file of another kind or version."""
    if header.get("kind") != kind:
        raise DataError(f"{path} is a {header.get('kind')!r}; expected a {kind!r}.")
    if header.get("format") != version:
        raise DataError(
            f"{path} has format {header.get('format')!r}; expected {version}, that of this version of saltation-bss2. "
            "Make the file anew with this version, or read it with the one that wrote it."
        )
