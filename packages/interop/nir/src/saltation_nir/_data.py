"""Spikes as the data of NIR, and back."""

import nir
import numpy as np

import saltation as st


def to_nir_data(spikes: dict[str, st.Spikes], *, t1: float, time_unit: float) -> nir.NIRGraphData:
    """Spike trains by population as a `nir.NIRGraphData`: `nir.write_data("spikes.nir", to_nir_data(...))`.

    **Arguments:**

    - `spikes`: as in `Solution.spikes`, of one sample `[K]` or of a batch `[batch, K]`.
    - `t1`: how long was recorded, in the network's unit of time.
    - `time_unit`: the network's unit of time in NIR's (by convention seconds).

    **Raises:** `ValueError` for more than one batch axis, or a `time_unit` that is not positive.

    A population's spikes are its observable "spikes".
    """
    _check_unit("to_nir_data", time_unit)
    nodes = {}
    for name, train in spikes.items():
        time, index = np.asarray(train.time, np.float64), np.asarray(train.index)
        if time.ndim > 2:
            raise ValueError(f"to_nir_data got spikes of shape {time.shape} of {name!r}; expected [K] or [batch, K].")
        events = nir.EventData(
            idx=np.atleast_2d(index), time=np.atleast_2d(time) * time_unit, n_neurons=train.size, t_max=t1 * time_unit
        )
        nodes[name] = nir.NIRNodeData({"spikes": events})
    return nir.NIRGraphData(nodes)


def from_nir_data(data: nir.NIRGraphData, *, time_unit: float) -> dict[str, st.Spikes]:
    """The spikes of each node, as a batch: `Spikes` of shape `[n_samples, K]`, the first axis for `jax.vmap`.

    Events on a time grid become spikes at the start of their step. A node without an observable "spikes" is left out.

    **Arguments:** as of `to_nir_data`; `data` may come from `nir.read_data(path)`.

    **Raises:** `ValueError` for a `time_unit` that is not positive.
    """
    _check_unit("from_nir_data", time_unit)
    found = {}
    for name, node in data.nodes.items():
        if isinstance(node, nir.NIRGraphData):
            inner = from_nir_data(node, time_unit=time_unit)
            found |= {f"{name}.{key}": train for key, train in inner.items()}
        elif "spikes" in node.observables:
            events = node.observables["spikes"]
            if isinstance(events, nir.TimeGriddedData):
                events = events.to_event(int(np.max(np.sum(events.data, axis=(1, 2)), initial=0)))
            order = np.argsort(events.time, axis=-1, kind="stable")
            time = np.take_along_axis(np.asarray(events.time, np.float64), order, axis=-1)
            index = np.take_along_axis(np.asarray(events.idx), order, axis=-1)
            found[name] = st.Spikes(time / time_unit, index, int(events.n_neurons))
    return found


def _check_unit(owner: str, time_unit: float) -> None:
    if not time_unit > 0:
        raise ValueError(f"{owner} got time_unit={time_unit}; expected a positive number, in NIR's unit of time.")
