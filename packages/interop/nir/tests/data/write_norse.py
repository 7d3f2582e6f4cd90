"""Wrote norse_*.nir and norse_*.npz: `pip install norse==1.1.0 nir==1.0.8`, then `python write_norse.py`.

A step is 1 ms. The exporter of Norse writes `dt / tau_mem_inv`, which is a time constant in units of 1e-3 steps.
"""

from pathlib import Path

import nir
import norse.torch as norse
import numpy as np
import torch

FOLDER = Path(__file__).parent
STEPS = 300


def weights(layer: torch.nn.Module, seed: int, low: float, high: float) -> torch.nn.Module:
    random = np.random.default_rng(seed)
    layer.weight.data = torch.tensor(random.uniform(low, high, layer.weight.shape), dtype=torch.float32)
    return layer


def write(name: str, layers: list[torch.nn.Module], spiking: list[int], inputs: np.ndarray) -> None:
    graph = norse.to_nir(norse.SequentialState(*layers), torch.zeros(1, inputs.shape[1]))
    nir.write(FOLDER / f"{name}.nir", graph, compression=None)  # scalars cannot be compressed
    states, found = [None] * len(layers), {str(place): [] for place in spiking}
    with torch.no_grad():
        for frame in torch.tensor(inputs, dtype=torch.float32):
            signal = frame[None]
            for place, layer in enumerate(layers):
                if place in spiking:
                    signal, states[place] = layer(signal, states[place])
                    found[str(place)].append(signal[0])
                else:
                    signal = layer(signal)
    spikes = {layer: torch.stack(values).numpy().astype(bool) for layer, values in found.items()}
    for layer, values in spikes.items():
        print(name, layer, "spikes:", values.sum(0))
    np.savez_compressed(FOLDER / f"{name}.npz", input=inputs.astype(bool), **spikes)
    print(graph.nodes.keys(), graph.edges)


def lif_box() -> None:
    """4-5-2 of delta synapses, one scalar for each parameter of a layer."""
    parameters = norse.LIFBoxParameters(tau_mem_inv=torch.tensor(20.0), v_th=torch.tensor(1.0))
    cells = [norse.LIFBoxCell(parameters), norse.LIFBoxCell(parameters)]
    first = weights(torch.nn.Linear(4, 5, bias=False), 10, 10.0, 40.0)
    last = weights(torch.nn.Linear(5, 2, bias=False), 11, 15.0, 40.0)
    inputs = np.random.default_rng(12).uniform(size=(STEPS, 4)) < 0.04
    write("norse_lif_box", [first, cells[0], last, cells[1]], [1, 3], inputs)


def lif() -> None:
    """3-4, current-based."""
    parameters = norse.LIFParameters(
        tau_syn_inv=torch.tensor(1 / 0.04), tau_mem_inv=torch.tensor(1 / 0.08), v_th=torch.tensor(1.0)
    )
    first = weights(torch.nn.Linear(3, 4, bias=False), 13, 0.6, 2.0)
    inputs = np.random.default_rng(14).uniform(size=(STEPS, 3)) < 0.03
    write("norse_lif", [first, norse.LIFCell(parameters)], [1], inputs)


def iaf() -> None:
    """3-3 without a leak."""
    first = weights(torch.nn.Linear(3, 3, bias=False), 15, 0.1, 0.5)
    inputs = np.random.default_rng(16).uniform(size=(STEPS, 3)) < 0.05
    write("norse_iaf", [first, norse.IAFCell()], [1], inputs)


if __name__ == "__main__":
    lif_box()
    lif()
    iaf()
