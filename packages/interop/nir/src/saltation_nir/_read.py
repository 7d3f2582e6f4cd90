"""Files of NIR, and what can be wrong with them."""

from os import PathLike
from pathlib import Path

import h5py
import nir

import saltation as st


def read_graph(path: str | PathLike[str]) -> nir.NIRGraph:
    """The graph in a file of NIR.

    **Arguments:** `path`: of a `.nir` file, which is HDF5.

    **Returns** a `nir.NIRGraph` whose shapes have not been checked: exporters leave scalars and batch axes in them,
    which `from_nir` understands.

    **Raises** `saltation.DataError` for a file that is missing, truncated or holds no graph, and
    `saltation.UnsupportedError` for a node of a type that this version of NIR does not know.
    """
    path = Path(path)
    if not path.is_file():
        raise st.DataError(f"{path}: got no such file, expected a file of NIR. Fix: check the path.")
    try:
        return nir.read(path, type_check=False)
    except OSError as error:
        raise st.DataError(
            f"{path}: got a file that HDF5 cannot read ({error}), expected a whole file of NIR. It is truncated or of "
            "another format. Fix: export or copy it again."
        ) from error
    except Exception as error:
        unknown = _unknown_types(path)
        if unknown:
            raise st.UnsupportedError(
                f"{path}: got nodes of unknown types: {', '.join(unknown)}. NIR {nir.version} does not know them. "
                "Fix: update nir, or replace these nodes before exporting."
            ) from error
        raise st.DataError(
            f"{path}: got a file that NIR {nir.version} cannot read ({type(error).__name__}: {error}), expected a "
            "graph of NIR. Fix: export it again."
        ) from error


def _unknown_types(path: Path) -> list[str]:
    unknown: list[str] = []

    def look(name: str, item: object) -> None:
        if isinstance(item, h5py.Dataset) and name.rpartition("/")[2] == "type" and item.shape == ():
            type_ = item.asstr()[()] if h5py.check_string_dtype(item.dtype) else str(item[()])
            if type_ not in nir.ir.__all__:
                place = name.removeprefix("node/nodes/").removesuffix("/type")
                unknown.append(f"{place!r} is a {type_!r}")

    try:
        with h5py.File(path, "r") as file:
            file.visititems(look)
    except (OSError, RuntimeError, KeyError, UnicodeDecodeError):
        return []
    return unknown
