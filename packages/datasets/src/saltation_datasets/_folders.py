"""Where data sets are looked for."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from saltation import DataError

from ._cache import cache_dir


def search_folders(
    name: str, data_dir: Path | None, *, within: Sequence[str] = (), system_dirs: Sequence[Path] = ()
) -> Iterator[Path]:
    """The folders in which the data set `name` may be, the first ones first.

    **Arguments:** `within`: further names of its own folder in a data folder, beside `name`; `system_dirs`: folders
    into which an operating system's package installs it.
    """
    named = os.environ.get("SALTATION_DATA")
    inside = (name, *within, ".")
    for root in (data_dir, Path(named).expanduser() if named else None):
        if root is not None:
            yield from (root / folder for folder in inside)
    yield from system_dirs
    yield from (Path("data") / folder for folder in inside)
    yield cache_dir() / name


def find_folder(
    name: str,
    data_dir: str | Path | None,
    contents: Sequence[str],
    *,
    within: Sequence[str],
    how_to_get: str,
    system_dirs: Sequence[Path] = (),
) -> Path:
    """The first of the folders that has all of `contents` in it.

    **Arguments:** `within`, `system_dirs`: as in `search_folders`; `how_to_get`: lines for the message.

    **Raises** `saltation.DataError`: there is none; it says where was looked and how to get the data.
    """
    folder = None if data_dir is None else Path(data_dir).expanduser()
    if folder is not None and not folder.is_dir():
        raise DataError(f"{name}: got data_dir {str(folder)!r}, expected an existing folder. Fix: correct the path.")
    folders = list(search_folders(name, folder, within=within, system_dirs=system_dirs))
    for candidate in folders:
        if all((candidate / content).exists() for content in contents):
            return candidate
    lines = [f"{name}: got no folder with {', '.join(contents)}, expected one."]
    lines.append("Looked in (change it by data_dir, on the command line --data-dir, or by $SALTATION_DATA):")
    lines += [f"  {folder}{'' if folder.is_dir() else '  (no such folder)'}" for folder in folders]
    lines += ["Fix:", *(f"  {line}" for line in how_to_get.splitlines())]
    raise DataError("\n".join(lines))
