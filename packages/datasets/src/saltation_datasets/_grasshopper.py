"""Auditory receptor neurons of a grasshopper, and the sounds that they heard."""

import hashlib
import importlib.util
from pathlib import Path

import numpy as np

from saltation import DataError, Dataset, Split

from ._folders import find_folder

_SHA256 = {
    "grasshopper_spike_times1.txt": "840014ad9a8f591d02ab108bcbd46715badb3459e0ef7eac95fdd661ff134e3d",
    "grasshopper_spike_times2.txt": "389e5dccb709fbe0552589ff2e0b64e15d46665e4d2d4172071f2175c8641541",
    "grasshopper_stimulus1.txt": "4b47a4cbca8c5f694f87dd510db608a868dffbaba96845199c8afa545a4c37fa",
    "grasshopper_stimulus2.txt": "69f257a8e7a5019897111b07f9cd317b136357d256e99682d40c09d5add18e6a",
}
_HOW_TO_GET = (
    "pip install nitime, which brings the files; or, without it,\n"
    "pip download --no-deps nitime && unzip nitime-*.whl 'nitime/data/grasshopper*'\nthen pass data_dir='nitime/data'"
)
_MICROSECONDS = 1000.0  # in a millisecond
_DURATION = 10_000.0  # ms


def load_grasshopper(
    *,
    data_dir: str | Path | None = None,
    download: bool = False,
    recording: int = 1,
    window: float = 100.0,
    resolution: float = 1.0,
    lead: float = 0.0,
    interleaved: bool = False,
    validation_size: int = 15,
    test_size: int = 25,
) -> Dataset:
    """Spike trains of a receptor neuron of *Locusta migratoria* during ten seconds of amplitude-modulated noise.

    The recording is cut into windows, in order of time: the first are trained on, the last are the test, so that no
    window's neighbour in time tells its spikes. A sample is the amplitude of the sound in bins; its target is the spike
    times of the neuron, in ms from the start of the window. The neuron adapts: in the last seconds it spikes a third
    less than in the first.

    **Arguments**

    - `data_dir`: the folder with the four text files, or one that holds it as `grasshopper` or `nitime/data`; else
      they are looked for in an installed nitime, too.
    - `download`: not available for this data set.
    - `recording`: 1 (amplitudes up to 200 Hz) or 2 (up to 800 Hz).
    - `window`, `resolution`: the length of a window and of a bin in ms.
    - `lead`: for how many ms before its window a sample has the sound as well; windows that start earlier are left out.
    - `interleaved`: validation and test are spread evenly over the recording, so that all splits are adapted alike.
    - `validation_size`, `test_size`: how many windows are set aside.

    **Returns** a `saltation.Dataset`: inputs `[n, bins]` as float32, those of the lead first; targets `[n, 1, k]` as
    float32, `inf` where there is no spike.

    **Raises**

    - `saltation.DataError`: a file is missing or not the published one.
    - `ValueError`: a recording, a window or a size out of range, or `download=True`.

    **Source**: as distributed with nitime (BSD licence), of the recordings of Rokem et al., Spike-timing
    precision underlies the coding efficiency of auditory receptor neurons, J. Neurophysiol. 95 (2006).

    **Example**

    ```python
    import saltation as st
    from saltation_datasets import load_grasshopper

    try:
        print(load_grasshopper().train)
    except st.DataError as error:
        print(error)
    ```
    """
    if download:
        raise ValueError(f"grasshopper: got download=True, expected the files to be there. Fix: {_HOW_TO_GET}")
    if recording not in (1, 2):
        raise ValueError(f"grasshopper: got recording={recording}, expected 1 or 2.")
    for name, length in (("window", window), ("lead", lead)):
        fits = 0 <= length <= _DURATION and 0 < resolution <= window
        if not fits or abs(length / resolution - round(length / resolution)) > 1e-9:
            raise ValueError(
                f"grasshopper: got {name}={length} and resolution={resolution}; expected at most 10000 ms, a multiple "
                "of a positive resolution."
            )
    first, stop = int(-(-lead // window)), int(_DURATION // window)
    if min(validation_size, test_size) < 0 or validation_size + test_size >= stop - first:
        raise ValueError(
            f"grasshopper: got validation_size={validation_size} and test_size={test_size}; expected them to leave "
            f"some of the {stop - first} windows to train on."
        )
    names = [f"grasshopper_spike_times{recording}.txt", f"grasshopper_stimulus{recording}.txt"]
    folder = find_folder(
        "grasshopper",
        data_dir,
        names,
        within=("nitime/data", "data"),
        how_to_get=_HOW_TO_GET,
        system_dirs=_installed(),
    )
    spikes, amplitude = (_read(folder / name) for name in names)
    starts = window * np.arange(first, stop)
    inputs = _binned(amplitude, resolution)[
        np.rint((starts[:, None] - lead) / resolution).astype(int) + np.arange(round((lead + window) / resolution))
    ]
    targets = _windows(spikes[:, 0] / _MICROSECONDS, starts, window)
    parts = _split(len(starts), validation_size, test_size, interleaved)
    return Dataset("grasshopper", *(Split(inputs[part], targets[part]) for part in parts), classes=())


def _installed() -> list[Path]:
    """Where an installed nitime keeps its data; not imported, which takes seconds."""
    found = importlib.util.find_spec("nitime")
    return [Path(place) / "data" for place in (found.submodule_search_locations or ())] if found is not None else []


def _read(path: Path) -> np.ndarray:
    content = path.read_bytes()
    if hashlib.sha256(content).hexdigest() != _SHA256[path.name]:
        raise DataError(
            f"grasshopper: got {path}, which is not the published file (SHA-256 {_SHA256[path.name]}), perhaps "
            f"truncated. Fix: {_HOW_TO_GET}"
        )
    return np.loadtxt(content.decode("ascii").splitlines(), ndmin=2)


def _binned(samples: np.ndarray, resolution: float) -> np.ndarray:
    """The mean amplitude of each bin of the recording."""
    bins = round(_DURATION / resolution)
    place = np.minimum((samples[:, 0] / _MICROSECONDS / resolution).astype(int), bins - 1)
    number = np.bincount(place, minlength=bins)
    total = np.bincount(place, weights=samples[:, 1], minlength=bins)
    return (total / np.maximum(number, 1)).astype(np.float32)


def _windows(times: np.ndarray, starts: np.ndarray, window: float) -> np.ndarray:
    trains = [times[(times >= start) & (times < start + window)] - start for start in starts]
    targets = np.full((len(starts), 1, max(map(len, trains))), np.inf, np.float32)
    for k, train in enumerate(trains):
        targets[k, 0, : len(train)] = train
    return targets


def _split(count: int, validation_size: int, test_size: int, interleaved: bool) -> list[np.ndarray]:
    """The windows of training, validation and test."""
    order = np.arange(count)
    if interleaved:
        test = order[np.linspace(0, count - 1, test_size).round().astype(int)]
        rest = np.setdiff1d(order, test)
        validation = rest[np.linspace(0, len(rest) - 1, validation_size).round().astype(int)]
        order = np.concatenate([np.setdiff1d(rest, validation), validation, test])
    return np.split(order, [count - validation_size - test_size, count - test_size])
