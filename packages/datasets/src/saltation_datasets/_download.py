"""Fetching one file, by the optional dependency `pooch`."""

import importlib.util
from pathlib import Path

from saltation import DataError


def fetch_with_pooch(url: str, target: Path) -> None:
    """Download `url` into the file `target`, with a progress bar where `tqdm` is installed.

    **Arguments**

    - `url`: an `http` or `https` address.
    - `target`: the file to write; its folder exists.

    **Raises** `saltation.DataError`: `pooch` is not installed, or the download failed.

    **Example**

    ```python
    from pathlib import Path
    from saltation_datasets import fetch_with_pooch

    def fetch_labels(folder: Path) -> None:
        mirror = "https://ossci-datasets.s3.amazonaws.com/mnist/"
        fetch_with_pooch(f"{mirror}t10k-labels-idx1-ubyte.gz", folder / "labels.gz")
    ```
    """
    try:
        import pooch
    except ImportError as error:
        raise DataError(
            "download: got no package 'pooch', expected it to be installed. Fix: "
            "pip install 'saltation-datasets[download]' (or: pip install 'pooch[progress]')"
        ) from error
    download = pooch.HTTPDownloader(progressbar=importlib.util.find_spec("tqdm") is not None)
    try:
        # Not `pooch.retrieve`: the caller verifies the decompressed content itself, whoever compressed it.
        download(url, str(target), None)
    except (OSError, ValueError) as error:
        raise DataError(
            f"download: got {type(error).__name__} ({error}) from {url}, expected the file. "
            "Fix: check the connection, or get the file in another way and pass its folder as data_dir."
        ) from error
