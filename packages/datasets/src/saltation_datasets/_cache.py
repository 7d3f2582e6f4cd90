"""Where downloaded data are kept."""

import os
import sys
from pathlib import Path


def cache_dir() -> Path:
    """The folder for downloaded data: the platform's cache folder, in it `saltation`.

    `$XDG_CACHE_HOME/saltation` where that variable is set; else `~/.cache/saltation`, on macOS
    `~/Library/Caches/saltation`, on Windows `%LOCALAPPDATA%/saltation/Cache`.

    **Returns** the path; the folder is made when something is downloaded.

    **Example**

    ```python
    from saltation_datasets import cache_dir

    assert cache_dir().is_absolute()
    ```
    """
    chosen = os.environ.get("XDG_CACHE_HOME")
    if chosen and Path(chosen).is_absolute():  # the XDG specification has relative paths ignored
        return Path(chosen) / "saltation"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "saltation"
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local"
        return Path(local) / "saltation" / "Cache"
    return Path.home() / ".cache" / "saltation"
