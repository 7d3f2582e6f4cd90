"""What the bridge to PyTorch costs: one training step by it, over the same step in JAX alone.

`python benchmarks/torch_bridge.py [--seconds 5]` prints a line for each network. Both sides compute the batch's first
spikes and the gradient of a cross-entropy of them with respect to all weights, in one process and in turns: natively
in one compiled call, and as `SpikingModule`, PyTorch's own loss and `backward()`. "cotangent given" leaves the loss
out on both sides. "by JAX" is the bridge as it is for methods without passes of their own on the host: two compiled
calls of JAX.
"""

import argparse
import math
import statistics
import time
from collections.abc import Callable
from functools import partial

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import torch

import saltation as st
from saltation_neurons import LIF, AtMostOnce
from saltation_torch import SpikingModule
from saltation_torch._bridge import Bridge

T1, BATCH = 80.0, 256
TURN = 0.2
NETWORKS = {
    "5-30-3": ([5, 30, 3], [st.normal(7.5, 4.0), st.normal(4.5, 3.0)], 20.0),
    "784-350-10": ([784, 350, 10], [st.normal(20.0, 6.0), st.normal(4.0, 2.0)], 40.0),
}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    arguments.add_argument("--seconds", type=float, default=5.0, help="of each network and side")
    seconds = arguments.parse_args().seconds
    torch.set_num_threads(1)
    for name, (sizes, weights, latest) in NETWORKS.items():
        steps = make_steps(sizes, weights, latest)
        taken = time_in_turns(steps, seconds)
        for loss, given in (("with a loss", ""), ("cotangent given", ", given")):
            native = taken[f"native{given}"]
            print(f"{name}, {loss}: native {1e3 * native:.3f} ms", end="")
            for side in ("bridge", "by JAX"):
                if f"{side}{given}" in taken:
                    step = taken[f"{side}{given}"]
                    print(f", {side} {1e3 * step:.3f} ms ({step / native - 1:+.1%})", end="")
            print(flush=True)


def make_steps(sizes, weights, latest: float) -> dict[str, Callable[[], None]]:
    """The steps, each of which ends when its gradients are there."""
    random = np.random.default_rng(0)
    times = random.uniform(0.0, latest, (BATCH, sizes[0])).astype(np.float32)
    labels = random.integers(sizes[-1], size=BATCH).astype(np.int32)
    neuron = AtMostOnce(LIF(tau_mem=20.0, tau_syn=10.0))
    network = st.feedforward(sizes, neuron, weight=weights, key=jax.random.key(0))
    method = st.get_method("delgrad")()
    parameters, static = eqx.partition(network, eqx.is_inexact_array)

    def first(parameters, times):
        net = eqx.combine(parameters, static)

        def solve(row):
            spikes = method.solve(net, {"in": st.Spikes.from_dense(row)}, t1=T1, throw=False).spikes["out"]
            found = spikes.first()
            finite = jnp.isfinite(found)
            return jnp.where(finite, jnp.where(finite, found, 0.0), T1)

        return jax.vmap(solve)(times)

    def loss(parameters, times, labels):
        scores = jax.nn.log_softmax(-first(parameters, times) / 2.0)
        return -jnp.mean(jnp.take_along_axis(scores, labels[:, None], 1))

    def given(parameters, times, cotangent):
        found, pullback = jax.vjp(lambda parameters: first(parameters, times), parameters)
        return found, pullback(cotangent)

    native, native_given = jax.jit(jax.value_and_grad(loss)), jax.jit(given)
    layer, by_jax = (SpikingModule(network, method, t1=T1, silent=T1) for _ in range(2))
    by_jax._bridge = Bridge(by_jax._solve)
    # In memory of PyTorch, as that of its data loaders.
    tensors = torch.tensor(times), torch.tensor(labels).long()
    arrays = jnp.asarray(times), jnp.asarray(labels)
    ones = torch.ones(BATCH, sizes[-1]), jnp.ones((BATCH, sizes[-1]))

    def bridge(layer) -> None:
        layer.zero_grad()
        torch.nn.functional.cross_entropy(-layer(tensors[0]) / 2.0, tensors[1]).backward()

    def bridge_given(layer) -> None:
        layer.zero_grad()
        layer(tensors[0]).backward(ones[0])

    return {
        "native": lambda: jax.block_until_ready(native(parameters, *arrays)) and None,
        "bridge": partial(bridge, layer),
        "by JAX": partial(bridge, by_jax),
        "native, given": lambda: jax.block_until_ready(native_given(parameters, arrays[0], ones[1])) and None,
        "bridge, given": partial(bridge_given, layer),
        "by JAX, given": partial(bridge_given, by_jax),
    }


def time_in_turns(steps: dict[str, Callable[[], None]], seconds: float) -> dict[str, float]:
    """The median time of each step.

    The sides take turns, so that a slow moment of the machine hits all, of TURN each: in a run of its own a side finds
    the processor's caches as it has left them itself.
    """
    for step in steps.values():
        step()
        step()
    taken: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(math.ceil(seconds / TURN)):
        for name, step in steps.items():
            end = time.perf_counter() + TURN
            while (start := time.perf_counter()) < end:
                step()
                taken[name].append(time.perf_counter() - start)
    return {name: statistics.median(values) for name, values in taken.items()}


if __name__ == "__main__":
    main()
