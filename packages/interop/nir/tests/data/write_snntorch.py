"""Wrote snntorch_*.nir and snntorch_*.npz: `pip install snntorch==1.0.0 nir==1.0.8`, then `python write_snntorch.py`.

A step is 0.1 ms: the exporter of snnTorch writes every time constant for steps of 1e-4 s.
"""

from pathlib import Path

import nir
import numpy as np
import snntorch as snn
import torch
from snntorch.export_nir import export_to_nir

FOLDER = Path(__file__).parent
STEPS = 400
KIND = {"init_hidden": True, "reset_mechanism": "zero"}


def weights(layer: torch.nn.Module, seed: int, low: float, high: float) -> None:
    random = np.random.default_rng(seed)
    layer.weight.data = torch.tensor(random.uniform(low, high, layer.weight.shape), dtype=torch.float32)


def per_neuron(size: int, value: float) -> torch.Tensor:
    # The exporter refuses scalars: it checks that shapes agree.
    return torch.full((size,), value)


def write(name: str, net: torch.nn.Sequential, layers: dict[str, torch.nn.Module], inputs: np.ndarray) -> None:
    seen = {layer: [] for layer in layers}
    for layer, module in layers.items():
        module.register_forward_hook(
            lambda _, __, out, layer=layer: seen[layer].append((out[0] if isinstance(out, tuple) else out)[0])
        )
    graph = export_to_nir(net, torch.zeros(1, inputs.shape[1]), ignore_dims=[0])
    nir.write(FOLDER / f"{name}.nir", graph)
    for values in seen.values():
        values.clear()
    for module in layers.values():
        module.reset_mem()
    with torch.no_grad():
        for frame in torch.tensor(inputs, dtype=torch.float32):
            net(frame[None])
    spikes = {layer: torch.stack(values).numpy().astype(bool) for layer, values in seen.items()}
    for layer, found in spikes.items():
        print(name, layer, "spikes:", found.sum(0))
    np.savez_compressed(FOLDER / f"{name}.npz", input=inputs.astype(bool), **spikes)
    print(graph.nodes.keys(), graph.edges)


def leaky() -> None:
    """4-5-2."""
    hidden, out = torch.nn.Linear(4, 5, bias=False), torch.nn.Linear(5, 2, bias=False)
    weights(hidden, 0, 0.2, 0.9)
    weights(out, 1, 0.3, 0.9)
    first, last = snn.Leaky(beta=per_neuron(5, 0.99), threshold=per_neuron(5, 1.0), **KIND), snn.Leaky(beta=per_neuron(2, 0.995), threshold=per_neuron(2, 1.2), **KIND)
    inputs = np.random.default_rng(2).uniform(size=(STEPS, 4)) < 0.03
    write("snntorch_leaky", torch.nn.Sequential(hidden, first, out, last), {"1": first, "3": last}, inputs)


def synaptic() -> None:
    """3-4, current-based."""
    hidden = torch.nn.Linear(3, 4, bias=False)
    weights(hidden, 3, 0.02, 0.08)
    first = snn.Synaptic(alpha=per_neuron(4, 0.98), beta=per_neuron(4, 0.99), threshold=per_neuron(4, 1.0), **KIND)
    inputs = np.random.default_rng(4).uniform(size=(STEPS, 3)) < 0.03
    write("snntorch_synaptic", torch.nn.Sequential(hidden, first), {"1": first}, inputs)


def recurrent() -> None:
    """3-4, every neuron to every other one, a step later."""
    hidden = torch.nn.Linear(3, 4, bias=False)
    weights(hidden, 5, 0.2, 0.8)
    first = snn.RLeaky(beta=0.99, threshold=1.0, all_to_all=True, linear_features=4, **KIND)
    weights(first.recurrent, 6, -0.6, 0.3)
    first.recurrent.bias.data.zero_()
    inputs = np.random.default_rng(7).uniform(size=(STEPS, 3)) < 0.03
    write("snntorch_recurrent", torch.nn.Sequential(hidden, first), {"1": first}, inputs)


if __name__ == "__main__":
    leaky()
    synaptic()
    recurrent()
