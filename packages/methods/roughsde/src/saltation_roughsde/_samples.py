"""Stochastic networks whose parameters are known, and spike trains sampled from them."""

from functools import lru_cache

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, PRNGKeyArray

import saltation as st

from ._roughsde import RoughSDE

SINGLE_T1, SINGLE_SPIKES, SINGLE_CURRENT = 5.0, 3, 1.5
NETWORK_T1, NETWORK_SPIKES, NETWORK_FADE = 1.0, 6, 0.2


def single_neuron(sigma: float, current: Array) -> st.Network:
    """One neuron under a constant current, which is the weight of its input: it is to be estimated."""
    neuron = st.get_neuron("stochastic_lif")(1, sigma=sigma)
    return st.Network(
        {"in": 1}, {"out": neuron}, [st.Connection("in", "out", st.Dense(current.reshape(1, 1)))], ["out"]
    )


def layers_4_16_2(key: PRNGKeyArray, sigma: float) -> st.Network:
    """4, 16 and 2 neurons, the first under a constant current; weights uniform in [0.5, 1.5], by the fan-in."""
    neuron = st.get_neuron("stochastic_lif")(tau_mem=1 / 6, tau_syn=1 / 5, v_drop=1.2, sigma=sigma)
    sizes = {"first": 4, "hidden": 16, "out": 2}
    keys = jax.random.split(key, 2)
    connections = [st.Connection("in", "first", st.OneToOne(4))]
    for own, (source, target) in zip(keys, (("first", "hidden"), ("hidden", "out")), strict=True):
        shape = sizes[source], sizes[target]
        weight = jax.random.uniform(own, shape, minval=0.5, maxval=1.5) * (4 / shape[0])
        connections.append(st.Connection(source, target, st.Dense(weight)))
    populations = {name: neuron.with_shape(size) for name, size in sizes.items()}
    return st.Network({"in": 4}, populations, connections, ["out"])


def single_method(dt: float) -> RoughSDE:
    return RoughSDE(dt=dt, max_spikes=40)


def network_method(dt: float) -> RoughSDE:
    # The 22 neurons spike 64 times in a trial, with a deviation of 8.
    return RoughSDE(dt=dt, max_spikes=24, max_events=120)


@eqx.filter_jit
def sampled(method: RoughSDE, network: st.Network, current: Array, t1: float, keys: Array, spikes: int) -> Array:
    """The first spikes of the output population in each sample, `[samples, n, spikes]`, `inf` where there are fewer."""

    def one(key):
        solution = method.solve(network, {"in": st.Current(current)}, t1=t1, key=key, throw=False)
        assert solution.spikes is not None
        return solution.spikes["out"].to_dense(spikes, throw=False), solution.result == st.RESULTS.successful

    times, good = jax.vmap(one)(keys)
    return eqx.error_if(times, ~jnp.all(good), "sampling: a sample ran out of room; raise `max_spikes` of the method.")


def load_sampled_trains(
    *,
    data_dir: object = None,
    download: bool = False,
    network: str = "single",
    samples: int = 128,
    sigma: float = 0.25,
    held_out: int = 128,
    dt: float = 0.01,
    seed: int = 0,
    repeat: int = 1,
) -> st.Dataset:
    """Spike trains sampled from a network with known parameters: data for learning a distribution.

    **Arguments:**

    - `data_dir`, `download`: not used, the data are generated.
    - `network`: "single", the first 3 spikes of a neuron under the current 1.5, or "teacher", the output spikes of a
      network of 4, 16 and 2 neurons.
    - `samples`, `held_out`: how many trains to train on, and in each other split.
    - `repeat`: how often the training split names each of its samples, so that an epoch has more steps.
    - `seed`: of the samples, and of the teacher's weights.

    **Returns** a `saltation.Dataset`: inputs `[n, units]`, the constant current, targets `[n, units, spikes]`.

    **Raises:** `ValueError` for an unknown network or no samples.
    """
    del data_dir, download
    if min(samples, held_out, repeat) < 1:
        raise ValueError(f"sampled_trains: got samples={samples}, held_out={held_out}, repeat={repeat}; expected >= 1.")
    trains, current = _drawn(network, samples + 2 * held_out, sigma, dt, seed)
    inputs = np.broadcast_to(current, (len(trains), len(current)))
    parts = [slice(0, samples), slice(samples, samples + held_out), slice(samples + held_out, None)]
    train, validation, test = (st.Split(np.ascontiguousarray(inputs[part]), trains[part]) for part in parts)
    train = st.Split(np.tile(train.inputs, (repeat, 1)), np.tile(train.targets, (repeat, 1, 1)))
    return st.Dataset("sampled_trains", train, validation, test, classes=())


@lru_cache(maxsize=8)
def _drawn(network: str, number: int, sigma: float, dt: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    # Not a key that training draws from.
    weights, noise = jax.random.split(jax.random.fold_in(jax.random.key(seed), 12345))
    keys = jax.random.split(noise, number)
    if network == "single":
        teacher, current = single_neuron(sigma, jnp.array([SINGLE_CURRENT], jnp.float32)), np.ones(1, np.float32)
        trains = sampled(single_method(dt), teacher, jnp.asarray(current), SINGLE_T1, keys, SINGLE_SPIKES)
    elif network == "teacher":
        teacher, current = layers_4_16_2(weights, sigma), np.full(4, 1.5, np.float32)
        trains = sampled(network_method(dt), teacher, jnp.asarray(current), NETWORK_T1, keys, NETWORK_SPIKES)
    else:
        raise ValueError(f"sampled_trains: got network={network!r}; expected 'single' or 'teacher'.")
    return np.asarray(trains, np.float32), current
